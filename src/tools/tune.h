// tutti-plan tune: measures the planner's choices against all that can be forced (contest.h), shows them side by side, and writes the
// fastest as a tuning file (planner/tuning.h).
// Threading: one thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tutti::tune {

struct Options {
  int ranks = 0;                         // > 0: start so many here, under tutti-run
  std::vector<std::string> collectives;  // empty: all that there is a choice for
  uint64_t least = 8, most = 16 << 20;   // sizes as tutti-perf counts them
  int factor = 8;
  int rounds = 15;
  std::string file;  // rank 0 writes the choices there, beside what it holds of other situations; empty: nowhere
};

// Returns the process's exit status: 0 all right, 1 a failed operation, 2 bad usage. Messages go to stderr, rank 0's results to stdout.
int tune(const Options& options);

}  // namespace tutti::tune
