// The deadlock check: runs the plan without data. An instruction fires when its `after` has completed, its message is there and its
// slot is free; firing is atomic.
//
// One greedy schedule decides. Every FIFO has one producer and one consumer, and completion is never undone, so firing one instruction
// never stops another that could fire (a Kahn network): either all schedules finish or none does. More slots only enable more.
// A single slice that finishes leaves every FIFO empty, so by the same argument any number of slices would; unrolling past the credits
// guards against the day when a slice does not begin as the one before it began.
// Threading: pure functions.
#include <algorithm>
#include <string>
#include <utility>

#include "plan/checks.h"

namespace tutti::verifier {
namespace {

using std::to_string;

class Schedule {
 public:
  Schedule(const ResolvedPlan& plan, uint32_t fifo_depth, uint32_t slices, std::vector<uint32_t>& order)
      : plan_(plan),
        depth_(fifo_depth),
        slices_(slices),
        order_(order),
        slice_(nstrands(), 0),
        index_(nstrands(), 0),
        queued_(nstrands(), false),
        filled_(plan.fifos.size(), 0),
        after_waiters_(plan.nranks) {}

  Status run() {
    for (uint32_t strand = 0; strand < nstrands(); ++strand) {
      if (plan_.strand_length(strand) == 0) slice_[strand] = slices_;
      wake(strand);
    }
    while (!queue_.empty()) {
      const uint32_t strand = queue_.back();
      queue_.pop_back();
      queued_[strand] = false;
      advance(strand);
    }
    for (uint32_t strand = 0; strand < nstrands(); ++strand) {
      if (!finished(strand)) return stuck(strand);
    }
    return {};
  }

 private:
  enum class Need : uint8_t { kNothing, kAfter, kMessage, kSlot };

  uint32_t nstrands() const { return plan_.nranks * plan_.nchannels; }
  bool finished(uint32_t strand) const { return slice_[strand] == slices_; }
  uint32_t step_of(uint32_t strand) const { return plan_.strand_begin[strand] + index_[strand]; }

  void wake(uint32_t strand) {
    if (queued_[strand]) return;
    queued_[strand] = true;
    queue_.push_back(strand);
  }

  // What the strand's next instruction lacks, and the strand that it awaits.
  std::pair<Need, uint32_t> lack(uint32_t strand) const {
    const Instruction& instruction = plan_.instruction(strand, index_[strand]);
    if (instruction.after_channel >= 0) {
      const uint32_t target = strand - strand % plan_.nchannels + static_cast<uint32_t>(instruction.after_channel);
      const bool done = slice_[target] != slice_[strand] ? slice_[target] > slice_[strand]
                                                         : index_[target] > static_cast<uint32_t>(instruction.after_index);
      if (!done) return {Need::kAfter, target};
    }
    const Step& step = plan_.steps[step_of(strand)];
    if (step.recv_fifo != kNoIndex && filled_[step.recv_fifo] == 0) return {Need::kMessage, plan_.fifos[step.recv_fifo].producer};
    if (step.send_fifo != kNoIndex && filled_[step.send_fifo] >= depth_) return {Need::kSlot, plan_.fifos[step.send_fifo].consumer};
    return {Need::kNothing, kNoIndex};
  }

  // Fires as many instructions of the strand as can, and wakes the strands that this may have enabled.
  void advance(uint32_t strand) {
    bool fired = false;
    while (!finished(strand)) {
      const Need need = lack(strand).first;
      const uint32_t rank = strand / plan_.nchannels;
      if (need == Need::kAfter) after_waiters_[rank].push_back(strand);
      if (need != Need::kNothing) break;
      fire(strand);
      fired = true;
    }
    if (!fired) return;
    // Whichever channel they wait for: a rank has few channels. One that waits still queues itself here again.
    std::vector<uint32_t> waiters;
    waiters.swap(after_waiters_[strand / plan_.nchannels]);
    for (const uint32_t waiter : waiters) wake(waiter);
  }

  void fire(uint32_t strand) {
    const uint32_t id = step_of(strand);
    const Step& step = plan_.steps[id];
    // A FIFO's ends wait only when it is empty or full.
    if (step.recv_fifo != kNoIndex && filled_[step.recv_fifo]-- == depth_) wake(plan_.fifos[step.recv_fifo].producer);
    if (step.send_fifo != kNoIndex && filled_[step.send_fifo]++ == 0) wake(plan_.fifos[step.send_fifo].consumer);
    if (slice_[strand] == 0) order_.push_back(id);
    if (++index_[strand] == plan_.strand_length(strand)) {
      index_[strand] = 0;
      ++slice_[strand];
    }
  }

  std::string text(uint32_t strand) const {
    const auto [need, other] = lack(strand);
    const std::string what = need == Need::kMessage ? "a message from" : need == Need::kSlot ? "a free slot towards" : "`after` of";
    return describe(plan_, step_of(strand)) + " of slice " + to_string(slice_[strand]) + " waits for " + what + " rank " +
           to_string(other / plan_.nchannels) + ", channel " + to_string(other % plan_.nchannels);
  }

  // Every strand that has not finished waits for another such, so following the waits from any of them ends in a cycle.
  Status stuck(uint32_t strand) const {
    std::vector<bool> seen(nstrands(), false);
    while (!seen[strand]) {
      seen[strand] = true;
      strand = lack(strand).second;
    }
    constexpr uint32_t kMostShown = 8;
    std::string cycle;
    uint32_t length = 0, next = strand;
    do {
      if (length < kMostShown) cycle += (length == 0 ? "" : "; ") + text(next);
      ++length;
      next = lack(next).second;
    } while (next != strand);
    if (length > kMostShown) cycle += "; and so on, " + to_string(length) + " in all";
    const std::string depth = depth_ == kNoIndex ? "unbounded FIFOs" : "FIFOs of " + to_string(depth_) + (depth_ == 1 ? " slot" : " slots");
    return {Code::kInvalidArgument, "deadlock: with " + depth + " these wait for one another: " + cycle};
  }

  const ResolvedPlan& plan_;
  const uint32_t depth_;
  const uint32_t slices_;
  std::vector<uint32_t>& order_;
  std::vector<uint32_t> slice_;  // of each strand: the slice, and the next instruction in it
  std::vector<uint32_t> index_;
  std::vector<bool> queued_;
  std::vector<uint32_t> queue_;
  std::vector<uint32_t> filled_;  // of each FIFO: slots that hold a message
  std::vector<std::vector<uint32_t>> after_waiters_;
};

}  // namespace

Status run_schedule(const ResolvedPlan& plan, uint32_t fifo_depth, uint32_t slices, std::vector<uint32_t>& order) {
  order.reserve(order.size() + plan.steps.size());
  return Schedule(plan, fifo_depth, slices, order).run();
}

uint32_t slices_to_unroll(const ResolvedPlan& plan, uint32_t fifo_depth) {
  uint32_t fewest = 2 * fifo_depth;
  for (const ResolvedFifo& fifo : plan.fifos) fewest = std::min(fewest, fifo.sends);
  return std::max(2u, (2 * fifo_depth + fewest - 1) / fewest);
}

}  // namespace tutti::verifier
