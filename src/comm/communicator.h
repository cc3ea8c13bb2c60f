// One rank's communicator: who its peers are, in which order its operations run, and what happens when something goes wrong.
//
// A request travels submit() -> Lane -> Planner -> Executor. Errors of a running operation poison the communicator: the first one stays,
// all ranks are told (health.h), and every later call returns it. What another rank failed of poisons this one's at its next call; that one
// has died does so only once something waits, since what it sent before may be all that is needed.
//
// Threading: calls by one thread at a time, but abort(), async_error() and last_error() from any; two threads at once in a call are noticed
// and refused. Operations on streams run on the streams' threads.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/config.h"
#include "comm/bootstrap.h"
#include "comm/health.h"
#include "comm/lane.h"
#include "device/device.h"
#include "executor/wait.h"
#include "planner/planner.h"

namespace tutti {

// A reduction that a caller created for this communicator.
struct CreatedReduction {
  ReductionCall call;
  bool premul = false;  // legal for call.arithmetic.type only
  bool alive = true;
};

// Where and when an operation runs: as the `number`-th of those that share its lane and its lane's fellows.
struct Turn {
  Lane* lane = nullptr;
  uint64_t number = 0;
};

struct Explanation {
  PlanExplanation plan;
  std::string transport;
  size_t bytes = 0;
};

// What a communicator uses, in bytes.
struct MemoryUse {
  size_t connections = 0;
  size_t scratch = 0;
  size_t budget = 0;  // of both together
};

class Communicator {
 public:
  // What is said of the machine, in place of what config's files hold.
  struct Said {
    std::optional<Graph> graph;
    std::shared_ptr<const Tuning> tuning;  // shared_ptr: with the parent that it comes from
  };
  // Joins the others. Blocks within the init timeout. Errors: those of bootstrap() and of the transport; kInvalidArgument: the topology
  // file is wrong, or of another number of ranks; the tuning file is wrong.
  static Result<std::unique_ptr<Communicator>> join(const RendezvousId& id, const Joining& joining, const Config& config, Said said = {});
  // The communicator of `members`, ranks of `parent` in their new order, this one among them, over the parent's connections. All of them
  // call it with the same `context`, a number never used before; when all have, each calls meet(), and then may use its own. Precondition:
  // parent.derives(). Errors: those of the transport and the planner.
  static Result<std::unique_ptr<Communicator>> derive(const Communicator& parent, const std::vector<int>& members, uint32_t context,
                                                      const Config& config);
  bool derives() const { return (transport_->abilities() & kAbilityDerive) != 0; }
  Status meet() { return transport_->introduce({}); }
  // Says goodbye. Never waits for peers. Precondition: drain(), or abort() has returned true; and settle() ok.
  ~Communicator();

  int rank() const { return rank_; }
  int nranks() const { return nranks_; }
  const Config& config() const { return config_; }
  // The declared machine as a communicator of some of this one's ranks sees it; nullopt where none was declared.
  std::optional<Graph> topology_of(const std::vector<int>& members) const;
  const std::shared_ptr<const Tuning>& tuning() const { return tuning_; }
  const Member& member(int rank) const { return membership_.members[static_cast<size_t>(rank)]; }
  MemoryUse memory() const;
  const WaitPolicy& wait_policy() const { return wait_policy_; }

  // Runs a request to its end, after all that was submitted before it. Allocates nothing, plans nothing and makes no system call where it
  // was run before and nobody has to wait.
  Status submit(const Request& request);

  // The same in parts, for who drives several operations (batch.h). enter() begins a call and refuses a second thread's; leave() ends it.
  Status enter();
  void leave() { in_call_.store(false, std::memory_order_release); }
  // The next operation's turn, in the order of the calls; every turn must be run. Collectives are called by all ranks in one order, so
  // their numbers, and with them their lanes, agree. Sends and receives concern some ranks only: they have a lane and numbers of their own.
  Turn take_turn(Collective collective) {
    if (collective == Collective::kSendRecv) return {point_to_point_.get(), point_to_points_++};
    const uint64_t number = operations_++;
    return {lanes_[number & (lanes_.size() - 1)].get(), number};
  }
  // Operations that run on streams: counted from their call to their end. wait_for_streams() waits until there is none.
  void stream_operation_begins() { on_streams_.fetch_add(1, std::memory_order_relaxed); }
  void stream_operation_ends() { on_streams_.fetch_sub(1, std::memory_order_release); }
  void wait_for_streams();

  // What has had its turn so far, and waiting until that has ended, whatever was submitted after it.
  struct Submitted {
    uint64_t operations = 0;
    uint64_t point_to_points = 0;
  };
  Submitted submitted() const { return {operations_, point_to_points_}; }
  void wait_for(const Submitted& submitted);

  Result<Explanation> explain(const Request& request);

  // Runs `plan` where it serves a request from now on. All ranks call it with the same, after the same operations. Precondition: no
  // operation runs; the plan is for this many ranks.
  void add_plan(std::shared_ptr<const ImportedPlan> plan);

  // Created reductions are numbered from 0 in their order. nullptr: there is none, or it was destroyed.
  int add_reduction(const CreatedReduction& reduction);
  CreatedReduction* reduction(int number);

  // Copies `bytes`, few, from host memory or that of this rank's device. Errors: kTimeout and kSystem, of the device.
  Status read(void* to, const void* from, size_t bytes) const;

  // No more calls will come: tells the peers.
  Status finalize();
  // Makes operations that wait return, tells the peers, and waits (at most 10 s) until no thread is inside: true if so. Of an operation
  // that it ends, nothing touches the communicator after leave() or stream_operation_ends().
  bool abort();
  // This rank fails before an operation that has its turn: all hear of it, and every turn that is run fails at once.
  void fail(const Status& status);
  // Waits until the operations on streams have ended, within their own bounds.
  void drain() { wait_for_streams(); }
  // Waits, at most the device's bound, until this rank's device has finished what was issued for operations that failed. Precondition: no
  // operation runs. Errors: kTimeout: it has not, and the communicator must stay.
  Status settle();

  // Of this rank, or of any that it has heard of.
  Code async_error() const;
  // The poison's sentence, another rank's failure's, or the last refused call's.
  std::string last_error() const;
  void note_error(const Status& status);

 private:
  friend class Lane;

  void log_plan(const PlanRequest& shape, size_t bytes, uint32_t type_bytes);
  Communicator(int rank, int nranks, const Config& config)
      : rank_(rank), nranks_(nranks), config_(config), budget_(std::make_shared<MemoryBudget>(config.memory_bytes)) {}
  Status open(const RendezvousId& id, const Joining& joining);
  Status look_up();
  Status declare_topology();
  Status read_tuning();
  void start_tuner();
  Status take_choices();
  void watch_health();
  Status set_up();
  Graph detected_graph() const;
  void show_graph(const Graph& graph);
  Code poison_code() const { return static_cast<Code>(poison_code_.load(std::memory_order_acquire)); }
  Status usable();

  // For lanes.
  PlanRequest plan_request(const Request& request) const;
  // nullptr: rank 0 has not said yet; choice_has_come() says when to ask again.
  Result<const PlannedProgram*> plan(const PlanRequest& shape, size_t bytes, uint32_t type_bytes);
  bool choice_has_come() const { return health_->handed_out() != choices_taken_.load(std::memory_order_relaxed); }
  Status poison(Status status);
  Health& health() { return *health_; }
  bool aborted() const { return aborted_.load(); }
  Device& device() const { return *device_; }
  std::string describe_peer(int peer) const;

  int rank_;
  int nranks_;
  Config config_;
  std::shared_ptr<MemoryBudget> budget_;  // shared_ptr: with the memory of FIFOs, which peers in this process may still hold
  Device* device_ = nullptr;              // that holds this rank's buffers
  std::optional<Graph> declared_;         // the machine, where it is not detected
  std::shared_ptr<const Tuning> tuning_;  // measured choices; nullptr: none. shared_ptr: with the planner, and those split off
  ImportedPlans file_plans_;              // of TUTTI_PLAN_FILE, for whatever number of ranks
  Membership membership_;
  uint32_t context_ = 0;            // of the control tree: 0, or the number under which this was split off
  std::vector<int> in_tree_;        // by rank, the tree's
  std::shared_ptr<Health> health_;  // shared with the control thread
  WaitPolicy wait_policy_;
  std::unique_ptr<Transport> transport_;
  std::mutex planner_mutex_;
  std::unique_ptr<Planner> planner_;            // guarded by planner_mutex_ once lanes run
  std::atomic<size_t> choices_taken_{0};        // of those that rank 0 handed out; written under planner_mutex_. relaxed: a look before it
  std::set<std::pair<int, size_t>> explained_;  // program and bytes that TUTTI_EXPLAIN has logged
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::vector<CreatedReduction> reductions_;
  std::unique_ptr<Lane> point_to_point_;
  uint64_t operations_ = 0;
  uint64_t point_to_points_ = 0;
  bool finalized_ = false;

  // in_call_: exchanged (seq_cst) on entry, stored false (release) on exit; abort() reads it (seq_cst) after it has stored aborted_, and a
  // caller reads aborted_ (seq_cst) after its exchange: one of the two sees the other.
  std::atomic<bool> in_call_{false};
  std::atomic<bool> aborted_{false};
  // Release by stream_operation_ends(), acquire by wait_for_streams(): results on streams are seen by who waited for them.
  std::atomic<int> on_streams_{0};
  // Release by poison(), after the message; acquire by poison_code().
  std::atomic<int> poison_code_{0};
  mutable std::mutex error_mutex_;
  std::string error_;  // guarded by error_mutex_
};

}  // namespace tutti
