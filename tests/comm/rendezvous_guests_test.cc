// The listener among strangers: whatever connects to it and says whatever, the ranks that know the key still meet.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <functional>
#include <future>
#include <thread>

#include "base/build_id.h"
#include "base/host.h"
#include "tests/comm/raw_guest.h"
#include "tests/support/eventually.h"

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
    return std::async(std::launch::async, [this, rank, nranks] { return join_table(id_, {.rank = rank, .nranks = nranks}, {}); });
  }

  // Rank 0 is already waiting when `disturb` runs; rank 1 comes after it.
  template <class Disturb>
  void expect_undisturbed(const Disturb& disturb) {
    auto zero = join_async(0, 2);
    disturb();
    const auto one = join_table(id_, {.rank = 1, .nranks = 2}, {});
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
    guest.send(FrameType::kHello, Bytes(19));
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
    guest.send(FrameType::kJoin, join_body(*proof, arrival_bytes()));
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
    replay.send(FrameType::kJoin, join_body(*overheard, arrival_bytes()));
    EXPECT_TRUE(replay.closed_without_a_word());
  });
}

TEST_F(Guests, AJoinWithAWrongLengthIsDropped) {
  expect_undisturbed([&] {
    for (const int off : {-1, +1}) {
      RawGuest guest(id_);
      const std::optional<Mac> proof = guest.introduce(id_.key, make_hello(1, 2));
      ASSERT_TRUE(proof);
      Bytes arrival = arrival_bytes();
      arrival.resize(arrival.size() + static_cast<size_t>(off));
      guest.send(FrameType::kJoin, join_body(*proof, arrival));
      EXPECT_TRUE(guest.closed_without_a_word());
    }
  });
}

// Refused by name on both sides: whoever came before and whoever comes later hears which builds met.
TEST_F(Guests, AnotherBuildIsToldToAll) {
  const struct {
    std::function<void(Build&)> change;
    std::string told;
  } kCases[] = {{[](Build& b) { b.version = "9.9.9"; }, "runs Tutti 9.9.9 (protocol"},
                {[](Build& b) { b.id = "feedbeef"; }, "build feedbeef"},
                {[](Build& b) { b.protocol = kProtocolVersion + 1; }, "(protocol " + std::to_string(kProtocolVersion)}};
  for (const auto& each : kCases) {
    SetUp();
    Hello hello = make_hello(2, 3);
    each.change(hello.build);
    hello.build.host = "elsewhere";
    // Another protocol's hello does not say for which meeting it came.
    const bool meets = hello.build.protocol == kProtocolVersion;
    std::future<Result<std::vector<Bytes>>> zero;
    if (meets) zero = join_async(0, 3);
    const auto two = [&] {
      RawGuest guest(id_);
      EXPECT_TRUE(guest.join(id_.key, hello, arrival_bytes()));
      return refusal_text(guest.receive());
    };
    const std::string told_to_it = two();
    EXPECT_EQ(told_to_it.find(std::to_string(tuttiInvalidUsage)), 0u) << told_to_it;
    std::vector<std::string> told = {told_to_it};
    if (meets) {
      told.push_back(join_async(1, 3).get().status().message());
      told.push_back(zero.get().status().message());
    }
    for (const std::string& text : told) {
      for (const std::string& fragment : {std::string("rank 2 (host elsewhere) "), each.told, "the rendezvous (host " + host_name(),
                                          "build " + build_id(), std::string("install one build everywhere")}) {
        EXPECT_NE(text.find(fragment), std::string::npos) << fragment << " is not in: " << text;
      }
    }
  }
}

TEST_F(Guests, IdleConnectionsAreNoMatter) {
  std::vector<RawGuest> idle;
  expect_undisturbed([&] {
    for (int i = 0; i < 100; ++i) idle.emplace_back(id_);
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(idle[static_cast<size_t>(i)].introduce(id_.key, make_hello(1, 2)));  // then silent
  });
}

TEST_F(Guests, ASlowTalkerIsWaitedForAndHoldsUpNobodyElse) {
  const Bytes hello_body = encode_hello(make_hello(0, 1, 9));
  const Bytes hello = encode_frame(FrameType::kHello, hello_body);
  RawGuest slow(id_);
  ASSERT_TRUE(slow.send_slowly(std::span(hello).first(hello.size() / 2)));
  auto alone = std::async(std::launch::async, [&] { return join_table(id_, {.rank = 0, .nranks = 1, .meeting = 7}, {}); });
  EXPECT_TRUE(alone.get().ok());
  ASSERT_TRUE(slow.send_slowly(std::span(hello).subspan(hello.size() / 2)));
  const std::optional<Frame> challenge = slow.receive();
  ASSERT_TRUE(challenge && challenge->type == FrameType::kChallenge);
  ByteReader reader(challenge->body);
  const Mac proof = handshake_proof(id_.key, Role::kRank, reader.array<Nonce>(), hello_body);
  ASSERT_TRUE(slow.send_slowly(encode_frame(FrameType::kJoin, join_body(proof, arrival_bytes()))));
  const std::optional<Frame> place = slow.receive();
  ASSERT_TRUE(place && place->type == FrameType::kPlace);
  EXPECT_TRUE(decode_place(place->body, 1));
}

TEST_F(Guests, ARankThatDisappearsIsNamedToAll) {
  auto zero = join_async(0, 3);
  {
    RawGuest one(id_);
    ASSERT_TRUE(one.join(id_.key, make_hello(1, 3), arrival_bytes()));
  }
  const auto two = join_async(2, 3).get();
  for (const auto& result : {zero.get(), two}) {
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.status().code(), Code::kRemote);
    EXPECT_NE(result.status().message().find("rank 1 (host "), std::string::npos) << result.status().message();
    EXPECT_NE(result.status().message().find(") ended before all ranks had come"), std::string::npos) << result.status().message();
  }
}

// Nobody needs it, so nobody can attack it.
TEST(Listener, OfOneCommunicatorClosesWhenThatHasMet) {
  const Result<RendezvousId> id = open_rendezvous();
  ASSERT_TRUE(id.ok());
  ASSERT_TRUE(join_table(id.value(), {.rank = 0, .nranks = 1}, {}).ok());
  EXPECT_TRUE(eventually([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    const SocketAddress address = SocketAddress::of(id.value().control_address());
    const Fd fd(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    return fd && connect(fd.get(), address.get(), address.length) != 0 && errno == ECONNREFUSED;
  }));
}

// Further communicators of a launcher's job meet there.
TEST(Listener, OfAJobStays) {
  const Result<RendezvousId> id = open_rendezvous();
  ASSERT_TRUE(id.ok());
  for (const uint32_t meeting : {1, 2}) {
    ASSERT_TRUE(join_table(id.value(), {.rank = 0, .nranks = 1, .meeting = meeting}, {}).ok());
    std::this_thread::sleep_for(std::chrono::milliseconds(2500));
  }
  ASSERT_TRUE(join_table(id.value(), {.rank = 0, .nranks = 1, .meeting = 3}, {}).ok());
}

TEST_F(Guests, AGuestThatGoesOnTalkingAfterItsJoinHarmsNobody) {
  expect_undisturbed([&] {
    RawGuest one(id_);
    ASSERT_TRUE(one.join(id_.key, make_hello(0, 1, 5), arrival_bytes()));  // a meeting of its own, complete at once
    one.send(Bytes(100000, std::byte{0x11}));
  });
}

}  // namespace
}  // namespace tutti
