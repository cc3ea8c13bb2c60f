// Seeded mutations of everything that a stranger or a broken peer can send: decoders may refuse, and may not crash, hang or read past
// their input (run it under AddressSanitizer). A failure prints its seed.
#include <gtest/gtest.h>

#include <future>
#include <random>

#include "comm/bootstrap.h"
#include "tests/comm/raw_guest.h"

namespace tutti {
namespace {

constexpr int kPureRounds = 20000;
constexpr int kSocketRounds = 2000;

class Mutator {
 public:
  explicit Mutator(unsigned seed) : random_(seed) {}

  size_t below(size_t bound) { return std::uniform_int_distribution<size_t>(0, bound - 1)(random_); }

  // One to four changes: a flipped bit, an overwritten byte, a cut, an insertion, or an extreme 32-bit number.
  Bytes operator()(Bytes bytes) {
    for (size_t left = 1 + below(4); left != 0; --left) {
      if (bytes.empty()) bytes.push_back(std::byte{0});
      const size_t at = below(bytes.size());
      switch (below(5)) {
        case 0: bytes[at] ^= static_cast<std::byte>(1u << below(8)); break;
        case 1: bytes[at] = static_cast<std::byte>(below(256)); break;
        case 2: bytes.resize(at); break;
        case 3: bytes.insert(bytes.begin() + static_cast<ptrdiff_t>(at), 1 + below(9), static_cast<std::byte>(below(256))); break;
        case 4: overwrite(bytes, at, kExtremes[below(std::size(kExtremes))]); break;
      }
    }
    return bytes;
  }

 private:
  static constexpr uint32_t kExtremes[] = {0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffc, 4096, 4097};

  static void overwrite(Bytes& bytes, size_t at, uint32_t value) {
    for (size_t i = 0; i < 4 && at + i < bytes.size(); ++i) bytes[at + i] = static_cast<std::byte>(value >> (8 * i));
  }

  std::mt19937 random_;
};

TEST(Fuzz, HelloDecoder) {
  const Bytes whole =
      encode_hello({.build = {.version = "100", .id = "abc", .host = "h"}, .rank = 2, .nranks = 4, .meeting = 1, .timeout_s = 3});
  int accepted = 0;
  for (int seed = 0; seed < kPureRounds; ++seed) {
    SCOPED_TRACE(seed);
    Mutator mutate(static_cast<unsigned>(seed));
    const std::optional<Hello> hello = decode_hello(mutate(whole));
    if (!hello) continue;
    ++accepted;
    if (hello->build.protocol != kProtocolVersion) continue;  // then nothing else is read
    ASSERT_LT(hello->rank, hello->nranks);
    ASSERT_LE(hello->nranks, uint32_t{kMaxRanks});
    ASSERT_GE(hello->timeout_s, 0);
  }
  EXPECT_GT(accepted, 0) << "every mutant was refused: the mutations are too coarse to reach past the length checks";
  EXPECT_LT(accepted, kPureRounds);
}

TEST(Fuzz, FrameDecoderInRandomPieces) {
  constexpr size_t kBound = 256;
  Bytes stream;
  for (const size_t length : {0u, 1u, 100u, 256u}) {
    const Bytes frame = encode_frame(FrameType::kJoin, Bytes(length, std::byte{3}));
    stream.insert(stream.end(), frame.begin(), frame.end());
  }
  int broken = 0;
  for (int seed = 0; seed < kPureRounds; ++seed) {
    SCOPED_TRACE(seed);
    Mutator mutate(static_cast<unsigned>(seed));
    const Bytes bytes = mutate(stream);
    FrameDecoder decoder(kBound);
    bool ok = true;
    for (size_t at = 0; at < bytes.size() && ok;) {
      const size_t piece = std::min(bytes.size() - at, 1 + mutate.below(64));
      decoder.feed(std::span(bytes).subspan(at, piece));
      at += piece;
      for (;;) {
        const Result<std::optional<Frame>> next = decoder.next();
        ok = next.ok();
        if (!ok || !next.value().has_value()) break;
        ASSERT_LE(next.value()->body.size(), kBound);
      }
    }
    if (!ok) ++broken;
  }
  EXPECT_GT(broken, 0);
  EXPECT_LT(broken, kPureRounds);
}

// What guests send to a living listener: the hello's frame, and the join's with a proof that is right.
TEST(Fuzz, ListenerSurvivesMutatedGuests) {
  const Result<RendezvousId> opened = open_rendezvous();
  ASSERT_TRUE(opened.ok());
  const RendezvousId& id = opened.value();
  for (int seed = 0; seed < kSocketRounds; ++seed) {
    SCOPED_TRACE(seed);
    Mutator mutate(static_cast<unsigned>(seed));
    const Hello hello = make_hello(1, 2, 1 + static_cast<uint32_t>(seed));
    RawGuest guest(id);
    if (seed % 2 == 0) {
      guest.send(mutate(encode_frame(FrameType::kHello, encode_hello(hello))));
      continue;
    }
    const std::optional<Mac> proof = guest.introduce(id.key, hello);
    ASSERT_TRUE(proof);
    Bytes body = join_body(*proof, arrival_bytes());
    if (seed % 4 == 1) {
      guest.send(mutate(encode_frame(FrameType::kJoin, body)));
    } else {  // past the proof
      const Bytes rest = mutate(Bytes(body.begin() + sizeof(Mac), body.end()));
      body.resize(sizeof(Mac));
      body.insert(body.end(), rest.begin(), rest.end());
      guest.send(FrameType::kJoin, body);
    }
  }
  auto zero = std::async(std::launch::async, [&] { return join_table(id, {.rank = 0, .nranks = 2}, {}); });
  EXPECT_TRUE(join_table(id, {.rank = 1, .nranks = 2}, {}).ok());
  EXPECT_TRUE(zero.get().ok());
}

// What a rank is told by a listener that knows the key but has lost its mind: mutated places and refusals.
TEST(Fuzz, ClientSurvivesMutatedAnswers) {
  const FakeListener fake = open_fake_listener();
  const Bytes place_body = encode_place({.position = 1, .parent = 2, .parent_control = fake.id.control_address(), .children = {0}, .child_names = {"rank 0"}});
  const Bytes refusal_body = encode_refusal({Code::kTimeout, "a sentence"});
  int believed = 0;
  for (int seed = 0; seed < kSocketRounds; ++seed) {
    SCOPED_TRACE(seed);
    Mutator mutate(static_cast<unsigned>(seed));
    auto joined = std::async(std::launch::async, [&] { return join_rendezvous(fake.id, {.rank = 0, .nranks = 3}, {}, deadline_after(60)); });
    {
      RawGuest guest = accept_guest(fake);
      const std::optional<Frame> hello = guest.receive();
      ASSERT_TRUE(hello);
      ByteWriter challenge;
      const Nonce nonce{};
      challenge.raw(nonce);
      challenge.raw(handshake_proof(fake.id.key, Role::kListener, nonce, hello->body));
      guest.send(FrameType::kChallenge, challenge.take());
      ASSERT_TRUE(guest.receive());
      const bool refuse = seed % 2 == 0;
      const Bytes& body = refuse ? refusal_body : place_body;
      const FrameType type = refuse ? FrameType::kRefuse : FrameType::kPlace;
      seed % 4 < 2 ? guest.send(type, mutate(body)) : guest.send(mutate(encode_frame(type, body)));
    }  // closes, so that a client that waits for more goes on
    const Result<Seated> result = joined.get();
    if (!result.ok()) continue;
    ++believed;
    ASSERT_LT(result.value().place.position, 3u);
    ASSERT_LT(result.value().place.parent, 3);
    ASSERT_LE(result.value().place.children.size(), kTreeArity);
  }
  EXPECT_GT(believed, 0);
}

// What a rank learns from a broken peer: mutated members. bootstrap() believes a member or refuses it; nothing else.
TEST(Fuzz, BootstrapSurvivesMutatedMembers) {
  const Result<RendezvousId> opened = open_rendezvous();
  ASSERT_TRUE(opened.ok());
  const RendezvousId& id = opened.value();
  Config config;
  config.transports = "shm";
  const Member self = make_member(0, config, Bytes(16));
  const auto meet = [&](uint32_t meeting, std::span<const std::byte> peers) {
    auto zero = std::async(std::launch::async, [&, meeting] { return bootstrap(id, {.rank = 0, .nranks = 2, .meeting = meeting}, self); });
    auto table = join_table(id, {.rank = 1, .nranks = 2, .meeting = meeting}, peers);
    EXPECT_TRUE(table.ok());
    return std::pair(zero.get(), std::move(table));
  };
  const Bytes template_bytes = meet(0, {}).second.value()[0];
  int believed = 0, refused = 0;
  for (int seed = 1; seed <= kSocketRounds; ++seed) {
    SCOPED_TRACE(seed);
    Mutator mutate(static_cast<unsigned>(seed));
    Bytes member = template_bytes;
    member[0] = std::byte{1};  // its rank
    member = mutate(member);
    member.resize(std::min(member.size(), kMaxJoinBytes));
    const Result<Membership> result = meet(static_cast<uint32_t>(seed), member).first;
    ++(result.ok() ? believed : refused);
    if (result.ok()) {
      ASSERT_EQ(result.value().members[1].rank, 1);
    }
  }
  EXPECT_GT(believed, 0);
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace tutti
