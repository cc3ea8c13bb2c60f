#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include "tests/comm/hostile/attack.h"
#include "tutti/tutti.h"

namespace tutti::hostile {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point then) {
  return std::chrono::duration<double>(Clock::now() - then).count();
}

bool complain(const char* what, tuttiComm_t comm) {
  std::fprintf(stderr, "joins: %s: %s\n", what, tuttiGetLastError(comm));
  return false;
}

// Every element must be the sum of the ranks' numbers.
bool all_reduce_is_right(tuttiComm_t comm) {
  int rank = 0, nranks = 0;
  static_cast<void>(tuttiCommUserRank(comm, &rank));
  static_cast<void>(tuttiCommCount(comm, &nranks));
  std::vector<float> values(16384, static_cast<float>(rank + 1));
  if (tuttiAllReduce(values.data(), values.data(), values.size(), tuttiFloat32, tuttiSum, comm, nullptr) != tuttiSuccess) {
    return complain("all-reduce", comm);
  }
  const float sum = static_cast<float>(nranks * (nranks + 1) / 2);
  return std::all_of(values.begin(), values.end(), [&](float value) { return value == sum; }) || complain("wrong data", comm);
}

// The communicator, its all-reduce, its end; `worst_s`: of making it.
template <class Make>
bool make_and_use(const char* what, double& worst_s, const Make& make) {
  tuttiComm_t comm = nullptr;
  const auto begun = Clock::now();
  if (make(&comm) != tuttiSuccess) return complain(what, nullptr);
  worst_s = std::max(worst_s, seconds_since(begun));
  const bool right = all_reduce_is_right(comm);
  return tuttiCommDestroy(comm) == tuttiSuccess && right;
}

}  // namespace

int join_again_and_again(double seconds) {
  tuttiComm_t comm = nullptr;
  if (tuttiCommInitFromEnv(&comm, nullptr) != tuttiSuccess) return complain("init", nullptr), 1;
  int rank = 0;
  static_cast<void>(tuttiCommUserRank(comm, &rank));
  const auto begun = Clock::now();
  double worst_split_s = 0, worst_init_s = 0;
  int rounds = 0;
  for (float go_on = 1; go_on != 0; ++rounds) {
    if (!all_reduce_is_right(comm)) return 1;
    if (!make_and_use("split", worst_split_s, [&](tuttiComm_t* made) { return tuttiCommSplit(comm, rank % 2, rank, made, nullptr); })) return 1;
    if (!make_and_use("another init", worst_init_s, [](tuttiComm_t* made) { return tuttiCommInitFromEnv(made, nullptr); })) return 1;
    go_on = seconds_since(begun) < seconds ? 1 : 0;
    if (tuttiBcast(&go_on, 1, tuttiFloat32, 0, comm, nullptr) != tuttiSuccess) return complain("broadcast", comm), 1;
  }
  if (rank == 0) std::printf("joins: %d splits, the worst %.3f s; %d inits, the worst %.3f s\n", rounds, worst_split_s, rounds, worst_init_s);
  return tuttiCommDestroy(comm) == tuttiSuccess ? 0 : 1;
}

}  // namespace tutti::hostile
