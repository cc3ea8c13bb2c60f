// Conformance: what a rank learns of its peers' going, and that going loses nothing that was sent before.
#include <thread>

#include "tests/transports/traffic.h"

namespace tutti {
namespace {

class PeerConformance : public Conformance {};

TEST_P(PeerConformance, PeersAreAliveWhileTheyAre) {
  run_connected(3, [](TestRank& rank) {
    Traffic traffic(rank);
    traffic.exchange(10);
    for (int peer = 0; peer < rank.nranks; ++peer) {
      if (peer == rank.rank) continue;
      EXPECT_EQ(rank.transport->peer_state(peer), PeerState::kAlive);
    }
    rank.barrier();
  });
}

// Rank 1 goes, in some way, and every other rank, however connected to it, learns how.
template <class Go>
void everybody_learns(TestRank& rank, PeerState how, const Go& go) {
  if (rank.rank == 0) rank.sender(1);
  if (rank.rank == 2) rank.receiver(1);
  if (rank.rank == 3) {
    rank.sender(1);
    rank.receiver(1);
  }
  if (rank.rank == 1) rank.sender(4);
  rank.barrier();
  if (rank.rank == 1) {
    go();
  } else {
    rank.await_state(1, how);
  }
  rank.barrier();
}

TEST_P(PeerConformance, AFarewellIsHeard) {
  run_connected(5, [](TestRank& rank) { everybody_learns(rank, PeerState::kLeft, [&] { rank.transport->farewell(PeerState::kLeft); }); });
}

TEST_P(PeerConformance, AFailureIsHeard) {
  run_connected(
      5, [](TestRank& rank) { everybody_learns(rank, PeerState::kAborted, [&] { rank.transport->farewell(PeerState::kAborted); }); });
}

TEST_P(PeerConformance, DestructionIsAFarewell) {
  run_connected(5, [](TestRank& rank) { everybody_learns(rank, PeerState::kLeft, [&] { rank.transport.reset(); }); });
}

TEST_P(PeerConformance, TheFirstWordStays) {
  run_connected(2, [](TestRank& rank) {
    const int peer = 1 - rank.rank;
    rank.sender(peer);
    rank.barrier();
    if (rank.rank == 1) {
      rank.transport->farewell(PeerState::kAborted);
      rank.transport->farewell(PeerState::kLeft);
      rank.transport.reset();
    } else {
      rank.await_state(peer, PeerState::kAborted);
    }
    rank.barrier();
    if (rank.rank == 0) rank.await_state(peer, PeerState::kAborted);
    rank.barrier();
  });
}

TEST_P(PeerConformance, WhatWasSentBeforeTheFarewellIsThere) {
  for (int repeat = 0; repeat < 20; ++repeat) {
    run_connected(2, [](TestRank& rank) {
      const FifoKey key{.peer = 1 - rank.rank, .protocol = Protocol::kInline};
      if (rank.rank == 1) {
        Outgoing out(rank, key);
        rank.barrier();
        send(rank, out, kTestShapes.inlined.slots);
        rank.transport.reset();
      } else {
        Incoming in(rank, key);
        rank.barrier();
        rank.await_state(1, PeerState::kLeft);
        for (uint32_t i = 0; i < kTestShapes.inlined.slots; ++i) EXPECT_TRUE(in.try_receive());  // at once: it is all there
      }
      rank.barrier();
    });
  }
}

// The receiver's end is made only when the sender has left: a root that has sent all need not stay until the last has come to the call.
TEST_P(PeerConformance, WhatWasSentIsThereForAReceiverThatComesAfterTheFarewell) {
  run_connected(2, [](TestRank& rank) {
    const FifoKey key{.peer = 1 - rank.rank, .protocol = Protocol::kInline};
    if (rank.rank == 1) {
      Outgoing out(rank, key);
      send(rank, out, kTestShapes.inlined.slots);
      rank.transport.reset();
      rank.barrier();
    } else {
      rank.barrier();
      Incoming in(rank, key);
      receive(rank, in, kTestShapes.inlined.slots);
      rank.await_state(1, PeerState::kLeft);
    }
    rank.barrier();
  });
}

// Rank 1 has failed before rank 0 connects to it: rank 0 is refused, or hears of it afterwards; it must not wait for nothing.
TEST_P(PeerConformance, WhoComesLateHearsTheFarewellToo) {
  for (const PeerState how : {PeerState::kLeft, PeerState::kAborted}) {
    for (const bool as_sender : {true, false}) {
      run_connected(2, [how, as_sender](TestRank& rank) {
        if (rank.rank == 1) rank.transport->farewell(how);
        rank.barrier();
        if (rank.rank == 0) {
          const FifoKey key{.peer = 1};
          const Status status =
              as_sender ? rank.transport->sender(key, kConnect_s).status() : rank.transport->receiver(key, kConnect_s).status();
          if (status.ok()) {
            rank.await_state(1, how);
          } else {
            EXPECT_EQ(status.code(), Code::kRemote) << status.message();
          }
        }
        rank.barrier();
      });
    }
  }
}

// A rank that has failed and connects all the same is refused, or what it reaches hears of the failure; nobody takes it for dead.
TEST_P(PeerConformance, WhoIsReachedAfterTheFarewellHearsIt) {
  run_connected(2, [](TestRank& rank) {
    if (rank.rank == 1) {
      rank.transport->farewell(PeerState::kAborted);
      if (rank.transport->sender({.peer = 0}, kConnect_s).ok()) rank.meeting.mark(1, 0);
      rank.transport.reset();
      rank.barrier();
    } else {
      rank.barrier();
      if (rank.meeting.has_mark(1, 0)) rank.await_state(1, PeerState::kAborted);
      EXPECT_NE(rank.transport->peer_state(1), PeerState::kDied);
    }
    rank.barrier();
  });
}

// farewell() and peer_state() may come from any thread, while another moves data.
TEST_P(PeerConformance, AnyThreadMaySayFarewell) {
  run_connected(2, [](TestRank& rank) {
    Traffic traffic(rank);
    rank.barrier();
    std::jthread other([&] {
      rank.transport->farewell(PeerState::kAborted);
      EXPECT_TRUE(eventually([&] { return rank.transport->peer_state(1 - rank.rank) == PeerState::kAborted; }));
    });
    traffic.exchange(2000);  // the slots do not mind
    rank.barrier();
  });
}

// Ranks that come, exchange and go as they please, again and again.
TEST_P(PeerConformance, ManyLives) {
  run_connected(3, [](TestRank& rank) {
    for (int life = 0; life < 20; ++life) {
      if (rank.transport == nullptr) rank.open();
      Traffic(rank, {Protocol::kInline}).exchange(20);
      rank.transport.reset();
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Each, PeerConformance, ::testing::ValuesIn(kTransportsUnderTest), fixture_name);

}  // namespace
}  // namespace tutti
