// The interpreter: runs any program on any device, knowing FIFOs, copies and reductions, and no algorithm and no transport.
//
// One executor is one rank's lane: one operation at a time. step() never blocks and never waits: whoever drives it (the calling thread, a
// group over several ranks) decides how to wait between fruitless steps. A repeated launch allocates nothing and makes no system call.
//
// Invariant: an instruction takes its message and its credit together, or not at all; so a program that the verifier passes cannot
// stop half-way. What an asynchronous device was given to do is pending in its channel until the device has finished it; only then is the
// received slot released, the sent one posted, and the channel's next instruction looked at. An operation that is given up is settled
// first, so that nothing is written once its caller has its buffers back.
// Threading: one thread at a time.
#pragma once

#include <atomic>
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
  kMoved,        // something moved, more is left
  kBlocked,      // nothing can move until a peer acts
  kMismatch,     // a peer's message belongs to another call; waiting_for() says whose. The lane is unusable afterwards
  kDeviceFailed  // this rank's device could not do what it was given; device_failure() says why. The lane is unusable afterwards
};

// What an unfinished operation waits for first.
struct WaitingFor {
  int peer = kNoPeer;
  int channel = 0;
  int instruction = 0;
  bool for_credit = false;  // else for data
  bool own_device = false;  // for neither, and for no peer: this rank's device is at work
};

class Executor {
 public:
  // `stream_bytes`: outputs of this size and more bypass the caches. `lane`: 0 .. kMaxLanes-1, of this rank's executors the one that uses
  // these FIFOs. Both references must outlive the executor. The operands lie in the device's memory, or where it can reach (device.h).
  // `budget`: what scratch is taken from; nullptr: it has no bound. It, too, outlives the executor.
  Executor(Device& device, Transport& transport, int lane, size_t stream_bytes, MemoryBudget* budget = nullptr);
  // Precondition: settle() has returned ok, or the last step() kDone. Otherwise what the device still uses is not freed.
  ~Executor();

  // Makes the program's connections, and what queues of the device it needs, within `timeout_s`. The program must outlive the launch.
  Result<std::unique_ptr<Launch>> bind(const Program& program, Protocol protocol, uint32_t slice_bytes, double timeout_s);

  // Begins an operation. Precondition: none is running. Both arguments are borrowed until step() says kDone or the operation is given up.
  // Errors: kSystem (no memory for scratch, or the budget has not so much left), kInvalidArgument (the launch's slices hold no element).
  Status start(Launch& launch, const Operands& operands);

  StepResult step();

  // What it holds for scratch. Any thread.
  size_t scratch_bytes() const { return scratch_bytes_.load(std::memory_order_relaxed); }

  // Precondition: the last step() returned kBlocked or kMismatch.
  WaitingFor waiting_for() const;

  // Gives the operation up: waits, at most `bound_s`, until the device has finished what it was given. After ok nothing touches the
  // operands any more. Blocks. Errors: kTimeout (the device may still read and write them); to be called again, or not at all.
  Status settle(double bound_s);

  // The peer to which the last bind() could not connect.
  int unreached() const { return unreached_; }

  // One sentence. Precondition: step() has returned kDeviceFailed.
  std::string device_failure() const;

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
  enum class Outcome : uint8_t { kRan, kIssued, kBlocked, kMismatch, kDeviceFailed };
  // How far an asynchronous device is with a channel's instruction.
  enum class Stage : uint8_t {
    kNothing,
    kStaging,  // operands of a user's reduction are on their way to the host
    kLast      // the last of it was issued
  };
  struct Pending {
    Stage stage = Stage::kNothing;
    Span span;
  };
  // Operands of a user's reduction in host memory.
  struct Staged {
    const std::byte* left = nullptr;
    const std::byte* right = nullptr;
    std::byte* result = nullptr;
  };

  Outcome run_one(const Step& step, const Cursor& at, size_t channel);
  bool after_is_done(const Step& step, const Cursor& at) const;
  Span span_of(const Step& step, const Cursor& at) const;
  Span uneven_span_of(const Step& step, size_t slice) const;
  const Block* block_of(const Region& region) const;
  size_t slices_of(const std::vector<Step>& steps) const;
  Status grow_scratch(size_t bytes);
  void free_scratch();
  void move_data(const Step& step, const Span& span, DataPath& path);
  void reduce(const Step& step, const Destination& to, const std::byte* left, const std::byte* right, size_t elems, DataPath& path) const;

  // on_queue.cc: what only asynchronous devices need.
  Status make_queues(size_t channels);
  void prepare_queues(const Launch& launch);
  DeviceQueue& queue_of(size_t channel) const { return *queues_[channel % queues_.size()]; }
  Outcome issue(const Step& step, Span span, size_t channel);  // by value: a reference would keep run_one()'s out of registers
  Outcome go_on(const Step& step, size_t channel);
  Staged staged_of(const Step& step, size_t channel);
  void stage_operands(const Step& step, const Span& span, size_t channel);
  void reduce_staged(const Step& step, const Span& span, size_t channel);

  Device& device_;
  DataPath* immediate_;  // nullptr: the device has queues
  std::vector<std::unique_ptr<DeviceQueue>> queues_;
  std::vector<Pending> pending_;    // by channel
  std::vector<std::byte> staging_;  // for user reductions, where the host cannot touch the device's memory: two messages a channel
  size_t staged_bytes_ = 0;         // of one message there
  Transport& transport_;
  int lane_;
  size_t stream_bytes_;
  MemoryBudget* budget_;
  bool carried_;  // slots do not arrive by themselves: the transport is told when an operation has posted its last
  Launch* launch_ = nullptr;
  const Operands* operands_ = nullptr;
  size_t elem_bytes_ = 0;
  size_t slice_bytes_ = 0;
  size_t uneven_slice_elems_ = 0;
  bool stream_ = false;
  std::byte* bases_[4] = {};  // by Buffer
  std::vector<Cursor> cursors_;
  size_t unfinished_ = 0;                 // channels
  int unreached_ = kNoPeer;
  int mismatched_ = -1;                   // the channel whose message belonged to another call; -1: none
  int failed_ = -1;                       // the channel whose queue failed
  std::byte* scratch_ = nullptr;          // the device's memory
  std::atomic<size_t> scratch_bytes_{0};  // relaxed: others only report it
};

}  // namespace tutti
