// Waiting in tests: for a condition, with a generous bound that only a hang meets, and no fixed sleeps.
// Threading: any thread.
#pragma once

#include <sched.h>

#include <chrono>

namespace tutti {

inline constexpr double kTestPatience_s = 60;

// Looks at `condition` until it holds. False: it did not within `bound_s`.
template <class Condition>
bool eventually(const Condition& condition, double bound_s = kTestPatience_s) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(bound_s);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return condition();
    sched_yield();
  }
  return true;
}

}  // namespace tutti
