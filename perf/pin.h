// Which CPUs this thread may use, and binding it to one of them. Threads: each call concerns the calling thread alone.
#pragma once

#include <string>
#include <vector>

#include "options.h"

namespace perf {

// The CPUs that the calling thread may run on, ascending.
std::vector<int> allowed_cpus();

// Binds the calling thread (and what it starts later) as `pin` says for rank `rank` of `ranks` on this host; `allowed` are the CPUs of
// the job. Returns the CPU, or -1 where the rank stays free. A rank that its launcher has already bound to one CPU is left there.
int pin_rank(Pin pin, int rank, int ranks, const std::vector<int>& allowed);

}  // namespace perf
