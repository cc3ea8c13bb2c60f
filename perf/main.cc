// tutti-perf: measures a collective with nccl-tests' columns, and verifies every element of it. Uses only the public API, as any program
// would. Options: options.cc. Where the ranks come from: ranks.h. How time is taken: timing.h. What is verified: check.h, pattern.h.
#include "bench.h"
#include "options.h"
#include "ranks.h"

int main(int argc, char** argv) {
  const std::variant<perf::Options, int> parsed = perf::parse_options(argc, argv);
  if (const int* status = std::get_if<int>(&parsed)) return *status;
  const perf::Options& options = std::get<perf::Options>(parsed);
  return perf::run_ranks(options, [&](const perf::Membership& membership) { return perf::run_rank(options, membership); });
}
