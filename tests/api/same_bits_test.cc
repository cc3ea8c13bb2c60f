// Results are the same bits on every rank and in every run, also where the sum is inexact, not a number or infinite.
#include <bit>
#include <cmath>
#include <cstring>
#include <random>

#include "algorithms/algorithm.h"
#include "tests/support/api_ranks.h"
#include "tests/support/sanitizers.h"

namespace tutti {
namespace {

using namespace test;

constexpr int kRepetitions = kUnderThreadSanitizer || kUnderAddressSanitizer ? 100 : 1000;

// Numbers of very different sizes: the order of their sum shows in its last bits.
std::vector<float> awkward(int rank, size_t count) {
  std::mt19937 random(static_cast<unsigned>(rank) + 1);
  std::uniform_real_distribution<float> mantissa(-1, 1);
  std::uniform_int_distribution<int> exponent(-20, 20);
  std::vector<float> values(count);
  for (float& value : values) value = std::ldexp(mantissa(random), exponent(random));
  return values;
}

std::vector<uint32_t> bits_of(const std::vector<float>& values) {
  std::vector<uint32_t> bits(values.size());
  std::memcpy(bits.data(), values.data(), values.size() * sizeof(float));
  return bits;
}

using Bits = std::vector<uint32_t>;

// All ranks' results of one all-reduce, each repeated; true bits of the first.
Bits expect_same_bits(ApiRanks& ranks, const std::vector<std::vector<float>>& inputs, int repetitions) {
  const size_t count = inputs[0].size();
  std::vector<Bits> first(inputs.size());
  ranks.each([&](int rank, tuttiComm_t comm) {
    const auto r = static_cast<size_t>(rank);
    std::vector<float> out(count);
    for (int repetition = 0; repetition < repetitions; ++repetition) {
      std::fill(out.begin(), out.end(), -1.0F);
      ASSERT_EQ(all_reduce(inputs[r].data(), out.data(), count, comm), tuttiSuccess) << tuttiGetLastError(comm);
      if (repetition == 0) first[r] = bits_of(out);
      ASSERT_EQ(bits_of(out), first[r]) << "rank " << rank << ", repetition " << repetition;
    }
    std::vector<float> in_place = inputs[r];
    ASSERT_EQ(all_reduce(in_place.data(), in_place.data(), count, comm), tuttiSuccess);
    ASSERT_EQ(bits_of(in_place), first[r]) << "in place on rank " << rank;
  });
  for (size_t rank = 1; rank < first.size(); ++rank) EXPECT_EQ(first[rank], first[0]) << "rank " << rank << " differs from rank 0";
  return first[0];
}

class SameBits : public ::testing::TestWithParam<std::tuple<const char*, int>> {};

TEST_P(SameBits, OnAllRanksAndInAllRuns) {
  const auto [algorithm, nranks] = GetParam();
  tuttiConfig_t config = unset_config();
  config.algorithm = algorithm[0] == '\0' ? nullptr : algorithm;
  for (const size_t count : {1, 1000, 5000, 70001}) {
    std::vector<std::vector<float>> inputs;
    for (int rank = 0; rank < nranks; ++rank) inputs.push_back(awkward(rank, count));
    ApiRanks ranks(nranks, &config);
    const Bits bits = expect_same_bits(ranks, inputs, kRepetitions);
    ApiRanks fresh(nranks, &config);
    EXPECT_EQ(expect_same_bits(fresh, inputs, 1), bits) << "another communicator gives other bits";
    // The sum is right to within what rounding can do.
    for (size_t i = 0; i < count; ++i) {
      double sum = 0, magnitude = 0;
      for (const auto& input : inputs) sum += input[i], magnitude += std::abs(input[i]);
      ASSERT_NEAR(std::bit_cast<float>(bits[i]), sum, magnitude * 1e-6) << "element " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Matrix, SameBits, ::testing::Combine(::testing::Values("", "one_shot", "ring"), ::testing::Values(2, 3, 5, 8)),
                         [](const auto& each) {
                           const std::string name = std::get<0>(each.param);
                           return (name.empty() ? "chosen" : name) + "_" + std::to_string(std::get<1>(each.param));
                         });

// NaNs of several payloads and signs, infinities of both signs, and their sums, at every rank in turn.
TEST(SameBitsSpecial, NotANumberIsTheCanonicalOneEverywhere) {
  constexpr uint32_t kCanonical = 0x7fc00000;
  const uint32_t specials[] = {0x7fc00000, 0xffc00000, 0x7fc12345, 0x7f812345, 0xff800001, 0x7fffffff};
  const float infinity = std::numeric_limits<float>::infinity();
  for (const int nranks : {2, 3, 5}) {
    for (const size_t count : {64, 5000, 70001}) {
      std::vector<std::vector<float>> inputs;
      for (int rank = 0; rank < nranks; ++rank) inputs.push_back(awkward(rank, count));
      for (size_t i = 0; i + 4 <= count; i += 4) {
        const size_t at = (i / 4) % static_cast<size_t>(nranks), next = (at + 1) % static_cast<size_t>(nranks);
        std::memcpy(&inputs[at][i], &specials[(i / 4) % std::size(specials)], sizeof(float));  // not through a register: quiet or not stays
        inputs[at][i + 1] = infinity;
        inputs[at][i + 2] = infinity;
        inputs[next][i + 2] = -infinity;
      }
      ApiRanks ranks(nranks);
      const Bits bits = expect_same_bits(ranks, inputs, 5);
      for (size_t i = 0; i + 4 <= count; i += 4) {
        ASSERT_EQ(bits[i], kCanonical) << "a NaN went in at element " << i;
        ASSERT_EQ(bits[i + 1], std::bit_cast<uint32_t>(infinity)) << i + 1;
        ASSERT_EQ(bits[i + 2], kCanonical) << "infinity minus infinity at element " << i + 2;
      }
    }
  }
}

TEST(SameBitsSpecial, OverflowIsInfinityAndSmallestNumbersSurvive) {
  const float largest = std::numeric_limits<float>::max(), smallest = std::numeric_limits<float>::denorm_min();
  ApiRanks ranks(2);
  const Bits bits = expect_same_bits(ranks, {{largest, -largest, smallest, -0.0F, 0.0F}, {largest, -largest, smallest, -0.0F, -0.0F}}, 3);
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(bits[0], std::bit_cast<uint32_t>(infinity));
  EXPECT_EQ(bits[1], std::bit_cast<uint32_t>(-infinity));
  EXPECT_EQ(bits[2], 2u) << "a denormal was flushed";
  EXPECT_EQ(bits[3], 0x80000000u);
  EXPECT_EQ(bits[4], 0u);
}

}  // namespace
}  // namespace tutti
