// How much memory the FIFOs and the scratch of one communicator may take on this rank, and do.
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

  // Takes `bytes` for a FIFO, for good: FIFOs stay as long as their communicator. Errors: kSystem (there is not so much left).
  Status take(size_t bytes) {
    if (!reserve(bytes)) return refuse("one more connection", bytes, "lower TUTTI_SLOT_BYTES or TUTTI_SLOTS");
    connections_.fetch_add(bytes, std::memory_order_relaxed);
    return {};
  }

  // Takes `bytes` for scratch, until they are given back. Errors: as take().
  Status take_scratch(size_t bytes) {
    if (reserve(bytes)) return {};
    return refuse("the scratch of this call's algorithm", bytes, "choose an algorithm without scratch (TUTTI_ALGORITHM)");
  }
  void give_scratch(size_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }

  size_t bytes() const { return bytes_; }
  size_t connections() const { return connections_.load(std::memory_order_relaxed); }

 private:
  bool reserve(size_t bytes) {
    size_t used = used_.load(std::memory_order_relaxed);
    while (bytes <= bytes_ - used) {
      if (used_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed)) return true;
    }
    return false;
  }

  Status refuse(const char* what, size_t bytes, const char* otherwise) const {
    return {Code::kSystem, "the connections and scratch of this communicator hold " +
                               std::to_string(used_.load(std::memory_order_relaxed)) + " of the " + std::to_string(bytes_) +
                               " bytes that they may take on a rank (TUTTI_MEMORY), and " + what + " needs " + std::to_string(bytes) +
                               ": raise it, or " + otherwise};
  }

  const size_t bytes_;
  std::atomic<size_t> used_{0};         // relaxed, as the next: counts
  std::atomic<size_t> connections_{0};  // the part of FIFOs
};

}  // namespace tutti
