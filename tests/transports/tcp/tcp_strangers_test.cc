// TCP among strangers: who does not know the key gets nothing, whatever is thrown at a rank's port does no harm, idle and slow talkers are
// bounded, and running out of descriptors is an error and not a hang.
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <ctime>
#include <functional>
#include <random>

#include "base/control_loop.h"
#include "tests/support/sanitizers.h"
#include "tests/transports/traffic.h"
#include "transports/tcp/handshake.h"

namespace tutti {
namespace {

constexpr TransportFixture kTcp = {"tcp", [](int rank, int nranks, const FifoShapes& shapes, const Key& key) {
                                     return make_tcp_transport(rank, nranks, shapes, {.interfaces = "lo"}, key, test_budget());
                                   }};

// Ranks 0 and 1 are the honest ones; rank 2 is no member, and knows their addresses all the same.
template <class Stranger>
void against(const Stranger& stranger) {
  expect_ends(run_ranks(Mode::kProcesses, 3, [&](Meeting& meeting, int number) {
    if (number == 2) {
      stranger(meeting);
      meeting.mark(2, 0);
      return;
    }
    TestRank rank(kTcp, meeting, number, 2);
    rank.open();
    Traffic traffic(rank);
    do {
      traffic.exchange(50);
      if (number == 0 && meeting.has_mark(2, 0)) meeting.mark(0, 1);  // rank 0 says for both which round is the last
      meeting.barrier(number, 2);
    } while (!meeting.has_mark(0, 1));
    meeting.barrier(number, 2);
    EXPECT_EQ(rank.transport->peer_state(1 - number), PeerState::kAlive);
    Traffic(rank, {Protocol::kInline}, 2).exchange(5);  // new connections are still served
    meeting.barrier(number, 2);
  }));
}

tcp::Address published(Meeting& meeting, int rank) {
  const std::optional<tcp::Address> address = tcp::Address::decode(meeting.await_published(rank));
  if (!address) throw std::runtime_error("a malformed address");
  return *address;
}

Fd raw_connection(const tcp::Address& address) {
  sockaddr_storage to;
  const IpAddress& ip = address.entries.front().ip;
  const socklen_t length = ip.to_sockaddr(address.port, to);
  Fd fd(socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), length) != 0) throw std::runtime_error("cannot connect as a stranger");
  return fd;
}

template <class Message>
bool put(const Fd& fd, const Message& message, size_t bytes = sizeof(Message)) {
  return send(fd.get(), &message, bytes, MSG_NOSIGNAL) == static_cast<ssize_t>(bytes);
}
template <class Message>
bool get(const Fd& fd, Message& message) {
  return recv(fd.get(), &message, sizeof message, MSG_WAITALL) == static_cast<ssize_t>(sizeof message);
}

// The peer hangs up within the tests' patience, after `most` bytes at most.
void expect_hang_up(const Fd& fd, size_t most = 0) {
  for (size_t heard = 0;;) {
    pollfd wait = {.fd = fd.get(), .events = POLLIN, .revents = 0};
    ASSERT_EQ(poll(&wait, 1, static_cast<int>(kTestPatience_s * 1000)), 1) << "nobody hung up";
    std::byte byte;
    if (recv(fd.get(), &byte, 1, 0) <= 0) return;
    ASSERT_LE(++heard, most);
  }
}

tcp::Hello hello_to(const tcp::Address& address, uint32_t rank, uint32_t to) {
  tcp::Hello hello = {.rank = rank, .nranks = 2, .to_rank = to, .listener = address.id};
  if (!random_bytes(hello.nonce).ok()) throw std::runtime_error("no random bytes");
  return hello;
}

TEST(TcpStrangers, WithAnotherKeyGetNothing) {
  against([](Meeting& meeting) {
    for (const int pretended : {0, 1}) {
      Result<std::unique_ptr<Transport>> made =
          make_tcp_transport(pretended, 2, kTestShapes, {.interfaces = "lo"}, test_key(0x11), test_budget());
      ASSERT_TRUE(made.ok());
      Transport& stranger = **made;
      std::vector<std::vector<std::byte>> addresses = {meeting.await_published(0), meeting.await_published(1)};
      ASSERT_TRUE(stranger.introduce(addresses).ok());
      const Status status = stranger.sender({.peer = 1 - pretended}, kConnect_s).status();
      EXPECT_EQ(status.code(), Code::kRemote) << status.message();
      EXPECT_NE(status.message().find("does not know this communicator's key"), std::string::npos) << status.message();
    }
  });
}

TEST(TcpStrangers, WithGarbageAreHungUpOn) {
  against([](Meeting& meeting) {
    const tcp::Address address = published(meeting, 0);
    std::mt19937 random(1);
    for (const size_t size : {1, 4, 67, 68, 69, 100, 4096, 60000}) {
      for (int repeat = 0; repeat < 10; ++repeat) {
        const Fd fd = raw_connection(address);
        std::vector<std::byte> bytes(size);
        for (std::byte& b : bytes) b = static_cast<std::byte>(random());
        const tcp::Hello proper = hello_to(address, 1, 0);
        // Half of them begin properly, and break off at some byte.
        if (repeat % 2 == 1) std::memcpy(bytes.data(), &proper, std::min(size, random() % sizeof proper));
        (void)send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        shutdown(fd.get(), SHUT_WR);
        expect_hang_up(fd, sizeof(tcp::Challenge));  // a whole hello is a fair question, whatever its nonce
      }
    }
  });
}

// What was heard on one connection proves nothing on another; nor does the listener's own proof.
TEST(TcpStrangers, ReplaysAndReflectionsProveNothing) {
  against([](Meeting& meeting) {
    const tcp::Address address = published(meeting, 0);
    const Key key = test_key();
    const tcp::Hello hello = hello_to(address, 1, 0);
    tcp::Challenge first, second;
    const Fd one = raw_connection(address);
    ASSERT_TRUE(put(one, hello) && get(one, first));
    EXPECT_EQ(first.proof, tcp::prove(key, tcp::Role::kListener, hello, first.nonce));
    const Mac answer = tcp::prove(key, tcp::Role::kConnector, hello, first.nonce);
    const Fd two = raw_connection(address);
    ASSERT_TRUE(put(two, hello) && get(two, second));
    EXPECT_NE(first.nonce, second.nonce);
    ASSERT_TRUE(put(two, answer));
    expect_hang_up(two);
    const Fd three = raw_connection(address);
    ASSERT_TRUE(put(three, hello) && get(three, second));
    ASSERT_TRUE(put(three, second.proof));
    expect_hang_up(three);
    // And the true proof is one: the listener says that the pair has its connection, or, that early, that it has none yet.
    tcp::Verdict verdict{};
    ASSERT_TRUE(put(one, answer) && get(one, verdict));
    EXPECT_TRUE(verdict == tcp::Verdict::kWait || verdict == tcp::Verdict::kWelcome);
  });
}

TEST(TcpStrangers, WhoClaimsToBeSomebodyImpossibleIsHungUpOn) {
  against([](Meeting& meeting) {
    const tcp::Address address = published(meeting, 0);
    const std::function<void(tcp::Hello&)> lies[] = {[](tcp::Hello& h) { h.rank = 0; },
                                                     [](tcp::Hello& h) { h.rank = 2; },
                                                     [](tcp::Hello& h) { h.nranks = 3; },
                                                     [](tcp::Hello& h) { h.to_rank = 1; },
                                                     [](tcp::Hello& h) { h.index = 8; },
                                                     [](tcp::Hello& h) { ++h.version; },
                                                     [](tcp::Hello& h) { h.listener[0] ^= std::byte{1}; }};
    for (const auto& lie : lies) {
      tcp::Hello hello = hello_to(address, 1, 0);
      lie(hello);
      const Fd fd = raw_connection(address);
      ASSERT_TRUE(put(fd, hello));
      expect_hang_up(fd);
    }
  });
}

// Far more than are kept: the oldest go. The last ones go when their time is over.
TEST(TcpStrangers, ThatSayNothingAreBounded) {
  against([](Meeting& meeting) {
    const tcp::Address address = published(meeting, 1);
    std::vector<Fd> idle;
    for (int i = 0; i < 400; ++i) idle.push_back(raw_connection(address));
    for (int i = 0; i < 200; ++i) expect_hang_up(idle[static_cast<size_t>(i)]);
    const tcp::Hello hello = hello_to(address, 0, 1);
    ASSERT_TRUE(put(idle.back(), hello, 10));  // a slow talker
    for (const Fd& each : idle) expect_hang_up(each);
  });
}

// Accepting pauses, without spinning, and goes on.
TEST(TcpDescriptors, RunningOutDoesNotSpin) {
  if (kUnderAddressSanitizer) GTEST_SKIP() << "UBSan, which comes with it, looks at objects through a pipe, and finds none";
  ASSERT_TRUE(run_apart([] {
    Result<std::unique_ptr<Transport>> made = make_tcp_transport(0, 2, kTestShapes, {.interfaces = "lo"}, test_key(), test_budget());
    ASSERT_TRUE(made.ok()) << made.status().message();
    const auto address = made.value()->address();
    const tcp::Address self = *tcp::Address::decode({address.begin(), address.end()});
    const pid_t caller = fork();
    if (caller == 0) {
      const Fd fd = raw_connection(self);
      expect_hang_up(fd);  // once it could be accepted, and its time was over
      _exit(::testing::Test::HasFailure() ? 1 : 0);
    }
    const rlimit old = [] {
      rlimit limit{};
      getrlimit(RLIMIT_NOFILE, &limit);
      return limit;
    }();
    rlimit none = old;
    const int lowest_free = dup(0);
    close(lowest_free);
    none.rlim_cur = static_cast<rlim_t>(lowest_free);
    setrlimit(RLIMIT_NOFILE, &none);
    const std::clock_t before = std::clock();
    timespec second = {.tv_sec = 1, .tv_nsec = 0};
    nanosleep(&second, nullptr);
    const double used_s = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
    EXPECT_LT(used_s, 0.5);
    const Status status = made.value()->introduce({{}, {address.begin(), address.end()}}).ok()
                              ? made.value()->sender({.peer = 1}, 1).status()
                              : Status(Code::kInternal, "introduce");
    EXPECT_EQ(status.code(), Code::kSystem) << status.message();
    setrlimit(RLIMIT_NOFILE, &old);
    int end = 0;
    EXPECT_EQ(waitpid(caller, &end, 0), caller);
    EXPECT_EQ(end, 0);
  }));
}

}  // namespace
}  // namespace tutti
