// The listener among strangers: whatever connects to it and says whatever, the ranks that know the key still meet.
#include <gtest/gtest.h>

#include <future>

#include "tests/comm/raw_guest.h"

namespace tutti {
namespace {

class Guests : public ::testing::Test {
 protected:
  void SetUp() override {
    const Result<RendezvousId> opened = open_rendezvous();
    ASSERT_TRUE(opened.ok());
    id_ = opened.value();
  }

  std::future<Result<std::vector<Bytes>>> join_async(int rank, int nranks) {
    return std::async(std::launch::async, [this, rank, nranks] { return join_rendezvous(id_, {.rank = rank, .nranks = nranks}, {}); });
  }

  // Rank 0 is already waiting when `disturb` runs; rank 1 comes after it.
  template <class Disturb>
  void expect_undisturbed(const Disturb& disturb) {
    auto zero = join_async(0, 2);
    disturb();
    const auto one = join_rendezvous(id_, {.rank = 1, .nranks = 2}, {});
    EXPECT_TRUE(one.ok()) << one.status().message();
    EXPECT_TRUE(zero.get().ok());
  }

  RendezvousId id_;
};

TEST_F(Guests, GarbageIsDropped) {
  expect_undisturbed([&] {
    RawGuest guest(id_);
    guest.send(Bytes(1000, std::byte{0xaa}));
    EXPECT_TRUE(guest.closed_without_a_word());
  });
}

TEST_F(Guests, AnOversizedFrameIsDroppedAtItsHeader) {
  expect_undisturbed([&] {
    Bytes header = encode_frame(FrameType::kHello, Bytes(1 << 16));
    header.resize(12);
    RawGuest guest(id_);
    guest.send(header);
    EXPECT_TRUE(guest.closed_without_a_word());
  });
}

TEST_F(Guests, AMalformedHelloIsDropped) {
  expect_undisturbed([&] {
    RawGuest guest(id_);
    guest.send(FrameType::kHello, Bytes(20));
    EXPECT_TRUE(guest.closed_without_a_word());
  });
}

TEST_F(Guests, FramesOutOfTurnAreDropped) {
  expect_undisturbed([&] {
    for (const FrameType type :
         {FrameType::kJoin, FrameType::kTable, FrameType::kRefuse, FrameType::kChallenge, static_cast<FrameType>(99)}) {
      RawGuest guest(id_);
      guest.send(type, encode_hello(make_hello(1, 2)));
      EXPECT_TRUE(guest.closed_without_a_word()) << static_cast<int>(type);
    }
    RawGuest twice(id_);
    ASSERT_TRUE(twice.introduce(id_.key, make_hello(1, 2)));
    twice.send(FrameType::kHello, encode_hello(make_hello(1, 2)));
    EXPECT_TRUE(twice.closed_without_a_word());
  });
}

TEST_F(Guests, AConnectionCutInTheMiddleOfAFrameIsForgotten) {
  expect_undisturbed([&] {
    const Bytes hello = encode_frame(FrameType::kHello, encode_hello(make_hello(1, 2)));
    for (size_t length = 0; length < hello.size(); length += 7) RawGuest(id_).send(std::span(hello).first(length));
  });
}

TEST_F(Guests, AWrongProofIsDroppedAndTakesNoSeat) {
  expect_undisturbed([&] {
    RawGuest guest(id_);
    std::optional<Mac> proof = guest.introduce(id_.key, make_hello(1, 2));
    ASSERT_TRUE(proof);
    (*proof)[0] ^= std::byte{1};
    guest.send(FrameType::kJoin, join_body(*proof, {}));
    EXPECT_TRUE(guest.closed_without_a_word());
  });
}

TEST_F(Guests, AReplayedJoinIsDropped) {
  expect_undisturbed([&] {
    const Hello hello = make_hello(1, 2);
    RawGuest first(id_);
    const std::optional<Mac> overheard = first.introduce(id_.key, hello);
    ASSERT_TRUE(overheard);
    RawGuest replay(id_);
    ASSERT_TRUE(replay.introduce(id_.key, hello));
    replay.send(FrameType::kJoin, join_body(*overheard, {}));
    EXPECT_TRUE(replay.closed_without_a_word());
  });
}

TEST_F(Guests, AJoinWithAWrongLengthIsDropped) {
  expect_undisturbed([&] {
    for (const int off : {-1, +1}) {
      RawGuest guest(id_);
      const std::optional<Mac> proof = guest.introduce(id_.key, make_hello(1, 2));
      ASSERT_TRUE(proof);
      ByteWriter writer;
      writer.raw(*proof);
      writer.u32(static_cast<uint32_t>(4 + off));
      writer.raw(Bytes(4));
      guest.send(FrameType::kJoin, writer.take());
      EXPECT_TRUE(guest.closed_without_a_word());
    }
  });
}

TEST_F(Guests, AnotherVersionIsToldSoAndTakesNoSeat) {
  expect_undisturbed([&] {
    Hello old_version = make_hello(1, 2);
    old_version.version += "9";
    Hello old_protocol = make_hello(1, 2);
    old_protocol.protocol = 0;
    for (const Hello& hello : {old_version, old_protocol}) {
      RawGuest guest(id_);
      ASSERT_TRUE(guest.join(id_.key, hello, {}));
      const std::string told = refusal_text(guest.receive());
      EXPECT_NE(told.find("install one version everywhere"), std::string::npos) << told;
      EXPECT_EQ(told.find(std::to_string(tuttiInvalidUsage)), 0u) << told;
    }
  });
}

TEST_F(Guests, IdleConnectionsAreNoMatter) {
  std::vector<RawGuest> idle;
  expect_undisturbed([&] {
    for (int i = 0; i < 100; ++i) idle.emplace_back(id_);
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(idle[static_cast<size_t>(i)].introduce(id_.key, make_hello(1, 2)));  // then silent
  });
}

TEST_F(Guests, ASlowTalkerIsWaitedForAndHoldsUpNobodyElse) {
  const Bytes hello_body = encode_hello(make_hello(1, 2));
  const Bytes hello = encode_frame(FrameType::kHello, hello_body);
  RawGuest slow(id_);
  ASSERT_TRUE(slow.send_slowly(std::span(hello).first(hello.size() / 2)));
  auto alone = std::async(std::launch::async, [&] { return join_rendezvous(id_, {.rank = 0, .nranks = 1, .meeting = 7}, {}); });
  EXPECT_TRUE(alone.get().ok());
  auto zero = join_async(0, 2);
  ASSERT_TRUE(slow.send_slowly(std::span(hello).subspan(hello.size() / 2)));
  const std::optional<Frame> challenge = slow.receive();
  ASSERT_TRUE(challenge && challenge->type == FrameType::kChallenge);
  ByteReader reader(challenge->body);
  const Mac proof = rendezvous_proof(id_.key, Role::kRank, reader.array<Nonce>(), hello_body);
  ASSERT_TRUE(slow.send_slowly(encode_frame(FrameType::kJoin, join_body(proof, {}))));
  const std::optional<Frame> table = slow.receive();
  ASSERT_TRUE(table && table->type == FrameType::kTable);
  EXPECT_TRUE(zero.get().ok());
}

TEST_F(Guests, ARankThatDisappearsIsNamedToAll) {
  auto zero = join_async(0, 3);
  {
    RawGuest one(id_);
    ASSERT_TRUE(one.join(id_.key, make_hello(1, 3), {}));
  }
  const auto two = join_async(2, 3).get();
  for (const auto& result : {zero.get(), two}) {
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.status().code(), Code::kRemote);
    EXPECT_NE(result.status().message().find("rank 1 ended before all ranks had come"), std::string::npos) << result.status().message();
  }
}

TEST_F(Guests, AGuestThatGoesOnTalkingAfterItsJoinHarmsNobody) {
  expect_undisturbed([&] {
    RawGuest one(id_);
    ASSERT_TRUE(one.join(id_.key, make_hello(0, 1, 5), {}));  // a meeting of its own, complete at once
    one.send(Bytes(100000, std::byte{0x11}));
  });
}

}  // namespace
}  // namespace tutti
