// The v-forms: counts that are uneven, zero or skewed, of a few bytes or of several slices, displacements in any order and with holes.
#include <gtest/gtest.h>

#include "forced.h"
#include "nothing_wrong.h"
#include "random.h"
#include "rank_call.h"

namespace tutti::test {
namespace {

constexpr Kind kUnevenKinds[] = {Kind::kAllGatherV, Kind::kReduceScatterV, Kind::kGatherV, Kind::kScatterV, Kind::kAllToAllV};

struct Shape {
  const char* name;
  size_t (*count)(size_t block, size_t blocks);
};

constexpr Shape kShapes[] = {
    {"nothing", [](size_t, size_t) { return size_t{0}; }},
    {"equal", [](size_t, size_t) { return size_t{33}; }},
    {"ramp from zero", [](size_t block, size_t) { return block * 7; }},
    {"every other one", [](size_t block, size_t) { return block % 2 * 1001; }},
    {"all to the first", [](size_t block, size_t) { return block == 0 ? size_t{5000} : 0; }},
    {"all to the last", [](size_t block, size_t blocks) { return block + 1 == blocks ? size_t{5000} : 0; }},
    {"one of several slices", [](size_t block, size_t blocks) { return block == blocks / 2 ? size_t{90'001} : block; }},
};

std::vector<size_t> counts_of(const Shape& shape, Kind kind, int nranks) {
  const auto n = static_cast<size_t>(nranks), blocks = kind == Kind::kAllToAllV ? n * n : n;
  std::vector<size_t> counts;
  for (size_t block = 0; block < blocks; ++block) counts.push_back(shape.count(block, blocks));
  return counts;
}

class Uneven : public ::testing::TestWithParam<std::string> {
 protected:
  void TearDown() override { forget_worlds(); }

  void expect_right(const World& world, const Call& call) {
    const auto oracle = std::make_shared<const Oracle>(call, world.nranks());
    for (const bool in_place : {false, true}) {
      const Finding found = world.run([&](int rank, const Member& member) {
        Layout layout = random_layout(mixed(call.seed, static_cast<uint64_t>(rank)));  // displacements are each rank's own
        layout.in_place = in_place;
        return RankCall(oracle, rank, layout).run(member);
      });
      ASSERT_TRUE(nothing_wrong(found)) << describe(call);
    }
  }
};

TEST_P(Uneven, IsRight) {
  uint64_t seed = 0;
  for (const int nranks : {1, 2, 3, 4, 5, 8}) {
    Finding found;
    World& world = world_of({.nranks = nranks, .algorithm = GetParam()}, found);
    ASSERT_TRUE(nothing_wrong(found));
    for (const Kind kind : kUnevenKinds) {
      if (!can_do(GetParam(), kind, nranks)) continue;
      for (const Shape& shape : kShapes) {
        SCOPED_TRACE(shape.name);
        ++seed;
        Call call{.kind = kind,
                  .type = all_types()[seed % kTypes].type,
                  .op = static_cast<Op>(seed % kOps),
                  .root = static_cast<int>(seed % static_cast<uint64_t>(nranks)),
                  .counts = counts_of(shape, kind, nranks),
                  .seed = seed};
        if (call.op == Op::kAffine && !can_do(GetParam(), kind, nranks, true)) call.op = Op::kXor;
        ASSERT_NO_FATAL_FAILURE(expect_right(world, call));
      }
    }
  }
}

std::vector<std::string> uneven_algorithms() {
  std::vector<std::string> names;
  for (const std::string& name : algorithm_names()) {
    for (const Kind kind : kUnevenKinds) {
      if (can_do(name, kind, 4) && (names.empty() || names.back() != name)) names.push_back(name);
    }
  }
  return names;
}

INSTANTIATE_TEST_SUITE_P(Default, Uneven, ::testing::Values(""), [](const auto&) { return "default"; });
INSTANTIATE_TEST_SUITE_P(Algorithms, Uneven, ::testing::ValuesIn(uneven_algorithms()), [](const auto& test) { return test.param; });

}  // namespace
}  // namespace tutti::test
