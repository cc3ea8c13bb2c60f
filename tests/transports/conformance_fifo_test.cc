// Conformance: FIFOs deliver in order whatever is posted, hold back who is too fast, and stay where they are.
#include "tests/transports/traffic.h"

namespace tutti {
namespace {

class FifoConformance : public Conformance {};

TEST_P(FifoConformance, AddressIsBoundedAndConstant) {
  run_connected(2, [](TestRank& rank) {
    const std::vector<std::byte> before(rank.transport->address().begin(), rank.transport->address().end());
    EXPECT_LE(before.size(), Transport::kMaxAddressBytes);
    rank.sender(1 - rank.rank);
    rank.barrier();
    const std::vector<std::byte> after(rank.transport->address().begin(), rank.transport->address().end());
    EXPECT_EQ(before, after);
  });
}

TEST_P(FifoConformance, SaysWhatItIs) {
  run_connected(1, [](TestRank& rank) {
    EXPECT_GT(std::string(rank.transport->name()).size(), 0U);
    EXPECT_EQ(rank.transport->shapes(), kTestShapes);
  });
}

TEST_P(FifoConformance, AllPairsDeliverAllSizesInOrder) {
  for (const int nranks : {2, 3, 5}) {
    SCOPED_TRACE(nranks);
    run_connected(nranks, [](TestRank& rank) {
      Traffic traffic(rank);
      traffic.exchange(kTestShapes.staged.capacity + 2);
    });
  }
}

TEST_P(FifoConformance, AllChannelsAreStreamsOfTheirOwn) {
  run_connected(3, [](TestRank& rank) {
    Traffic traffic(rank, {Protocol::kInline, Protocol::kStaged}, kMaxChannels);
    traffic.exchange(300);
  });
}

TEST_P(FifoConformance, MessagesWaitForAReceiverThatComesLater) {
  run_connected(2, [](TestRank& rank) {
    const FifoKey key{.peer = 1 - rank.rank, .protocol = Protocol::kInline};
    if (rank.rank == 0) {
      Outgoing out(rank, key);
      send(rank, out, kTestShapes.inlined.slots);
      rank.barrier();
    } else {
      rank.barrier();
      Incoming in(rank, key);
      receive(rank, in, kTestShapes.inlined.slots);
      EXPECT_FALSE(in.try_receive());
    }
    rank.barrier();
  });
}

// The sender fills the slots, then stands until the receiver releases, one by one.
TEST_P(FifoConformance, BackPressure) {
  for (const Protocol protocol : {Protocol::kInline, Protocol::kStaged}) {
    run_connected(2, [protocol](TestRank& rank) {
      const uint32_t slots = kTestShapes.of(protocol).slots;
      if (rank.rank == 0) {
        FifoSender& out = rank.sender(1, protocol);
        for (uint32_t i = 0; i < slots; ++i) {
          ASSERT_TRUE(out.ready());
          out.post(1, 0);
        }
        EXPECT_FALSE(out.ready());
        for (uint32_t i = 0; i < 3 * slots; ++i) {
          rank.barrier();  // the receiver has looked at what is there, and released nothing
          rank.transport->progress();
          EXPECT_FALSE(out.ready());
          rank.barrier();
          rank.await_ready(out);
          out.post(1, 0);
        }
      } else {
        FifoReceiver& in = rank.receiver(0, protocol);
        for (uint32_t i = 0; i < 3 * slots; ++i) {
          rank.await_ready(in);
          rank.barrier();
          rank.barrier();
          in.release();
        }
      }
      rank.driving_barrier();
    });
  }
}

// Past the wrap of all that has 15 or 16 bits.
TEST_P(FifoConformance, LongTwoWayExchangeWithCreditsCarriedBack) {
  run_connected(2, [](TestRank& rank) {
    Traffic traffic(rank, {Protocol::kInline});
    traffic.exchange(70'000);
  });
}

// One message waits unread while many pass the other way: what it says of credits is old.
TEST_P(FifoConformance, AnOldMessageDoesNotSpoilTheCredits) {
  run_connected(2, [](TestRank& rank) {
    const FifoKey key{.peer = 1 - rank.rank, .protocol = Protocol::kInline};
    constexpr uint64_t kMany = uint64_t{1} << 15, kUnread = 4;
    constexpr uint64_t kFree = kTestShapes.inlined.slots - kUnread;
    Outgoing out(rank, key);
    Incoming in(rank, key);
    rank.barrier();
    if (rank.rank == 1) {
      send(rank, out, 1);
      receive(rank, in, kMany - kUnread);
      rank.driving_barrier();
      rank.driving_barrier();
      receive(rank, in, kUnread + kFree);
    } else {
      send(rank, out, kMany);
      rank.driving_barrier();
      receive(rank, in, 1);
      send(rank, out, kFree);
      EXPECT_FALSE(out.try_send());
      rank.driving_barrier();
    }
    rank.barrier();
  });
}

TEST_P(FifoConformance, EndsAreMadeOnceAndStayInPlace) {
  run_connected(3, [](TestRank& rank) {
    const int peer = (rank.rank + 1) % rank.nranks;
    FifoSender* const sender = &rank.sender(peer);
    FifoReceiver* const receiver = &rank.receiver(peer);
    for (int channel = 1; channel < kMaxChannels; ++channel) {
      rank.sender(peer, Protocol::kInline, channel);
      rank.receiver(peer, Protocol::kInline, channel);
      rank.sender((rank.rank + 2) % rank.nranks, Protocol::kStaged, channel);
    }
    EXPECT_EQ(&rank.sender(peer), sender);
    EXPECT_EQ(&rank.receiver(peer), receiver);
    EXPECT_NE(&rank.sender(peer, Protocol::kInline), sender);
    rank.barrier();
  });
}

// A communicator after another: none leaves descriptors behind.
TEST_P(FifoConformance, DescriptorsAreGivenBack) {
  run_connected(3, [](TestRank& rank) {
    size_t before = 0;
    for (int round = 0; round < 4; ++round) {
      if (rank.transport == nullptr) rank.open();
      Traffic(rank).exchange(10);
      rank.barrier();
      rank.transport.reset();
      for (int turn = 0; turn < rank.nranks; ++turn) {  // one looks at a time: looking takes a descriptor
        rank.barrier();
        if (turn != rank.rank) continue;
        const size_t now = open_descriptors();
        if (round == 0) before = now;
        EXPECT_EQ(now, before) << "after round " << round;
      }
      rank.barrier();
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Each, FifoConformance, ::testing::ValuesIn(kTransportsUnderTest), fixture_name);

}  // namespace
}  // namespace tutti
