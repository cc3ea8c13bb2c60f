// Groups: several collectives of several communicators, in an order of each rank's own, by many threads or by one; what a refused call in
// them does; and barriers.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>

#include "mail.h"
#include "nothing_wrong.h"
#include "random.h"
#include "rank_call.h"

namespace tutti::test {
namespace {

constexpr Kind kSomeKinds[] = {Kind::kAllReduce, Kind::kAllGather, Kind::kBroadcast, Kind::kAllToAll, Kind::kReduceScatter, Kind::kBarrier};

using Oracles = std::vector<std::shared_ptr<const Oracle>>;

// `calls` collectives, small and of several slices.
Oracles some_calls(size_t calls, int nranks, uint64_t seed) {
  Random random(seed);
  Oracles oracles;
  for (size_t i = 0; i < calls; ++i) {
    const Call call = {.kind = kSomeKinds[random.below(std::size(kSomeKinds))],
                       .type = all_types()[random.below(size_t{kTypes})].type,
                       .op = static_cast<Op>(random.below(kOps)),
                       .root = random.below(nranks),
                       .count = random.one_in(4) ? size_t{40'000} : random.below(size_t{50}),
                       .seed = random.next()};
    oracles.push_back(std::make_shared<const Oracle>(call, nranks));
  }
  return oracles;
}

// One rank's calls on one communicator; they are made in their order.
struct Sequence {
  const Member* member;
  std::vector<RankCall> calls;
  size_t next = 0;
};

Sequence make_sequence(const Oracles& oracles, int rank, const Member& member, uint64_t seed) {
  Sequence sequence{.member = &member, .calls = {}, .next = 0};
  for (size_t i = 0; i < oracles.size(); ++i) {
    sequence.calls.emplace_back(oracles[i], rank, random_layout(mixed(mixed(seed, i), static_cast<uint64_t>(rank))));
  }
  return sequence;
}

// The sequences' calls, whose turn it is drawn by lot.
Finding issue_shuffled(std::vector<Sequence>& sequences, Random& random) {
  std::vector<size_t> turns;
  for (size_t i = 0; i < sequences.size(); ++i) turns.insert(turns.end(), sequences[i].calls.size(), i);
  random.shuffle(turns);
  for (const size_t turn : turns) {
    Sequence& sequence = sequences[turn];
    const tuttiResult_t result = sequence.calls[sequence.next++].issue(*sequence.member, nullptr);
    if (result != tuttiSuccess) return expect_success(result, "a call of a group", sequence.member->comm);
  }
  return {};
}

Finding check_all(const std::vector<Sequence>& sequences) {
  Finding found;
  for (const Sequence& sequence : sequences) {
    for (const RankCall& call : sequence.calls) found += call.check();
  }
  return found;
}

class Groups : public ::testing::Test {
 protected:
  void TearDown() override { forget_worlds(); }

  World& world(int nranks, double timeout_s = 120) {
    Finding found;
    World& made = world_of({.nranks = nranks, .timeout_s = timeout_s}, found);
    EXPECT_TRUE(nothing_wrong(found));
    return made;
  }
};

TEST_F(Groups, OfSeveralCommunicators) {
  // Different timeouts: three worlds of equal ranks.
  World &a = world(4, 100), &b = world(4, 101), &c = world(4, 102);
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Oracles of_a = some_calls(3, 4, 3 * seed), of_b = some_calls(2, 4, 3 * seed + 1), of_c = some_calls(4, 4, 3 * seed + 2);
    const Finding found = team().run(4, [&](int rank) -> Finding {
      Random random(mixed(seed, static_cast<uint64_t>(rank)));
      std::vector<Sequence> sequences = {make_sequence(of_a, rank, a.member(rank), seed), make_sequence(of_b, rank, b.member(rank), seed),
                                         make_sequence(of_c, rank, c.member(rank), seed)};
      static_cast<void>(tuttiGroupStart());
      Finding issued = issue_shuffled(sequences, random);
      issued += expect_success(tuttiGroupEnd(), "group end");
      return issued.empty() ? check_all(sequences) : issued;
    });
    ASSERT_TRUE(nothing_wrong(found)) << "seed " << seed;
  }
}

TEST_F(Groups, OneThreadDrivesAllRanksOfTwoCommunicators) {
  World &a = world(3), &b = world(5);
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Oracles of_a = some_calls(3, 3, 2 * seed), of_b = some_calls(2, 5, 2 * seed + 1);
    std::vector<Sequence> sequences;
    for (int rank = 0; rank < 3; ++rank) sequences.push_back(make_sequence(of_a, rank, a.member(rank), seed));
    for (int rank = 0; rank < 5; ++rank) sequences.push_back(make_sequence(of_b, rank, b.member(rank), seed));
    Random random(seed);
    ASSERT_EQ(tuttiGroupStart(), tuttiSuccess);
    EXPECT_TRUE(nothing_wrong(issue_shuffled(sequences, random)));
    ASSERT_EQ(tuttiGroupEnd(), tuttiSuccess) << tuttiGetLastError(nullptr);
    ASSERT_TRUE(nothing_wrong(check_all(sequences))) << "seed " << seed;
  }
}

TEST_F(Groups, Nest) {
  World& two = world(2);
  float in[2] = {1, 2}, out[2] = {0, 0};
  ASSERT_EQ(tuttiGroupStart(), tuttiSuccess);
  for (int rank = 0; rank < 2; ++rank) {
    ASSERT_EQ(tuttiGroupStart(), tuttiSuccess);
    EXPECT_EQ(tuttiAllReduce(&in[rank], &out[rank], 1, tuttiFloat32, tuttiSum, two.comm(rank), nullptr), tuttiSuccess);
    ASSERT_EQ(tuttiGroupEnd(), tuttiSuccess);  // would wait for ever if it started anything
    EXPECT_EQ(out[rank], 0);
  }
  ASSERT_EQ(tuttiGroupEnd(), tuttiSuccess);
  EXPECT_EQ(out[0], 3);
  EXPECT_EQ(out[1], 3);
  EXPECT_EQ(tuttiGroupEnd(), tuttiInvalidUsage);  // one too many
  ASSERT_EQ(tuttiGroupStart(), tuttiSuccess);     // and an empty one
  EXPECT_EQ(tuttiGroupEnd(), tuttiSuccess);
}

// A refused call stops the whole group before anything has started: the communicator goes on as if there had been none.
TEST_F(Groups, OneRefusedCallStartsNothing) {
  World& two = world(2);
  float in[2] = {1, 2}, out[2] = {0, 0};
  ASSERT_EQ(tuttiGroupStart(), tuttiSuccess);
  EXPECT_EQ(tuttiAllReduce(&in[0], &out[0], 1, tuttiFloat32, tuttiSum, two.comm(0), nullptr), tuttiSuccess);
  EXPECT_EQ(tuttiBroadcast(&in[1], &out[1], 1, tuttiFloat32, 7, two.comm(1), nullptr), tuttiInvalidArgument);
  EXPECT_EQ(tuttiGroupEnd(), tuttiInvalidArgument);
  EXPECT_NE(std::string(tuttiGetLastError(nullptr)).find("root"), std::string::npos);
  EXPECT_EQ(out[0], 0);
  const Oracles again = some_calls(5, 2, 5);
  const Finding found = two.run([&](int rank, const Member& member) {
    Finding wrong;
    for (const auto& oracle : again) wrong += RankCall(oracle, rank, {}).run(member);
    return wrong;
  });
  EXPECT_TRUE(nothing_wrong(found));
}

TEST_F(Groups, MakeCommunicators) {
  tuttiComm_t comms[4] = {};
  tuttiUniqueId id;
  ASSERT_EQ(tuttiGetUniqueId(&id), tuttiSuccess);
  ASSERT_EQ(tuttiGroupStart(), tuttiSuccess);
  for (int rank = 0; rank < 4; ++rank) ASSERT_EQ(tuttiCommInitRank(&comms[rank], 4, id, rank), tuttiSuccess);
  ASSERT_EQ(tuttiGroupEnd(), tuttiSuccess);
  ASSERT_EQ(tuttiGroupStart(), tuttiSuccess);
  for (tuttiComm_t comm : comms) ASSERT_EQ(tuttiBarrier(comm, nullptr), tuttiSuccess);
  EXPECT_EQ(tuttiGroupEnd(), tuttiSuccess);
  for (tuttiComm_t comm : comms) EXPECT_EQ(tuttiCommDestroy(comm), tuttiSuccess);
}

// Collectives of a communicator between its sends and receives, in one group.
TEST_F(Groups, CollectivesAmongSendsAndReceives) {
  World& four = world(4);
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const Oracles oracles = some_calls(3, 4, seed);
    std::vector<Message> messages;
    for (int from = 0; from < 4; ++from) {
      for (int to = 0; to < 4; ++to) messages.push_back({.from = from, .to = to, .count = 1000 * seed * seed, .seed = mixed(from, to)});
    }
    const Finding found = four.run([&](int rank, const Member& member) -> Finding {
      const uint64_t own = mixed(seed, static_cast<uint64_t>(rank)) | 1;
      Random random(own);
      RankMail mail(messages, rank, own);
      std::vector<Sequence> sequences = {make_sequence(oracles, rank, member, seed)};
      Finding issued;
      static_cast<void>(tuttiGroupStart());
      const size_t before = random.below(mail.calls());
      for (size_t i = 0; i < before; ++i) issued += expect_success(mail.issue(i, member, nullptr), "mail", member.comm);
      issued += issue_shuffled(sequences, random);
      for (size_t i = before; i < mail.calls(); ++i) issued += expect_success(mail.issue(i, member, nullptr), "mail", member.comm);
      issued += expect_success(tuttiGroupEnd(), "group end", member.comm);
      return issued.empty() ? mail.check() + check_all(sequences) : issued;
    });
    ASSERT_TRUE(nothing_wrong(found)) << "seed " << seed;
  }
}

// Nobody leaves before all have entered.
TEST(Barrier, HoldsEverybody) {
  for (const int nranks : {1, 2, 5, 8}) {
    Finding found;
    World& world = world_of({.nranks = nranks}, found);
    ASSERT_TRUE(nothing_wrong(found));
    constexpr int kRounds = 100;
    std::array<std::atomic<int>, kRounds> entered{};
    found = world.run([&](int rank, const Member& member) -> Finding {
      Random random(static_cast<uint64_t>(rank));
      for (auto& round : entered) {
        if (random.one_in(16)) std::this_thread::sleep_for(std::chrono::microseconds(random.below(500)));
        round.fetch_add(1, std::memory_order_relaxed);  // the barrier itself must order it
        const tuttiResult_t result = tuttiBarrier(member.comm, nullptr);
        if (result != tuttiSuccess) return expect_success(result, "barrier", member.comm);
        const int seen = round.load(std::memory_order_relaxed);
        if (seen != nranks) return "left when " + std::to_string(seen) + " had entered";
      }
      return {};
    });
    ASSERT_TRUE(nothing_wrong(found)) << nranks << " ranks";
  }
}

}  // namespace
}  // namespace tutti::test
