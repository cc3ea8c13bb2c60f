// Conformance of what only processes can do: be killed, be stopped, be gone.
#include <csignal>

#include "tests/transports/traffic.h"

namespace tutti {
namespace {

class ProcessConformance : public Conformance {};

constexpr int kKilled[] = {1};

TEST_P(ProcessConformance, AKilledPeerHasDied) {
  const auto ends = run(Mode::kProcesses, 4, [](TestRank& rank) {
    rank.open();
    // However they are connected: rank 0 sends to the one who dies, rank 2 receives from it, rank 3 only is sent to.
    if (rank.rank == 0) rank.sender(1);
    if (rank.rank == 2) rank.receiver(1);
    if (rank.rank == 1) rank.sender(3);
    rank.barrier();
    if (rank.rank == 1) std::raise(SIGKILL);
    rank.await_state(1, PeerState::kDied);
    for (const int other : {0, 2, 3}) EXPECT_EQ(rank.transport->peer_state(other), PeerState::kAlive);
    rank.meeting.mark(rank.rank, 0);
    for (const int other : {0, 2, 3}) rank.meeting.await_mark(other, 0);
  });
  expect_ends(ends, kKilled);
}

TEST_P(ProcessConformance, WhatWasSentBeforeDyingIsThere) {
  const auto ends = run(Mode::kProcesses, 2, [](TestRank& rank) {
    rank.open();
    const FifoKey key{.peer = 1 - rank.rank, .protocol = Protocol::kStaged};
    if (rank.rank == 1) {
      Outgoing out(rank, key);
      rank.barrier();
      send(rank, out, kTestShapes.staged.slots);
      if (!(rank.transport->abilities() & kAbilityMapped)) rank.meeting.await_mark(0, 0);  // it has to be carried first
      std::raise(SIGKILL);
    }
    Incoming in(rank, key);
    rank.barrier();
    if (!(rank.transport->abilities() & kAbilityMapped)) {
      receive(rank, in, kTestShapes.staged.slots);
      rank.meeting.mark(0, 0);
    }
    rank.await_state(1, PeerState::kDied);
    receive(rank, in, kTestShapes.staged.slots - in.received());
    EXPECT_FALSE(in.try_receive());
  });
  expect_ends(ends, kKilled);
}

// In the midst of traffic, again and again.
TEST_P(ProcessConformance, APeerMayDieAtAnyMoment) {
  for (int repeat = 0; repeat < 10; ++repeat) {
    const auto ends = run(Mode::kProcesses, 2, [&](TestRank& rank) {
      rank.open();
      if (rank.rank == 1) {
        Traffic traffic(rank);
        rank.meeting.mark(1, 0);
        traffic.exchange(1'000'000'000);
      }
      const FifoKey key{.peer = 1, .protocol = Protocol::kInline};
      Outgoing out(rank, key);
      Incoming in(rank, key);
      rank.meeting.await_mark(1, 0);
      receive(rank, in, 100);
      kill(rank.meeting.pid(1), SIGKILL);
      if (!eventually([&] {
            return out.try_send(), rank.transport->progress(), in.try_receive(), rank.transport->peer_state(1) == PeerState::kDied;
          })) {
        throw std::runtime_error("the death was not noticed");
      }
    });
    expect_ends(ends, kKilled);
  }
}

// No error, since an operation may need nothing more of it; who waits learns it. Whether it had left or died, no connection tells.
TEST_P(ProcessConformance, AProcessThatEndedBeforeAnyConnectionIsAbsent) {
  for (const bool killed : {false, true}) {
    const auto ends = run(Mode::kProcesses, 2, [killed](TestRank& rank) {
      rank.open();
      if (rank.rank == 1) {
        if (killed) std::raise(SIGKILL);
        return;
      }
      const pid_t pid = rank.meeting.pid(1);
      ASSERT_TRUE(eventually([&] { return process_state(pid) == 'X'; }));  // a zombie may still have threads, and their sockets
      EXPECT_TRUE(rank.transport->sender({.peer = 1}, kConnect_s).ok());
      EXPECT_TRUE(rank.transport->receiver({.peer = 1}, kConnect_s).ok());
      rank.await_state(1, PeerState::kAbsent);
    });
    expect_ends(ends, killed ? std::span<const int>(kKilled) : std::span<const int>());
  }
}

// The bound holds; and when the process goes on, so does the connection, and no answer to an old question is taken for a new one's.
TEST_P(ProcessConformance, ConnectingToAStoppedProcessTimesOutAndWorksLater) {
  const auto ends = run(Mode::kProcesses, 2, [](TestRank& rank) {
    rank.open();
    if (rank.rank == 1) {
      rank.meeting.await_mark(0, 0);
      Traffic(rank).exchange(20);
      rank.barrier();
      return;
    }
    const pid_t pid = rank.meeting.pid(1);
    kill(pid, SIGSTOP);
    ASSERT_TRUE(eventually([&] { return process_state(pid) == 'T'; }));
    for (const int channel : {3, 4}) {
      const Status status = rank.transport->sender({.peer = 1, .channel = channel}, 0.1).status();
      EXPECT_EQ(status.code(), Code::kTimeout) << status.message();
      EXPECT_NE(status.message().find("rank 1"), std::string::npos) << status.message();
    }
    kill(pid, SIGCONT);
    rank.meeting.mark(0, 0);
    Traffic(rank).exchange(20);
    rank.barrier();
  });
  expect_ends(ends);
}

TEST_P(ProcessConformance, AStoppedPeerIsAlive) {
  const auto ends = run(Mode::kProcesses, 2, [](TestRank& rank) {
    rank.open();
    Traffic traffic(rank);
    rank.barrier();
    if (rank.rank == 0) {
      const pid_t pid = rank.meeting.pid(1);
      kill(pid, SIGSTOP);
      EXPECT_TRUE(eventually([&] { return process_state(pid) == 'T'; }));
      EXPECT_EQ(rank.transport->peer_state(1), PeerState::kAlive);
      kill(pid, SIGCONT);
    }
    traffic.exchange(100);
    rank.barrier();
  });
  expect_ends(ends);
}

INSTANTIATE_TEST_SUITE_P(Each, ProcessConformance, ::testing::ValuesIn(kTransportsUnderTest), fixture_name);

}  // namespace
}  // namespace tutti
