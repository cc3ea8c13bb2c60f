// One rank's part of a run: every size, out of place and in place, checked, timed, checked again, and reported by rank 0.
// Threads: called once by each rank, which may be threads of one process; they share only the options, which nobody changes.
#pragma once

#include "communicator.h"
#include "options.h"

namespace perf {

// The rank's exit status: 0 all right, 1 wrong data or a failed operation (said on stderr). The same on all ranks where the data were
// wrong.
int run_rank(const Options& options, const Membership& membership) noexcept;

}  // namespace perf
