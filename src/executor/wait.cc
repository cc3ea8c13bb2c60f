#include "executor/wait.h"

#include <sched.h>
#include <time.h>

#include <algorithm>

namespace tutti {
namespace {

constexpr double kLookEveryUs = 1000;
constexpr double kFirstNapUs = 50;
constexpr double kLongestNapUs = 1000;

}  // namespace

bool Waiter::pause_slowly() {
  const Clock::time_point now = Clock::now();
  if (!timing_) {
    timing_ = true;
    start_ = now;
    next_look_us_ = kLookEveryUs;
    nap_us_ = kFirstNapUs;
  }
  waited_us_ = std::chrono::duration<double, std::micro>(now - start_).count();
  if (waited_us_ < policy_.spin_us) {
    relax();
  } else if (waited_us_ < policy_.spin_us + policy_.yield_us) {
    phase_ = Phase::kYield;
    sched_yield();
  } else {
    phase_ = Phase::kSleep;
    const timespec nap = {.tv_sec = 0, .tv_nsec = static_cast<long>(nap_us_ * 1000)};
    nanosleep(&nap, nullptr);
    nap_us_ = std::min(2 * nap_us_, kLongestNapUs);
  }
  if (waited_us_ < next_look_us_) return false;
  next_look_us_ = waited_us_ + kLookEveryUs;
  return true;
}

}  // namespace tutti
