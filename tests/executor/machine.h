// A whole plan at work: an executor a rank, over heap FIFOs, stepped in whatever order a test wants.
// Threading: one thread, or one thread a rank for start() and step().
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "executor/executor.h"
#include "tests/support/memory_transport.h"

namespace tutti {

// Small slots, so that small counts have many slices; staged ones are no power of two.
inline constexpr FifoShapes kSmallShapes = {.inlined = {.slots = 4, .capacity = 200, .payload_offset = 8},
                                            .staged = {.slots = 2, .capacity = 1020, .payload_offset = 64}};

class Machine {
 public:
  explicit Machine(const Plan& plan, Protocol protocol = Protocol::kStaged, uint32_t slice_bytes = 0,
                   const FifoShapes& shapes = kSmallShapes, size_t stream_bytes = 16 * 1024, const std::vector<Device*>& devices = {})
      : plan_(plan), world_(static_cast<int>(plan.ranks.size()), shapes) {
    for (const Program& program : plan_.ranks) {
      Device& device = devices.empty() ? host_device() : *devices[executors_.size()];
      executors_.push_back(std::make_unique<Executor>(device, world_.transport(program.rank), 0, stream_bytes));
      Result<std::unique_ptr<Launch>> launch = executors_.back()->bind(program, protocol, slice_bytes, 1);
      EXPECT_TRUE(launch.ok()) << launch.status().message();
      launches_.push_back(std::move(*launch));
    }
    operands_.resize(plan_.ranks.size());
    done_.resize(plan_.ranks.size());
  }

  size_t nranks() const { return executors_.size(); }
  Executor& executor(size_t rank) { return *executors_[rank]; }

  void start(size_t rank, const Operands& operands) {
    operands_[rank] = operands;  // borrowed until the end
    const Status status = executors_[rank]->start(*launches_[rank], operands_[rank]);
    EXPECT_TRUE(status.ok()) << status.message();
    done_[rank] = false;
  }

  StepResult step(size_t rank) {
    const StepResult result = executors_[rank]->step();
    done_[rank] = result == StepResult::kDone;
    return result;
  }

  // Steps rank by rank until all are done. Fails where a whole round moves nothing.
  void run_round_robin() {
    for (bool moved = true; !all_done();) {
      ASSERT_TRUE(moved) << "nothing moves: " << describe();
      moved = false;
      for (size_t rank = 0; rank < nranks(); ++rank) {
        if (done_[rank]) continue;
        const StepResult result = step(rank);
        ASSERT_NE(result, StepResult::kMismatch);
        moved |= result != StepResult::kBlocked || device_works(rank);
      }
    }
  }

  // The same in an order drawn from `random`, in which ranks fall far behind others.
  void run_at_random(std::mt19937& random) {
    for (uint64_t fruitless = 0; !all_done();) {
      ASSERT_LT(fruitless, 100'000U) << "nothing moves: " << describe();
      const size_t rank = random() % nranks();
      const size_t steps = 1 + random() % 4;
      for (size_t i = 0; i < steps && !done_[rank]; ++i) {
        const StepResult result = step(rank);
        ASSERT_NE(result, StepResult::kMismatch);
        fruitless = result == StepResult::kBlocked && !device_works(rank) ? fruitless + 1 : 0;
      }
    }
  }

 private:
  // That is no standstill; the test's own bound ends a device that never finishes.
  bool device_works(size_t rank) const {
    const bool works = executors_[rank]->waiting_for().own_device;
    if (works) std::this_thread::yield();
    return works;
  }

  bool all_done() const { return std::find(done_.begin(), done_.end(), 0) == done_.end(); }

  std::string describe() const {
    std::string text;
    for (size_t rank = 0; rank < nranks(); ++rank) {
      if (done_[rank]) continue;
      const WaitingFor waiting = executors_[rank]->waiting_for();
      text += "rank " + std::to_string(rank) + " waits for " + std::to_string(waiting.peer) + " in channel " +
              std::to_string(waiting.channel) + ", step " + std::to_string(waiting.instruction) +
              (waiting.for_credit ? " (credit); " : " (data); ");
    }
    return text;
  }

  Plan plan_;
  MemoryWorld world_;
  std::vector<Operands> operands_;
  std::vector<std::unique_ptr<Executor>> executors_;
  std::vector<std::unique_ptr<Launch>> launches_;
  std::vector<char> done_;  // not bool: every rank may be another thread's
};

}  // namespace tutti
