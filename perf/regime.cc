// tutti-regime: are two cores near or far at this moment? Two threads, each bound to one CPU, pass one cache line to and fro; the median
// round trip decides. Virtual cores wander between physical ones, and a comparison is fair only within one regime.
//
// Usage: tutti-regime [CPU CPU]   (default: the first two allowed). Prints one JSON line
// {"cpus":[a,b],"round_trip_ns":x,"regime":"near"|"far"|"one-cpu"}. Threads: two, joined before exit; it takes about 3 ms.
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr double kFarNs = 240;  // near is 100-130, far 385-550 on the machine that this was written for
constexpr int kTrips = 200;     // a sample's round trips
constexpr int kSamples = 41;

std::vector<int> allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cpus;
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(static_cast<size_t>(cpu), &set)) cpus.push_back(cpu);
  }
  return cpus;
}

bool bind_to(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<size_t>(cpu), &set);
  return sched_setaffinity(0, sizeof(set), &set) == 0;
}

// Odd numbers are the caller's, even ones the echo's answers. Release and acquire pair up on this one word.
struct alignas(128) Ball {
  std::atomic<uint32_t> value{0};
};

void wait_for(const Ball& ball, uint32_t value) {
  while (ball.value.load(std::memory_order_acquire) != value) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
}

double median_round_trip_ns(int cpu, int other) {
  Ball ball;
  std::thread echo([&] {
    bind_to(other);
    for (uint32_t trip = 0; trip < kTrips * kSamples; ++trip) {
      wait_for(ball, 2 * trip + 1);
      ball.value.store(2 * trip + 2, std::memory_order_release);
    }
  });
  bind_to(cpu);
  std::vector<double> samples;
  uint32_t trip = 0;
  for (int sample = 0; sample < kSamples; ++sample) {
    const Clock::time_point start = Clock::now();
    for (int i = 0; i < kTrips; ++i, ++trip) {
      ball.value.store(2 * trip + 1, std::memory_order_release);
      wait_for(ball, 2 * trip + 2);
    }
    samples.push_back(std::chrono::duration<double, std::nano>(Clock::now() - start).count() / kTrips);
  }
  echo.join();
  std::nth_element(samples.begin(), samples.begin() + kSamples / 2, samples.end());
  return samples[kSamples / 2];
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<int> cpus = allowed_cpus();
  if (argc == 3) {
    cpus = {std::atoi(argv[1]), std::atoi(argv[2])};
  } else if (argc != 1) {
    std::fprintf(stderr, "usage: tutti-regime [CPU CPU]\n");
    return 2;
  }
  if (cpus.size() < 2 || cpus[0] == cpus[1]) {
    std::printf("{\"cpus\":[%d],\"round_trip_ns\":null,\"regime\":\"one-cpu\"}\n", cpus.empty() ? -1 : cpus[0]);
    return 0;
  }
  const double ns = median_round_trip_ns(cpus[0], cpus[1]);
  std::printf("{\"cpus\":[%d,%d],\"round_trip_ns\":%.1f,\"regime\":\"%s\"}\n", cpus[0], cpus[1], ns, ns < kFarNs ? "near" : "far");
  return 0;
}
