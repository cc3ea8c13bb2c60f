// Hosts that vanish: a pulled cable is noticed whether data is under way or not; a rank that does not read for long is no lost host.
#include "transports/tcp/host_watch.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "base/fd.h"
#include "tests/transports/traffic.h"

namespace tutti {
namespace {

constexpr double kHeartbeat_s = 1;

constexpr FifoShapes kBigShapes = {.inlined = kTestShapes.inlined, .staged = {.slots = 8, .capacity = 1 << 20, .payload_offset = 64}};

// The ranks' interface is eth0 in a namespace, and lo outside.
template <bool in_namespace>
Result<std::unique_ptr<Transport>> make(int rank, int nranks, const FifoShapes& shapes, const Key& key) {
  return make_tcp_transport(rank, nranks, shapes, {.interfaces = in_namespace ? "eth0" : "lo", .heartbeat_s = kHeartbeat_s}, key,
                            test_budget());
}
constexpr TransportFixture kInNamespace = {"in_namespace", make<true>};
constexpr TransportFixture kOnLoopback = {"on_loopback", make<false>};

// Two hosts joined by cables. Root only.
class Cable : public ::testing::Test {
 protected:
  void SetUp() override {
    made_ = geteuid() == 0 && lab("up 2 2>/dev/null");
    if (!made_) GTEST_SKIP() << "network namespaces cannot be made here: that takes root, iproute2 and a kernel that lets root do it";
  }
  void TearDown() override {
    if (made_) {
      EXPECT_TRUE(lab("down"));
    }
  }
  static std::string name() { return "tuttiwatch" + std::to_string(getpid()); }
  bool lab(const std::string& arguments) const {
    return std::system(("env TUTTI_LAB=" + name_ + " " NETNS_LAB " " + arguments).c_str()) == 0;
  }
  // The calling process goes to host `number`.
  void move_to_host(int number) const {
    const Fd host(open(("/run/netns/" + name_ + std::to_string(number)).c_str(), O_RDONLY | O_CLOEXEC));
    if (!host || setns(host.get(), CLONE_NEWNET) != 0) throw std::runtime_error("cannot enter the namespace of a host");
  }

 private:
  const std::string name_ = name();  // the test's, also in its ranks
  bool made_ = false;
};

// Rank 0 has sent what nobody acknowledges; rank 1 only waits.
TEST_F(Cable, PulledIsNoticedByWhoSendsAndByWhoWaits) {
  expect_ends(run_ranks(Mode::kProcesses, 2, [&](Meeting& meeting, int number) {
    move_to_host(number);
    TestRank rank(kInNamespace, meeting, number, 2);
    rank.open();
    Traffic(rank).exchange(10);
    FifoSender& out = rank.sender(1 - number);
    rank.driving_barrier();
    if (number == 0) {
      if (!lab("cable 1 down")) throw std::runtime_error("the cable stays");
      rank.await_ready(out);
      out.post(1, 64);
    }
    rank.await_state(1 - number, PeerState::kDied);
    rank.barrier();
  }));
}

// Its kernel is full and its window shut for many times the heartbeat.
TEST(HostWatch, ARankThatDoesNotReadIsNotLost) {
  expect_ends(run_ranks(Mode::kProcesses, 2, [&](Meeting& meeting, int number) {
    TestRank rank(kOnLoopback, meeting, number, 2, kBigShapes);
    rank.open();
    const int peer = 1 - number;
    FifoSender& out = rank.sender(peer);
    FifoReceiver& in = rank.receiver(peer);
    rank.barrier();
    if (number == 0) {
      for (uint16_t i = 0; i < kBigShapes.staged.slots; ++i) {
        ASSERT_TRUE(out.ready());
        out.post(i, out.capacity());
      }
      rank.transport->settle();
      rank.await_ready(in);  // the answer
      in.release();
    } else {
      std::this_thread::sleep_for(std::chrono::duration<double>(5 * kHeartbeat_s));
      for (uint16_t i = 0; i < kBigShapes.staged.slots; ++i) {
        rank.await_ready(in);
        EXPECT_EQ(in.signature(), i);
        in.release();
      }
      out.post(0, 1);
    }
    EXPECT_EQ(rank.transport->peer_state(peer), PeerState::kAlive);
    rank.driving_barrier();
  }));
}

int option(const Fd& fd, int level, int name) {
  int value = -1;
  socklen_t length = sizeof value;
  EXPECT_EQ(getsockopt(fd.get(), level, name, &value, &length), 0);
  return value;
}

TEST(HostWatch, ProbesFitTheBound) {
  const Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  tcp::HostWatch watch;
  for (const double bound_s : {1.0, 10.0, 1e9}) {
    watch.begin(fd.get(), bound_s);
    EXPECT_EQ(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    const int all_s = option(fd, IPPROTO_TCP, TCP_KEEPIDLE) + option(fd, IPPROTO_TCP, TCP_KEEPINTVL) * option(fd, IPPROTO_TCP, TCP_KEEPCNT);
    EXPECT_LE(all_s, std::max(bound_s, 4.0));  // the kernel's least is a second each
    if (bound_s < 1e5) {
      EXPECT_GE(all_s, bound_s * 0.6);
    }
    EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);  // see host_watch.h
    EXPECT_FALSE(watch.lost(fd.get(), tcp::HostWatch::Clock::now()));
  }
  watch.begin(fd.get(), 0);
  EXPECT_EQ(option(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
  EXPECT_FALSE(watch.lost(fd.get(), tcp::HostWatch::Clock::now()));
}

}  // namespace
}  // namespace tutti
