// Every type with every reduction, exact to the bit, by the library's own choice of algorithm and by those that know another order.
#include <gtest/gtest.h>

#include "nothing_wrong.h"
#include "random.h"
#include "rank_call.h"

namespace tutti::test {
namespace {

std::vector<size_t> uneven_counts(size_t count, int nranks) {
  std::vector<size_t> counts;
  for (int rank = 0; rank < nranks; ++rank) counts.push_back(count * static_cast<size_t>(rank % 3));
  return counts;
}

class Types : public ::testing::TestWithParam<int> {
 protected:
  void TearDown() override { forget_worlds(); }
};

TEST_P(Types, EveryReductionIsExact) {
  const int nranks = GetParam();
  Finding found;
  World& world = world_of({.nranks = nranks}, found);
  ASSERT_TRUE(nothing_wrong(found));
  uint64_t seed = 0;
  for (const TypeInfo& type : all_types()) {
    for (int op = 0; op < kOps; ++op) {
      for (const Kind kind : {Kind::kAllReduce, Kind::kReduce, Kind::kReduceScatter, Kind::kReduceScatterV}) {
        for (const size_t count : {size_t{5}, size_t{1013}}) {  // inline and staged, odd tails of vectors
          const Call call = {.kind = kind,
                             .type = type.type,
                             .op = static_cast<Op>(op),
                             .root = static_cast<int>(seed % static_cast<uint64_t>(nranks)),
                             .count = count,
                             .counts = kind == Kind::kReduceScatterV ? uneven_counts(count, nranks) : std::vector<size_t>(),
                             .seed = ++seed};
          const auto oracle = std::make_shared<const Oracle>(call, nranks);
          found = world.run([&](int rank, const Member& member) {
            return RankCall(oracle, rank, random_layout(mixed(call.seed, static_cast<uint64_t>(rank)))).run(member);
          });
          ASSERT_TRUE(nothing_wrong(found)) << describe(call) << ", seed " << call.seed;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Ranks, Types, ::testing::Values(3, 8), ::testing::PrintToStringParamName());

// The encoders against bit patterns from the formats' definitions.
TEST(Elements, Encode) {
  const auto bits = [](tuttiDataType_t type, double value) {
    return with_codec(type, [&](auto codec) {
      using Value = typename decltype(codec)::Value;
      const auto encoded = codec.encode(static_cast<Value>(value));
      uint64_t raw = 0;
      std::memcpy(&raw, &encoded, sizeof encoded);
      return raw;
    });
  };
  EXPECT_EQ(bits(tuttiFloat16, 1), 0x3c00u);
  EXPECT_EQ(bits(tuttiFloat16, -2047), 0xe7ffu);
  EXPECT_EQ(bits(tuttiFloat16, 1.0 / 3), 0x3555u);
  EXPECT_EQ(bits(tuttiFloat16, 2049), 0x6800u);  // a tie goes to the even neighbour
  EXPECT_EQ(bits(tuttiFloat16, std::ldexp(1, -24)), 0x0001u);
  EXPECT_EQ(bits(tuttiBfloat16, 1.0 / 3), 0x3eabu);
  EXPECT_EQ(bits(tuttiBfloat16, -256), 0xc380u);
  EXPECT_EQ(bits(tuttiFloat8e4m3, 448), 0x7eu);
  EXPECT_EQ(bits(tuttiFloat8e4m3, -1.0 / 3), 0xabu);
  EXPECT_EQ(bits(tuttiFloat8e5m2, 1.75), 0x3fu);
  EXPECT_EQ(bits(tuttiFloat8e5m2, 1.9), 0x40u);  // carries into the exponent
  EXPECT_EQ(bits(tuttiInt16, -2), 0xfffeu);
}

}  // namespace
}  // namespace tutti::test
