// The interpreter: runs any program on any device, knowing FIFOs, copies and reductions, and no algorithm and no transport.
//
// One executor is one rank's lane: one operation at a time. step() never blocks and never waits: whoever drives it (the calling thread, a
// group over several ranks) decides how to wait between fruitless steps. A repeated launch allocates nothing and makes no system call.
//
// Invariant: an instruction takes its message and its credit together, or not at all; so a program that the verifier passes cannot
// stop half-way.
// Threading: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "device/device.h"
#include "executor/launch.h"
#include "executor/operands.h"
#include "executor/transport.h"

namespace tutti {

enum class StepResult : uint8_t {
  kDone,
  kMoved,    // something moved, more is left
  kBlocked,  // nothing can move until a peer acts
  kMismatch  // a peer's message belongs to another call; waiting_for() says whose. The lane is unusable afterwards
};

// What an unfinished operation waits for first.
struct WaitingFor {
  int peer = kNoPeer;
  int channel = 0;
  int instruction = 0;
  bool for_credit = false;  // else for data
};

class Executor {
 public:
  // `stream_bytes`: outputs of this size and more bypass the caches. `lane`: 0 .. kMaxLanes-1, of this rank's executors the one that uses
  // these FIFOs. Both references must outlive the executor.
  Executor(const Device& device, Transport& transport, int lane, size_t stream_bytes);

  // Makes the program's connections, all within `timeout_s` (0: no bound). The program must outlive the launch.
  Result<std::unique_ptr<Launch>> bind(const Program& program, Protocol protocol, uint32_t slice_bytes, double timeout_s);

  // Begins an operation. Precondition: none is running. Both arguments are borrowed until step() says kDone or the operation is given up.
  // Errors: kSystem (no memory for scratch).
  Status start(Launch& launch, const Operands& operands);

  StepResult step();

  // Precondition: the last step() returned kBlocked or kMismatch.
  WaitingFor waiting_for() const;

 private:
  struct Cursor {
    size_t slice = 0;
    size_t instruction = 0;
    size_t slices = 0;
  };
  // What a step touches in a slice.
  struct Span {
    std::byte* src = nullptr;
    std::byte* dst = nullptr;
    size_t elems = 0;
    uint16_t signature = 0;
  };
  enum class Outcome : uint8_t { kRan, kBlocked, kMismatch };

  Outcome run_one(const Step& step, const Cursor& at);
  bool after_is_done(const Step& step, const Cursor& at) const;
  Span span_of(const Step& step, const Cursor& at) const;
  Span uneven_span_of(const Step& step, size_t slice) const;
  const Block* block_of(const Region& region) const;
  size_t slices_of(const std::vector<Step>& steps) const;
  Status grow_scratch(size_t bytes);
  void move_data(const Step& step, const Span& span);
  void reduce(const Step& step, const Destination& to, const std::byte* left, const std::byte* right, size_t elems) const;

  const Device& device_;
  Transport& transport_;
  int lane_;
  size_t stream_bytes_;
  Launch* launch_ = nullptr;
  const Operands* operands_ = nullptr;
  size_t elem_bytes_ = 0;
  size_t slice_bytes_ = 0;
  size_t uneven_slice_elems_ = 0;
  bool stream_ = false;
  std::byte* bases_[4] = {};  // by Buffer
  std::vector<Cursor> cursors_;
  size_t unfinished_ = 0;  // channels
  int mismatched_ = -1;    // the channel whose message belonged to another call; -1: none
  struct FreeDeleter {
    void operator()(void* p) const;
  };
  std::unique_ptr<std::byte, FreeDeleter> scratch_;
  size_t scratch_bytes_ = 0;
};

}  // namespace tutti
