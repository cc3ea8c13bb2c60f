// Shared memory among strangers: who does not know the key gets nothing, whatever is thrown at a rank's socket does no harm, and running
// out of descriptors is an error and not a hang.
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <random>

#include "base/control_loop.h"
#include "tests/support/eventually.h"
#include "tests/support/sanitizers.h"
#include "tests/transports/traffic.h"

namespace tutti {
namespace {

const TransportFixture& kShm = kTransportsUnderTest[0];

// Ranks 0 and 1 are the honest ones; rank 2 is no member, and knows their addresses all the same.
template <class Stranger>
void against(const Stranger& stranger) {
  expect_ends(run_ranks(Mode::kProcesses, 3, [&](Meeting& meeting, int number) {
    if (number == 2) {
      stranger(meeting);
      meeting.mark(2, 0);
      return;
    }
    TestRank rank(kShm, meeting, number, 2);
    rank.open();
    Traffic traffic(rank);
    do {
      traffic.exchange(50);
      if (number == 0 && meeting.has_mark(2, 0)) meeting.mark(0, 1);  // rank 0 says for both which round is the last
      meeting.barrier(number, 2);
    } while (!meeting.has_mark(0, 1));
    meeting.barrier(number, 2);
    EXPECT_EQ(rank.transport->peer_state(1 - number), PeerState::kAlive);
    Traffic(rank, {Protocol::kInline}, 2);  // new connections are still served
    meeting.barrier(number, 2);
  }));
}

// A connection to the socket of the rank with that address, as anybody on the host may make.
Fd raw_connection(const std::vector<std::byte>& address) {
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  std::string text = "tutti-";
  for (const std::byte b : address) {
    text += "0123456789abcdef"[std::to_integer<unsigned>(b) >> 4];
    text += "0123456789abcdef"[std::to_integer<unsigned>(b) & 15];
  }
  std::copy(text.begin(), text.end(), name.sun_path + 1);
  Fd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&name), length) != 0) throw std::runtime_error("cannot connect as a stranger");
  return fd;
}

// The peer hung up, and sent nothing.
void expect_hang_up(int fd) {
  std::byte byte;
  const ssize_t got = recv(fd, &byte, 1, 0);
  EXPECT_LE(got, 0);
}

TEST(ShmStrangers, WithAnotherKeyGetNothing) {
  against([](Meeting& meeting) {
    for (const int pretended : {0, 1, 2}) {
      Result<std::unique_ptr<Transport>> made = kShm.make(pretended, 3, kTestShapes, test_key(0x11));
      ASSERT_TRUE(made.ok());
      Transport& stranger = **made;
      const std::vector<std::byte> own(stranger.address().begin(), stranger.address().end());
      std::vector<std::vector<std::byte>> addresses = {meeting.await_published(0), meeting.await_published(1), own};
      ASSERT_TRUE(stranger.introduce(addresses).ok());
      for (const int victim : {0, 1}) {
        if (victim == pretended) continue;
        // It is hung up on, and gets a FIFO that leads nowhere, if any.
        static_cast<void>(stranger.sender({.peer = victim}, kConnect_s).ok());
        EXPECT_TRUE(eventually([&] { return stranger.peer_state(victim) != PeerState::kAlive; }));
      }
    }
  });
}

TEST(ShmStrangers, WithGarbageAreHungUpOn) {
  against([](Meeting& meeting) {
    const auto address = meeting.await_published(0);
    std::mt19937 random(1);
    for (const size_t size : {1, 2, 4, 100, 207, 208, 209, 216, 224, 1000, 4096, 60000}) {
      for (int repeat = 0; repeat < 10; ++repeat) {
        const Fd fd = raw_connection(address);
        std::vector<std::byte> packet(size);
        for (std::byte& b : packet) b = static_cast<std::byte>(random());
        const uint32_t magic = 0x54555349;  // the beginning of a proper message
        if (repeat % 2 == 1 && size > 8) {
          std::memcpy(packet.data(), &magic, sizeof magic);
          packet[4] = static_cast<std::byte>(1 + repeat / 2 % 3);
        }
        (void)send(fd.get(), packet.data(), packet.size(), MSG_NOSIGNAL);
        (void)send(fd.get(), packet.data(), packet.size(), MSG_NOSIGNAL);
        expect_hang_up(fd.get());
      }
    }
  });
}

TEST(ShmStrangers, ThatSayNothingOrBringDescriptorsDoNoHarm) {
  against([](Meeting& meeting) {
    const auto address = meeting.await_published(1);
    std::vector<Fd> idle;
    for (int i = 0; i < 100; ++i) idle.push_back(raw_connection(address));
    for (int i = 0; i < 20; ++i) {
      const Fd fd = raw_connection(address);
      int carried[2] = {0, 1};
      char byte = 'x';
      iovec data = {.iov_base = &byte, .iov_len = 1};
      alignas(cmsghdr) char control[CMSG_SPACE(sizeof carried)] = {};
      msghdr header = {};
      header.msg_iov = &data;
      header.msg_iovlen = 1;
      header.msg_control = control;
      header.msg_controllen = sizeof control;
      cmsghdr* const c = CMSG_FIRSTHDR(&header);
      c->cmsg_level = SOL_SOCKET;
      c->cmsg_type = SCM_RIGHTS;
      c->cmsg_len = CMSG_LEN(sizeof carried);
      std::memcpy(CMSG_DATA(c), carried, sizeof carried);
      EXPECT_EQ(sendmsg(fd.get(), &header, MSG_NOSIGNAL), 1);
      expect_hang_up(fd.get());
    }
  });
}

class ShmDescriptors : public ::testing::Test {
 protected:
  void SetUp() override {
    if (kUnderAddressSanitizer) GTEST_SKIP() << "UBSan, which comes with it, looks at objects through a pipe, and finds none";
  }
};

// At every place where a descriptor is needed.
TEST_F(ShmDescriptors, RunningOutIsAnErrorAndNotAHang) {
  EXPECT_TRUE(run_apart([] {
    ASSERT_TRUE(ControlLoop::instance().ok());
    rlimit all = {};
    getrlimit(RLIMIT_NOFILE, &all);
    const Fd lowest(dup(0));
    const auto used = static_cast<rlim_t>(lowest.get());  // all below are taken
    bool enough = false;
    for (rlim_t more = 1; more < 10 && !enough; ++more) {
      const rlimit limit = {.rlim_cur = used + more, .rlim_max = all.rlim_max};
      ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
      const Result<std::unique_ptr<Transport>> made = kShm.make(0, 2, kTestShapes, test_key());
      enough = made.ok();
      if (enough) continue;
      EXPECT_EQ(made.status().code(), Code::kSystem);
      EXPECT_NE(made.status().message().find("Too many open files"), std::string::npos) << made.status().message();
    }
    EXPECT_TRUE(enough);
  }));
}

TEST_F(ShmDescriptors, RunningOutWhileConnectingIsAnErrorAndNotAHang) {
  expect_ends(run_ranks(Mode::kProcesses, 2, [](Meeting& meeting, int number) {
    TestRank rank(kShm, meeting, number, 2);
    rank.open();
    if (number == 0) {
      rlimit all = {};
      getrlimit(RLIMIT_NOFILE, &all);
      const int lowest = dup(0);
      close(lowest);
      for (const int more : {0, 1}) {  // no socket; a socket, but no room for what it brings
        const rlimit limit = {.rlim_cur = static_cast<rlim_t>(lowest + more), .rlim_max = all.rlim_max};
        ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
        const Status status = rank.transport->sender({.peer = 1}, kConnect_s).status();
        EXPECT_EQ(status.code(), Code::kSystem) << status.message();
        EXPECT_NE(status.message().find("open files"), std::string::npos) << status.message();
      }
      setrlimit(RLIMIT_NOFILE, &all);
    }
    rank.barrier();  // a link that rank 1 made would serve rank 0 too
    Traffic(rank).exchange(10);
    rank.barrier();
  }));
}

}  // namespace
}  // namespace tutti
