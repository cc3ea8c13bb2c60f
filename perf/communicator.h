// One rank's communicator, and the failure of a call on it.
//
// A failed call ends the rank, so it is thrown from one place (must) and caught in one (run_rank): a measuring loop has nothing better to
// do with it, and the loops stay readable. On the way out the communicator is aborted, so that the peers learn of it at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "tutti/tutti.h"

namespace perf {

class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Throws Failure with the library's own sentence unless `result` is success. `comm` may be null: then the calling thread's last error.
void must(tuttiResult_t result, tuttiComm_t comm, const char* what);

// How a rank comes to its communicator: from a launcher's environment, or by an id that its starter handed out.
struct Membership {
  bool from_env = false;
  int rank = 0;
  int ranks = 1;
  tuttiUniqueId id = {};
  int cpu = -1;  // bound to this CPU; -1: not bound
};

// Owns the handle. Leaves in good order when the scope ends, aborts when an exception ends it. Threads: the rank's own only.
class Communicator {
 public:
  explicit Communicator(const Membership& membership);
  ~Communicator();
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  tuttiComm_t handle() const { return comm_; }
  int rank() const { return rank_; }
  int ranks() const { return ranks_; }

 private:
  tuttiComm_t comm_ = nullptr;
  int rank_ = 0;
  int ranks_ = 0;
  int exceptions_ = 0;  // in flight when this was made
};

// Numbers and barriers between the ranks, over the communicator itself: every rank's number travels in a slot of its own of a summed
// vector, so that float32 never rounds one. All ranks make the same calls in the same order. Threads: the rank's own only.
class Exchange {
 public:
  explicit Exchange(const Communicator& comm);

  void barrier();
  // Every rank's number, by rank; float32 precision.
  const std::vector<float>& gather(float mine);
  float max(float mine);
  // Exact.
  std::vector<uint64_t> gather_count(uint64_t mine);
  uint64_t sum_counts(uint64_t mine);

 private:
  void all_reduce(size_t count);

  tuttiComm_t comm_;
  size_t rank_;
  size_t ranks_;
  std::vector<float> send_;
  std::vector<float> recv_;
};

}  // namespace perf
