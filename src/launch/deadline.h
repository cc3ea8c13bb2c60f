// Until when a launcher's answer is waited for: one bound for a whole exchange, however many messages it takes.
// Threading: a value.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string>

namespace tutti {

class Deadline {
 public:
  using Clock = std::chrono::steady_clock;

  // 0: no bound.
  explicit Deadline(double seconds) : seconds_(seconds) {
    if (seconds > 0) at_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  }

  bool passed() const { return at_ && Clock::now() >= *at_; }
  std::optional<Clock::time_point> at() const { return at_; }

  // For poll(): what is left, at most `most_ms`; negative `most_ms`: as long as it takes.
  int poll_ms(int most_ms = -1) const {
    if (!at_) return most_ms;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*at_ - Clock::now()).count();
    const int64_t bounded = std::clamp<int64_t>(left, 0, 1'000'000'000);
    return static_cast<int>(most_ms < 0 ? bounded : std::min<int64_t>(bounded, most_ms));
  }

  std::string text() const {
    char buffer[32];
    std::snprintf(buffer, sizeof buffer, "%g s", seconds_);
    return buffer;
  }

 private:
  double seconds_;
  std::optional<Clock::time_point> at_;
};

}  // namespace tutti
