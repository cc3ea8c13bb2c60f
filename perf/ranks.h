// Where ranks come from: a launcher's environment, forked children, or threads. Each way ends in the same function being run once for each
// rank.
//
// Invariant: nothing of the library is called in a process that forks afterwards (the library keeps threads of its own), and the
// parent of forked ranks never calls it at all. Forked ranks die with their parent; a rank that fails gives the others kGraceS to
// notice and report, then they are ended.
#pragma once

#include <functional>

#include "communicator.h"
#include "options.h"

namespace perf {

inline constexpr double kGraceS = 10;

// Runs one rank and returns its exit status; must not throw.
using RankMain = std::function<int(const Membership&)>;

// Starts or joins the ranks and returns the exit status of this process. With forked ranks it returns in the children too, each with its
// own.
int run_ranks(const Options& options, const RankMain& rank_main);

}  // namespace perf
