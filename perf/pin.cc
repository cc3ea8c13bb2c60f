// See pin.h.
#include "pin.h"

#include <sched.h>

namespace perf {
namespace {

bool bind_to(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<size_t>(cpu), &set);
  return sched_setaffinity(0, sizeof(set), &set) == 0;
}

}  // namespace

std::vector<int> allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cpus;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) {
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(static_cast<size_t>(cpu), &set)) cpus.push_back(cpu);
    }
  }
  if (cpus.empty()) cpus.push_back(0);  // more than CPU_SETSIZE CPUs: the mask did not fit
  return cpus;
}

int pin_rank(Pin pin, int rank, int ranks, const std::vector<int>& allowed) {
  if (allowed.size() == 1) return allowed[0];  // bound already, by the launcher or whoever started the job
  const bool enough = static_cast<size_t>(ranks) <= allowed.size();
  if (pin == Pin::kNo || (pin == Pin::kAuto && !enough)) return -1;
  const int cpu = allowed[static_cast<size_t>(rank) % allowed.size()];
  return bind_to(cpu) ? cpu : -1;
}

}  // namespace perf
