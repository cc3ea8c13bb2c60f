// What one operation in flight owns of a communicator: an executor with FIFOs and scratch of its own. Operation k runs on lane
// k mod lanes, after operation k - lanes, on every rank alike.
//
// Threading: begin(), advance() and look() by the thread that drives the operation; busy() by any.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "comm/point_to_point.h"
#include "comm/request.h"
#include "executor/executor.h"

namespace tutti {

class Communicator;

class Lane {
 public:
  // `lanes`: how many there are, a power of two.
  Lane(Communicator& comm, int index, int lanes);

  // Whether operation `number` has to wait for an earlier one on this lane.
  bool busy_for(uint64_t number) const {
    // Pairs with finish(): what the earlier operation's thread did to the lane is seen by the next one's.
    return finished_.load(std::memory_order_acquire) != number >> lanes_shift_;
  }

  // How many of its operations have ended. Pairs with finish(), as busy_for().
  uint64_t finished() const { return finished_.load(std::memory_order_acquire); }

  // Any thread.
  size_t scratch_bytes() const { return executor_.scratch_bytes(); }

  // Plans and starts. Precondition: !busy_for(number). `request` is borrowed until the operation has ended. An error of begin(), advance()
  // or look() ends the operation and has poisoned the communicator; it comes
  // when this rank's device is done with the buffers, or says that it is not.
  Status begin(const Request& request, uint64_t number);

  enum class Progress : uint8_t { kDone, kMoved, kBlocked };
  Result<Progress> advance();

  // Waits, bounded, for what the device still does for an operation that failed. Errors: kTimeout.
  Status settle();

  // To be called now and then while advance() says kBlocked: whether waiting still makes sense.
  Status look(double waited_s);

 private:
  Status start(const Request& request);
  Status start_point_to_point(const Request& request);
  Result<Launch*> launch_for(const Request& request);
  Status fail(Status status);
  void finish() { finished_.store(finished_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }
  Status look_at_device(double waited_s);
  Status peer_gone(const WaitingFor& waiting, PeerState state) const;
  std::string describe() const;

  Communicator& comm_;
  Executor executor_;
  int lanes_shift_;                                // there are 2^lanes_shift_ lanes
  std::vector<std::unique_ptr<Launch>> launches_;  // by PlannedProgram::id
  PointToPointPlan group_plan_;                    // of the sends and receives that run
  std::unique_ptr<Launch> group_launch_;
  std::byte barrier_token_{};  // output of barriers: the call may be over, and its thread gone, before one on a stream has run
  const Request* current_ = nullptr;
  Operands operands_;  // made from it; borrowed by the executor
  // The launch found last and what it was found for: a repeated call need not ask the planner.
  PlanRequest last_shape_;
  size_t last_bytes_ = 0;
  Launch* last_launch_ = nullptr;
  uint64_t number_ = 0;
  bool warned_ = false;
  std::atomic<uint64_t> finished_{0};  // operations that this lane has finished
};

}  // namespace tutti
