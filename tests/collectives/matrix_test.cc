// Algorithm x collective x ranks x count x in and out of place x root, all ranks as threads of this process. Types and reductions rotate
// here; types_test.cc has all of them.
#include <gtest/gtest.h>

#include <initializer_list>
#include <set>

#include "forced.h"
#include "nothing_wrong.h"
#include "random.h"
#include "rank_call.h"

namespace tutti::test {
namespace {

constexpr size_t kSlotBytes = 64 << 10;  // TUTTI_SLOT_BYTES' default: what "several slices" is measured by

constexpr Kind kEvenKinds[] = {Kind::kAllReduce, Kind::kAllGather, Kind::kReduceScatter, Kind::kBroadcast, Kind::kReduce,
                               Kind::kGather,    Kind::kScatter,   Kind::kAllToAll,      Kind::kBarrier};

std::vector<size_t> counts_for(Kind kind, int nranks, size_t elem_bytes) {
  if (kind == Kind::kBarrier) return {0};
  if (nranks > 9) return {1, 1003};
  std::vector<size_t> counts = {0, 1, 17, 20'011};
  // Of the collectives whose blocks do not grow with the ranks, an algorithm may cut `count` by the ranks and by two channels.
  const size_t pieces = kind == Kind::kAllReduce ? 2 * static_cast<size_t>(nranks) : 2;
  if (nranks == 3 || nranks == 8) counts.push_back(pieces * 5 * kSlotBytes / 2 / elem_bytes + 3);
  return counts;
}

std::set<int> roots_for(Kind kind, int nranks, size_t count) {
  if (!has_root(kind)) return {0};
  if (count > 100) return {nranks / 3};
  return {0, nranks / 2, nranks - 1};
}

class Matrix : public ::testing::TestWithParam<std::string> {
 protected:
  void TearDown() override { forget_worlds(); }

  // Every case its own type and reduction, in turn.
  Call next_call(Kind kind, int nranks) {
    const uint64_t turn = turns_++;
    Call call{.kind = kind, .type = all_types()[turn % kTypes].type, .op = static_cast<Op>(turn % kOps), .seed = turn};
    // Not composable with the rotation of the types: 14 and 8 share a factor.
    if (turn / 56 % 2 == 1) call.op = static_cast<Op>((turn + 1) % kOps);
    const bool refuses = call.op == Op::kAffine && reduces(kind) && !can_do(GetParam(), kind, nranks, true);
    if (refuses) call.op = Op::kXor;
    return call;
  }

  void expect_right(const World& world, const Call& call) {
    const auto oracle = std::make_shared<const Oracle>(call, world.nranks());
    for (const bool in_place : {false, true}) {
      const Finding found = world.run([&](int rank, const Member& member) {
        const Layout layout = {.in_place = in_place, .null_unused = call.seed % 2 == 0, .lead = call.seed % 3};
        return RankCall(oracle, rank, layout).run(member);
      });
      ASSERT_TRUE(nothing_wrong(found)) << describe(call) << (in_place ? ", in place" : ", out of place");
      if (call.kind == Kind::kAllToAll || call.kind == Kind::kBarrier) break;
    }
  }

  void expect_all_right(std::initializer_list<int> ranks) {
    for (const int nranks : ranks) {
      SCOPED_TRACE(std::to_string(nranks) + " ranks");
      Finding found;
      World& world = world_of({.nranks = nranks, .algorithm = GetParam()}, found);
      ASSERT_TRUE(nothing_wrong(found));
      for (const Kind kind : kEvenKinds) {
        if (!can_do(GetParam(), kind, nranks)) continue;
        for (const size_t count : counts_for(kind, nranks, 4)) {
          for (const int root : roots_for(kind, nranks, count)) {
            Call call = next_call(kind, nranks);
            call.root = root;
            call.count = count;
            if (count > 20'011) call.type = call.seed % 2 == 0 ? tuttiFloat32 : tuttiInt32;
            ASSERT_NO_FATAL_FAILURE(expect_right(world, call));
          }
        }
      }
      forget_worlds();
    }
  }

  uint64_t turns_ = 0;
};

TEST_P(Matrix, IsRight) {
  expect_all_right({1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 33});
}

class FewRanks : public Matrix {};

TEST_P(FewRanks, AreRight) {
  expect_all_right({2, 3, 4, 5});
}

class Forced : public Matrix {};

// The forced algorithm is what runs: tuttiCommExplain says so.
TEST_P(Forced, IsTheOneThatRuns) {
  Finding found;
  World& world = world_of({.nranks = 4, .algorithm = GetParam()}, found);
  ASSERT_TRUE(nothing_wrong(found));
  int forced = 0;
  for (int kind = 0; kind < static_cast<int>(std::size(kEvenKinds)); ++kind) {
    char text[1024];
    ASSERT_EQ(tuttiCommExplain(world.comm(0), static_cast<tuttiCollective_t>(kind), 1 << 20, tuttiFloat32, tuttiSum, 0, text, sizeof text,
                               nullptr),
              tuttiSuccess);
    const bool is_it = std::string(text).find("\"algorithm\":\"" + GetParam() + "\"") != std::string::npos;
    EXPECT_EQ(is_it, can_do(GetParam(), kEvenKinds[kind], 4)) << text;
    forced += is_it;
  }
  EXPECT_GT(forced, 0);
}

INSTANTIATE_TEST_SUITE_P(Default, Matrix, ::testing::Values(""), [](const auto&) { return "default"; });
INSTANTIATE_TEST_SUITE_P(Algorithms, Matrix, ::testing::ValuesIn(algorithm_names()), [](const auto& test) { return test.param; });
INSTANTIATE_TEST_SUITE_P(Few, FewRanks, ::testing::Values(""), [](const auto&) { return "default"; });
INSTANTIATE_TEST_SUITE_P(Algorithms, FewRanks, ::testing::ValuesIn(algorithm_names()), [](const auto& test) { return test.param; });
INSTANTIATE_TEST_SUITE_P(Algorithms, Forced, ::testing::ValuesIn(algorithm_names()), [](const auto& test) { return test.param; });

}  // namespace
}  // namespace tutti::test
