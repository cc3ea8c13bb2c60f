// How much memory the FIFOs of one communicator may take on this rank, and do.
// Threading: any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <string>

#include "base/status.h"

namespace tutti {

class MemoryBudget {
 public:
  explicit MemoryBudget(size_t bytes) : bytes_(bytes) {}

  // Takes `bytes` for good: FIFOs stay as long as their communicator. Errors: kSystem (there is not so much left).
  Status take(size_t bytes) {
    size_t used = used_.load(std::memory_order_relaxed);
    while (bytes <= bytes_ - used) {
      if (used_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed)) return {};
    }
    return {Code::kSystem, "the connections of this communicator hold " + std::to_string(used) + " of the " + std::to_string(bytes_) +
                               " bytes that they may take on a rank (TUTTI_MEMORY), and one more needs " + std::to_string(bytes) +
                               ": raise it, or lower TUTTI_SLOT_BYTES or TUTTI_SLOTS"};
  }

  size_t bytes() const { return bytes_; }
  size_t used() const { return used_.load(std::memory_order_relaxed); }

 private:
  const size_t bytes_;
  std::atomic<size_t> used_{0};  // relaxed: a count
};

}  // namespace tutti
