// The same call with the same inputs gives the same bits, run after run; all-reduce gives every rank the same bits. On values whose sums
// are not exact, so that another order of adding would show.
#include "nothing_wrong.h"
#include "random.h"

namespace tutti::test {
namespace {

constexpr int kRepeats = 1000;

std::vector<float> inexact(uint64_t seed, size_t count) {
  Random random(seed);
  std::vector<float> values(count);
  for (float& value : values) value = std::ldexp(static_cast<float>(random.next() >> 40) - 8e6f, random.below(24) - 30);
  return values;
}

struct Case {
  const char* name;
  size_t count;
  tuttiResult_t (*call)(const float* in, float* out, size_t count, int nranks, tuttiComm_t comm);
};

constexpr Case kCases[] = {
    {"all_reduce, small", 5,
     [](const float* in, float* out, size_t count, int, tuttiComm_t comm) {
       return tuttiAllReduce(in, out, count, tuttiFloat32, tuttiSum, comm, nullptr);
     }},
    {"all_reduce, over a slot", 5003,
     [](const float* in, float* out, size_t count, int, tuttiComm_t comm) {
       return tuttiAllReduce(in, out, count, tuttiFloat32, tuttiSum, comm, nullptr);
     }},
    {"all_reduce, large, averaged", 80'000,
     [](const float* in, float* out, size_t count, int, tuttiComm_t comm) {
       return tuttiAllReduce(in, out, count, tuttiFloat32, tuttiAvg, comm, nullptr);
     }},
    {"reduce_scatter", 5003,
     [](const float* in, float* out, size_t count, int nranks, tuttiComm_t comm) {
       return tuttiReduceScatter(in, out, count / static_cast<size_t>(nranks), tuttiFloat32, tuttiSum, comm, nullptr);
     }},
    {"reduce", 5003,
     [](const float* in, float* out, size_t count, int nranks, tuttiComm_t comm) {
       return tuttiReduce(in, out, count, tuttiFloat32, tuttiSum, nranks - 1, comm, nullptr);
     }},
};

class Repeat : public ::testing::TestWithParam<int> {};

TEST_P(Repeat, GivesTheSameBits) {
  const int nranks = GetParam();
  for (const Case& one : kCases) {
    // The second communicator repeats what the first computed: nothing in it depends on when or where it was made.
    std::vector<std::vector<float>> first(static_cast<size_t>(nranks));
    for (const double timeout_s : {60, 61}) {
      Finding found;
      World& world = world_of({.nranks = nranks, .timeout_s = timeout_s}, found);
      ASSERT_TRUE(nothing_wrong(found));
      const int repeats = one.count > 10'000 ? kRepeats / 20 : kRepeats / 2;
      found = world.run([&](int rank, const Member& member) -> Finding {
        const std::vector<float> in = inexact(static_cast<uint64_t>(rank) + 1, one.count);
        std::vector<float>& expected = first[static_cast<size_t>(rank)];
        Random random(static_cast<uint64_t>(rank));
        for (int k = 0; k < repeats; ++k) {
          if (random.one_in(32)) std::this_thread::yield();
          std::vector<float> out(one.count, 0);
          const tuttiResult_t result = one.call(in.data(), out.data(), one.count, nranks, member.comm);
          if (result != tuttiSuccess) return expect_success(result, one.name, member.comm);
          if (expected.empty()) expected = out;
          if (std::memcmp(out.data(), expected.data(), out.size() * sizeof(float)) != 0) return "repeat " + std::to_string(k) + " differs";
        }
        return {};
      });
      ASSERT_TRUE(nothing_wrong(found)) << one.name;
    }
    if (std::string(one.name).find("all_reduce") == std::string::npos) continue;
    for (const auto& result : first) {
      ASSERT_EQ(std::memcmp(result.data(), first.front().data(), result.size() * sizeof(float)), 0) << one.name << ": ranks differ";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Ranks, Repeat, ::testing::Values(3, 8), ::testing::PrintToStringParamName());

}  // namespace
}  // namespace tutti::test
