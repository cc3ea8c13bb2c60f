// See check.h.
#include <algorithm>
#include <chrono>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "check.h"

namespace perf {
namespace {

constexpr std::chrono::milliseconds kLate{1};

// Of the clock that all processes of a host share.
uint64_t now_ns() {
  const std::chrono::nanoseconds since = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(since.count());
}

uint64_t host_id() {
  std::string boot;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
  return std::hash<std::string>()(boot);
}

}  // namespace

Findings run_checked_barrier(const Workload& work, uint64_t seed, bool inject, Exchange& exchange) {
  const Call& call = work.operation.call(0);
  const auto rank = static_cast<size_t>(call.place.rank), ranks = static_cast<size_t>(call.place.ranks);
  if (seed % ranks == rank) std::this_thread::sleep_for(kLate);
  const uint64_t came = now_ns();
  work.operation.run(0);
  const uint64_t left = inject ? 0 : now_ns();

  const std::vector<uint64_t> hosts = exchange.gather_count(host_id());
  const std::vector<uint64_t> arrivals = exchange.gather_count(came);
  uint64_t last = 0;
  for (size_t r = 0; r < ranks; ++r) {
    if (hosts[r] == hosts[rank]) last = std::max(last, arrivals[r]);
  }
  if (left >= last) return {};
  complain(work, call, "left " + std::to_string(last - left) + " ns before the last rank came");
  return {.wrong = 1};
}

}  // namespace perf
