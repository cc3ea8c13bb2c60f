// How a thread waits for memory to change: it spins, then yields the core, then sleeps, so that two ranks on two cores meet in
// nanoseconds and eight ranks on two cores do not starve each other. Nobody wakes a sleeper: a post is one store and costs no system
// call; a sleeper looks again after 50 us, doubling to 1 ms, which is little beside the milliseconds that it has waited already.
// Threading: one thread an object.
#pragma once

#include <chrono>
#include <cstdint>

namespace tutti {

struct WaitPolicy {
  double spin_us = 50;
  double yield_us = 5000;
};

class Waiter {
 public:
  explicit Waiter(const WaitPolicy& policy) : policy_(policy) {}

  // Something moved: the next wait starts afresh.
  void reset() {
    polls_ = 0;
    phase_ = Phase::kSpin;
    timing_ = false;
  }

  // Call after a fruitless look. Returns true about every millisecond of waiting: time to look whether waiting makes sense.
  bool pause() {
    if (phase_ == Phase::kSpin && policy_.spin_us > 0 && ++polls_ % kPollsPerClock != 0) {
      relax();
      return false;
    }
    return pause_slowly();
  }

  // Seconds since the last reset. Meaningful when pause() has returned true.
  double waited_s() const { return waited_us_ * 1e-6; }

 private:
  using Clock = std::chrono::steady_clock;
  enum class Phase : uint8_t { kSpin, kYield, kSleep };
  static constexpr uint32_t kPollsPerClock = 64;

  static void relax() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }
  bool pause_slowly();

  WaitPolicy policy_;
  uint32_t polls_ = 0;
  Phase phase_ = Phase::kSpin;
  bool timing_ = false;
  Clock::time_point start_;
  double waited_us_ = 0;
  double next_look_us_ = 0;
  double nap_us_ = 0;
};

}  // namespace tutti
