// tuttiCommMemStats: what a communicator uses, and when.
#include "tests/support/api_ranks.h"

namespace tutti {
namespace {

using namespace test;

uint64_t memory(tuttiComm_t comm, tuttiMemStat_t stat) {
  uint64_t value = 0;
  EXPECT_EQ(tuttiCommMemStats(comm, stat, &value), tuttiSuccess) << tuttiGetLastError(comm);
  return value;
}

TEST(Memory, IsTakenAtFirstUseAndStays) {
  ApiRanks ranks(3);
  EXPECT_EQ(memory(ranks[0], tuttiMemTotal), 0U);
  uint64_t after_first = 0;
  for (int repeat = 0; repeat < 3; ++repeat) {
    ranks.each([&](int, tuttiComm_t comm) {
      std::vector<float> values(100'000, 1);
      EXPECT_EQ(all_reduce(values.data(), values.data(), values.size(), comm), tuttiSuccess);
    });
    const uint64_t now = memory(ranks[1], tuttiMemConnections);
    if (repeat == 0) after_first = now;
    EXPECT_GT(now, 0U);
    EXPECT_EQ(now, after_first);
  }
  EXPECT_EQ(memory(ranks[1], tuttiMemTotal), memory(ranks[1], tuttiMemConnections) + memory(ranks[1], tuttiMemScratch));
  EXPECT_LE(memory(ranks[1], tuttiMemConnections), memory(ranks[1], tuttiMemBudget));
}

TEST(Memory, ArgumentsAreChecked) {
  ApiRanks ranks(1);
  uint64_t value = 0;
  EXPECT_EQ(tuttiCommMemStats(ranks[0], tuttiMemTotal, nullptr), tuttiInvalidArgument);
  EXPECT_EQ(tuttiCommMemStats(ranks[0], unnamed<tuttiMemStat_t>(9), &value), tuttiInvalidArgument);
  EXPECT_TRUE(contains(tuttiGetLastError(ranks[0]), "stat"));
  EXPECT_EQ(tuttiCommMemStats(nullptr, tuttiMemTotal, &value), tuttiInvalidArgument);
}

}  // namespace
}  // namespace tutti
