// What one operation in flight owns of a communicator: an executor with FIFOs and scratch of its own. Operation k runs on lane
// k mod lanes, after operation k - lanes, on every rank alike.
//
// Threading: begin(), advance() and look() by the thread that drives the operation; busy() by any.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "comm/health.h"
#include "comm/point_to_point.h"
#include "comm/request.h"
#include "executor/executor.h"

namespace tutti {

class Communicator;
struct PlannedProgram;

class Lane {
 public:
  static constexpr double kFirstProbe_s = 0.05;  // of waiting; every further question waits twice as long

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

  // Plans have changed: what was found before is looked for again. Precondition: no operation runs.
  void forget_launches() { last_launch_ = nullptr; }

  // To be called now and then while advance() says kBlocked: whether waiting still makes sense.
  Status look(double waited_s);

 private:
  Status start(const Request& request);
  Status start_point_to_point(const Request& request);
  Result<const PlannedProgram*> plan_for(const Request& request);
  Result<Launch*> launch_for(const Request& request);
  Status begin_checking(const Request& request);
  bool is_mail() const { return current_->collective == Collective::kSendRecv; }
  Status begin_moving();
  bool has_begun() const { return !checking_ && !awaits_choice_ && suspect_ == kNoPeer; }
  bool others_have_moved_it();
  // Ends the operation and poisons the communicator. The first also tells all ranks that this one failed; the second is for a reason that
  // all ranks know or will hear of.
  Status fail(Status status);
  Status fail_quietly(Status status);
  void finish();

  // lane_look.cc: what is done about waiting.
  Status look_at_device(double waited_s);
  Status look_at_rank_0(double waited_s);
  Status look_at_peer(const WaitingFor& waiting, double waited_s);
  Status look_for_mismatch(const WaitingFor& waiting, double waited_s);
  Status look_at_time(const WaitingFor& waiting, double waited_s);
  Status resolve_suspicion();
  Status fail_mismatch(int peer, const Health::Difference& difference);
  Status fail_unexplained(const Answer* answer);
  Status fail_timeout(const WaitingFor& waiting, double waited_s, const std::vector<Answer>& answers);
  Result<std::string> who_is_late(const std::vector<Answer>& answers, int waited_for);
  Status fail_to_begin(const Status& status);
  Status fail_unreached(int peer, const Status& status);
  std::optional<Status> known_failure();
  Status fail_died(int peer, PeerState how);
  Status fail_heard(const Failure& failure);
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
  CallShape last_shape_;
  Launch* last_launch_ = nullptr;
  uint64_t last_choice_ = 0;  // in a word
  uint64_t number_ = 0;
  CallShape shape_;

  // Of the running operation's wait. A peer that waits may ask the control threads of others; whatever it asks, it goes on waiting
  // meanwhile.
  using Clock = std::chrono::steady_clock;
  bool checking_ = false;       // TUTTI_CHECK: the other ranks have not brought this call yet, and nothing has begun
  bool awaits_choice_ = false;  // rank 0 has not said yet what its tuner chooses, and nothing has begun
  int suspect_ = kNoPeer;       // sent data of another call; its own call is asked for
  bool warned_ = false;
  uint64_t probe_ = 0;  // a question to the peer that is waited for; 0: none
  int probed_ = kNoPeer;
  double next_probe_s_ = 0;
  uint64_t census_ = 0;                          // a question to all
  Clock::time_point asked_at_;                   // of the question that ends the operation
  std::optional<Clock::time_point> gone_since_;  // the peer that is waited for says that it has failed, and its reason is on its way
  bool leaves_to_others_ = false;                // another rank asks around already
  std::atomic<uint64_t> finished_{0};            // operations that this lane has finished
};

}  // namespace tutti
