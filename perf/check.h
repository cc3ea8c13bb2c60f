// Buffers with guard zones, and one untimed iteration whose every effect is verified: each element of the output, the input (unchanged,
// but for what the output covers in place), and the guards before and after the data.
//
// Threads: each rank has its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "collective.h"
#include "timing.h"
#include "types.h"

namespace perf {

// Ordinary private memory, page-aligned, touched by the thread that makes it, with a guard on each side of the data. Data of any length up
// to the capacity starts at data(); its trailing guard follows it immediately.
class GuardedBuffer {
 public:
  explicit GuardedBuffer(size_t capacity_bytes);
  ~GuardedBuffer();
  GuardedBuffer(const GuardedBuffer&) = delete;
  GuardedBuffer& operator=(const GuardedBuffer&) = delete;

  std::byte* data() const { return base_ + kGuardBytes; }
  void clear(size_t bytes);  // zeroes
  void set_guards(size_t bytes);
  // How many values of `elem_bytes` next to data of `bytes` are not what set_guards(bytes) left.
  size_t broken_guards(size_t bytes, size_t elem_bytes) const;

 private:
  static constexpr size_t kGuardBytes = 4096;

  std::byte* base_;
  size_t mapped_bytes_;
};

// What is needed to run one size one way.
struct Workload {
  const DataType* type;
  const RedOp* op;
  Shape shape;
  GuardedBuffer* input;  // null: in place
  GuardedBuffer* output;
  Operation operation;
};

struct Findings {
  size_t wrong = 0;          // elements: of the output, of a changed input, and out_of_bounds
  size_t out_of_bounds = 0;  // values written beside a buffer
};

// Runs iteration `iteration` of the operation on inputs of seed `seed` and verifies. `inject` damages the first output element before
// verifying. What is wrong is described on stderr, one line for each kind.
Findings run_checked(const Workload& work, size_t iteration, uint64_t seed, bool inject);

// The same for a collective without data: nobody may leave before everybody has come, which one rank, another one each time, does late.
// The ranks that left too early are counted as wrong. Clocks are compared within a host only.
Findings run_checked_barrier(const Workload& work, uint64_t seed, bool inject, Exchange& exchange);

// A line about one size on stderr.
void complain(const Workload& work, const Call& call, const std::string& message);

}  // namespace perf
