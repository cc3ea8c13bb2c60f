// A few seconds of random programs. random_programs runs any seed for any length, and replays what this finds.
#include "nothing_wrong.h"
#include "program_rank.h"

namespace tutti::test {
namespace {

class RandomPrograms : public ::testing::TestWithParam<int> {};

TEST_P(RandomPrograms, AreRight) {
  const int nranks = 2 + GetParam() % 7;
  EXPECT_TRUE(nothing_wrong(run_program({.seed = static_cast<uint64_t>(GetParam()), .nranks = nranks, .steps = 100})));
}

// The same with ranks on accelerators among them.
TEST_P(RandomPrograms, AreRightOnMixedDevices) {
  const int nranks = 2 + GetParam() % 5;
  constexpr const char* kDevices[] = {"ha", "ab", "abh", "bbha"};
  const std::string devices = kDevices[GetParam() % 4];
  EXPECT_TRUE(
      nothing_wrong(run_program({.seed = 500 + static_cast<uint64_t>(GetParam()), .nranks = nranks, .steps = 60, .devices = devices})));
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomPrograms, ::testing::Range(1, 8), ::testing::PrintToStringParamName());

}  // namespace
}  // namespace tutti::test
