#include "comm/communicator.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

#include "base/log.h"
#include "comm/choices.h"
#include "comm/transports.h"
#include "device/devices.h"
#include "topology/cluster.h"
#include "topology/describe_graph.h"
#include "topology/graph_json.h"

namespace tutti {
namespace {

constexpr double kDefaultSpinUs = 50;
constexpr int kAbortWaitMs = 10'000;

std::vector<RankPlace> places(const std::vector<Member>& members) {
  std::vector<RankPlace> all;
  for (const Member& member : members) {
    all.push_back({.node = member.node,
                   .device = member.device,
                   .vendor = member.vendor,
                   .network_GBps = member.network_GBps,
                   .cpus = member.cpus,
                   .pci_id = member.pci_id});
  }
  return all;
}

}  // namespace

Result<std::unique_ptr<Communicator>> Communicator::join(const RendezvousId& id, const Joining& joining, const Config& config, Said said) {
  std::unique_ptr<Communicator> comm(new Communicator(joining.rank, joining.nranks, config));
  comm->declared_ = std::move(said.graph);
  comm->tuning_ = std::move(said.tuning);
  if (Status status = comm->open(id, joining); !status.ok()) return status;
  return comm;
}

Status Communicator::open(const RendezvousId& id, const Joining& joining) {
  if (Status status = look_up(); !status.ok()) return status;
  if (Status status = declare_topology(); !status.ok()) return status;
  if (Status status = read_tuning(); !status.ok()) return status;
  Result<ImportedPlans> plans = import_plan_files(config_.plan_file);
  if (!plans.ok()) return {plans.status().code(), "TUTTI_PLAN_FILE: " + plans.status().message()};
  file_plans_ = std::move(*plans);
  Result<std::unique_ptr<Transport>> transport = make_transport(rank_, nranks_, config_, id.key, budget_);
  if (!transport.ok()) return transport.status();
  transport_ = std::move(*transport);
  Member self = make_member(rank_, config_, transport_->address());
  self.agreed.push_back("topo_file=" + (declared_ ? "graph " + std::to_string(graph_hash(*declared_)) : std::string("none")));
  self.agreed.push_back("tuning_file=" + (tuning_ ? "choices " + std::to_string(tuning_hash(*tuning_)) : std::string("none")));
  self.agreed.push_back("plan_file=" + describe(file_plans_));
  self.vendor = device_->vendor();
  self.pci_id = device_->pci_id();
  Joining with_settings = joining;
  with_settings.heartbeat_s = config_.heartbeat_s;
  Result<Membership> membership = bootstrap(id, with_settings, self, [this] { return describe_own_node(config_); });
  if (!membership.ok()) return membership.status();
  membership_ = std::move(*membership);
  std::vector<std::vector<std::byte>> addresses;
  for (const Member& member : membership_.members) {
    in_tree_.push_back(member.rank);
    addresses.push_back(member.transport);
  }
  watch_health();
  if (Status status = transport_->introduce(std::move(addresses)); !status.ok()) return status;
  return set_up();
}

Result<std::unique_ptr<Communicator>> Communicator::derive(const Communicator& parent, const std::vector<int>& members, uint32_t context,
                                                           const Config& config) {
  const auto nranks = static_cast<int>(members.size());
  const auto rank = static_cast<int>(std::find(members.begin(), members.end(), parent.rank_) - members.begin());
  std::unique_ptr<Communicator> comm(new Communicator(rank, nranks, config));
  if (Status status = comm->look_up(); !status.ok()) return status;
  comm->declared_ = parent.topology_of(members);
  comm->tuning_ = parent.tuning_;
  comm->file_plans_ = parent.file_plans_;
  Result<std::unique_ptr<Transport>> transport = parent.transport_->derive(members, context, fifo_shapes(nranks, config), comm->budget_);
  if (!transport.ok()) return transport.status();
  comm->transport_ = std::move(*transport);
  comm->context_ = context;
  comm->membership_.tree = parent.membership_.tree;
  comm->membership_.nodes = parent.membership_.nodes;
  for (const int member : members) {
    comm->membership_.members.push_back(parent.member(member));
    comm->membership_.members.back().rank = static_cast<int>(comm->membership_.members.size()) - 1;
    comm->in_tree_.push_back(parent.in_tree_[static_cast<size_t>(member)]);
  }
  comm->watch_health();
  if (Status status = comm->set_up(); !status.ok()) return status;
  return comm;
}

// What the settings name, before any peer is troubled.
Status Communicator::look_up() {
  const Result<Device*> device = find_device(config_.device);
  if (!device.ok()) return device.status();
  device_ = device.value();
  return Planner::check(config_.algorithm);
}

Status Communicator::declare_topology() {
  if (config_.topo_file.empty() || declared_) return {};
  Result<Graph> graph = read_graph_file(config_.topo_file);
  if (!graph.ok()) return {graph.status().code(), "TUTTI_TOPO_FILE: " + graph.status().message()};
  const auto ranks = std::count_if(graph->endpoints.begin(), graph->endpoints.end(), [](const Endpoint& e) { return e.rank >= 0; });
  if (ranks != nranks_) {
    return {Code::kInvalidArgument, "TUTTI_TOPO_FILE: topology file " + config_.topo_file + " has endpoints for " + std::to_string(ranks) +
                                        " ranks, but the communicator has " + std::to_string(nranks_) +
                                        ": give the file of this job, or unset it"};
  }
  declared_ = std::move(*graph);
  return {};
}

Status Communicator::read_tuning() {
  if (config_.tuning_file.empty() || tuning_) return {};
  Result<Tuning> tuning = read_tuning_file(config_.tuning_file);
  if (!tuning.ok()) return {tuning.status().code(), "TUTTI_TUNING_FILE: " + tuning.status().message()};
  tuning_ = std::make_shared<const Tuning>(std::move(*tuning));
  return {};
}

std::optional<Graph> Communicator::topology_of(const std::vector<int>& members) const {
  if (!declared_) return std::nullopt;
  return graph_of_ranks(*declared_, members);
}

void Communicator::watch_health() {
  std::vector<std::string> who;
  for (const Member& member : membership_.members) who.push_back(describe(member));
  health_ = std::make_shared<Health>(*membership_.tree, context_, rank_, std::move(who), in_tree_);
  transport_->interrupt_by([this] { return aborted() || health_->failed() || poison_code() != Code::kOk; });
  membership_.tree->attach(context_, health_);
}

Graph Communicator::detected_graph() const {
  std::vector<std::string> remarks;
  Graph graph = cluster_graph(places(membership_.members), membership_.nodes, &remarks);
  if (rank_ != 0) return graph;
  for (const std::string& remark : remarks) log_info(remark);
  for (const auto& [node, description] : membership_.nodes) log(LogLevel::kDebug, "node " + node + ": " + words_for(description));
  return graph;
}

// What all ranks plan by: rank 0 shows it to who asked, and tells the others its digest. That they differ would be a defect, or a computer
// that counts wrong: no plan must follow.
void Communicator::show_graph(const Graph& graph) {
  if (nranks_ > 1) health_->compare_graph(graph_digest(graph));
  if (rank_ != 0) return;
  if (log_enabled(LogLevel::kDebug)) {
    std::istringstream lines(describe_graph(graph));
    for (std::string line; std::getline(lines, line);) log(LogLevel::kDebug, "graph: " + line);
  }
  if (config_.topo_dump.empty() || context_ != 0) return;
  std::ofstream file(config_.topo_dump, std::ios::binary);
  file << graph_to_json(graph) << std::flush;
  if (!file) log_warn("TUTTI_TOPO_DUMP=" + config_.topo_dump + ": the graph cannot be written there");
}

// What the transports in use offer is known by now, and the same on all ranks.
Status Communicator::set_up() {
  const bool can_inline = (transport_->abilities() & kAbilityInline) != 0;
  const PlannerLimits limits = {.inline_bytes = can_inline ? transport_->shapes().inlined.capacity : 0,
                                .forced_algorithm = config_.algorithm,
                                .carried = (transport_->abilities() & kAbilityMapped) == 0,
                                .slot_bytes = transport_->shapes().staged.capacity,
                                .slots = static_cast<uint32_t>(config_.slots),
                                .transport = transport_->name(),
                                .tuning = tuning_};
  Result<std::unique_ptr<const Topology>> topology = Topology::create(declared_ ? *declared_ : detected_graph());
  if (!topology.ok()) return topology.status();
  show_graph((*topology)->graph());
  Result<std::unique_ptr<Planner>> planner = Planner::create(std::move(*topology), rank_, limits);
  if (!planner.ok()) return planner.status();
  planner_ = std::move(*planner);
  for (const auto& plan : file_plans_) {
    const int wanted = plan->header().nranks;
    if (wanted == nranks_) planner_->overrides().add(plan);
    if (wanted != nranks_ && rank_ == 0) {
      log_info(plan->source + " is for " + std::to_string(wanted) + " ranks: not for this communicator of " + std::to_string(nranks_));
    }
  }
  start_tuner();
  const auto lanes = static_cast<int>(config_.lanes);
  for (int lane = 0; lane < lanes; ++lane) lanes_.push_back(std::make_unique<Lane>(*this, lane, lanes));
  point_to_point_ = std::make_unique<Lane>(*this, kPointToPointLane, 1);

  const double spin_us = config_.spin_us >= 0 ? config_.spin_us : cores_suffice(membership_, member(rank_).node) ? kDefaultSpinUs : 0;
  wait_policy_ = {.spin_us = spin_us, .yield_us = config_.yield_us};
  if (rank_ == 0) log_info("communicator of " + std::to_string(nranks_) + " ranks over " + transport_->name());
  return {};
}

// A tuner that cannot be had is a sentence in the log, and everybody goes on without.
void Communicator::start_tuner() {
  if (config_.tuner.empty()) return;
  if (rank_ != 0) return planner_->overrides().expect_tuner();
  std::set<std::string> nodes;
  for (const Member& member : membership_.members) nodes.insert(member.node);
  const tuttiTunerJob_t job = {.size = sizeof job,
                               .nranks = nranks_,
                               .nnodes = static_cast<int>(nodes.size()),
                               .transport = transport_->name(),
                               .machine = planner_->machine(),
                               .log = nullptr};
  Result<std::unique_ptr<Tuner>> tuner = Tuner::load(config_.tuner, job);
  if (tuner.ok()) {
    log_info("rank 0 asks the " + (*tuner)->who());
    return planner_->overrides().use_tuner(std::move(*tuner));
  }
  log_warn(tuner.status().message() + "; going on without a tuner");
  health_->hand_out(encode_no_tuner());
}

// Guarded by planner_mutex_.
Status Communicator::take_choices() {
  for (size_t i = choices_taken_.load(std::memory_order_relaxed); i < health_->handed_out(); ++i) {
    if (Status status = apply_choice(health_->handed_out(i), planner_->overrides()); !status.ok()) return status;
    choices_taken_.store(i + 1, std::memory_order_relaxed);
  }
  return {};
}

void Communicator::add_plan(std::shared_ptr<const ImportedPlan> plan) {
  std::lock_guard lock(planner_mutex_);
  planner_->overrides().add(std::move(plan));
  for (const auto& lane : lanes_) lane->forget_launches();
}

MemoryUse Communicator::memory() const {
  MemoryUse use = {.connections = budget_->connections(), .scratch = point_to_point_->scratch_bytes(), .budget = budget_->bytes()};
  for (const auto& lane : lanes_) use.scratch += lane->scratch_bytes();
  return use;
}

Communicator::~Communicator() {
  if (!health_) return;
  health_->leave();
  membership_.tree->detach(context_);
}

Code Communicator::async_error() const {
  if (const Code code = poison_code(); code != Code::kOk) return code;
  const std::optional<Failure> failure = health_->failure_of_others();
  return failure ? failure->code() : Code::kOk;
}

Status Communicator::usable() {
  if (const Code code = poison_code(); code != Code::kOk) {
    std::lock_guard lock(error_mutex_);
    return {code, error_};
  }
  if (aborted()) return {Code::kAborted, "the communicator was aborted"};
  if (finalized_) return {Code::kInvalidUsage, "the communicator was finalized: destroy it, and make a new one"};
  if (!health_->failed()) return {};
  const std::optional<Failure> failure = health_->failure_of_others();
  if (failure && failure->kind != Failure::Kind::kDied) return poison({failure->code(), failure->sentence});
  return {};
}

PlanRequest Communicator::plan_request(const Request& request) const {
  return {.collective = request.collective,
          .nranks = nranks_,
          .root = request.root,
          .uneven = request.uneven,
          .rank_ordered = !request.reduction.commutes};
}

Result<const PlannedProgram*> Communicator::plan(const PlanRequest& shape, size_t bytes, uint32_t type_bytes) {
  // Uncontended but for operations on several streams that begin at once.
  std::lock_guard lock(planner_mutex_);
  if (Status status = take_choices(); !status.ok()) return status;
  Result<const PlannedProgram*> planned = planner_->program_for(shape, bytes, type_bytes);
  for (const TunerDecision& decision : planner_->overrides().take_decisions()) health_->hand_out(encode_choice(decision));
  const bool asked = planned.ok() && rank_ == 0 && config_.explain;
  if (asked && explained_.insert({planned.value()->id, bytes}).second) log_plan(shape, bytes, type_bytes);
  return planned;
}

// For TUTTI_EXPLAIN.
void Communicator::log_plan(const PlanRequest& shape, size_t bytes, uint32_t type_bytes) {
  const Result<PlanExplanation> explained = planner_->explain(shape, bytes, type_bytes);
  if (explained.ok()) log_warn("plan: " + describe(explained.value(), shape.collective, bytes));
}

Status Communicator::enter() {
  if (in_call_.exchange(true)) {
    Status status(Code::kInvalidUsage,
                  "two threads use this communicator at once: make their calls one after the other, or give each its own");
    note_error(status);
    return status;
  }
  Status status = usable();
  if (!status.ok()) {
    note_error(status);
    leave();
  }
  return status;
}

Status Communicator::submit(const Request& request) {
  if (Status status = enter(); !status.ok()) return status;
  struct Leave {
    Communicator& comm;
    ~Leave() { comm.leave(); }
  } leave_at_end{*this};
  wait_for_streams();
  const Turn turn = take_turn(request.collective);
  Lane& lane = *turn.lane;
  if (Status status = lane.begin(request, turn.number); !status.ok()) return status;
  Waiter waiter(wait_policy_);
  for (;;) {
    const Result<Lane::Progress> progress = lane.advance();
    if (!progress.ok()) return progress.status();
    if (progress.value() == Lane::Progress::kDone) return {};
    if (progress.value() == Lane::Progress::kMoved) {
      waiter.reset();
    } else if (waiter.pause()) {
      if (Status status = lane.look(waiter.waited_s()); !status.ok()) return status;
    }
  }
}

// Bounded: every operation on a stream ends by its own timeout, or by abort().
void Communicator::wait_for_streams() {
  Waiter waiter(wait_policy_);
  while (on_streams_.load(std::memory_order_acquire) != 0) waiter.pause();
}

// Bounded as wait_for_streams(). Lane l runs the operations l, l + lanes, l + 2 lanes, and so on.
void Communicator::wait_for(const Submitted& submitted) {
  const auto ended = [&] {
    for (size_t lane = 0; lane < lanes_.size(); ++lane) {
      if (lanes_[lane]->finished() < (submitted.operations + lanes_.size() - 1 - lane) / lanes_.size()) return false;
    }
    return point_to_point_->finished() >= submitted.point_to_points;
  };
  Waiter waiter(wait_policy_);
  while (!ended()) waiter.pause();
}

std::string Communicator::describe_peer(int peer) const {
  return peer == kNoPeer ? "a peer" : describe(membership_.members[static_cast<size_t>(peer)]);
}

// The first error stays; the peers hear that there is one. Whoever knows the reason has told all by health().
Status Communicator::poison(Status status) {
  {
    std::lock_guard lock(error_mutex_);
    int none = 0;
    if (poison_code_.load(std::memory_order_relaxed) == none) {
      error_ = status.message();
      poison_code_.store(static_cast<int>(status.code()), std::memory_order_release);
    }
  }
  if (transport_) transport_->farewell(PeerState::kAborted);
  return status;
}

Result<Explanation> Communicator::explain(const Request& request) {
  const size_t elem_bytes = type_bytes(request.reduction.arithmetic.type), bytes = request.count * elem_bytes;
  std::lock_guard lock(planner_mutex_);
  if (Status status = take_choices(); !status.ok()) return status;
  Result<PlanExplanation> plan = planner_->explain(plan_request(request), bytes, static_cast<uint32_t>(elem_bytes));
  if (!plan.ok()) return plan.status();
  return Explanation{.plan = std::move(*plan), .transport = transport_->name(), .bytes = bytes};
}

Status Communicator::read(void* to, const void* from, size_t bytes) const {
  if (!device_->holds(from)) {
    std::memcpy(to, from, bytes);
    return {};
  }
  // Through memory that may be lost: what times out may still be written to.
  auto place = std::make_unique<std::byte[]>(bytes);
  if (Status status = copy_and_wait(*device_, place.get(), from, bytes, config_.device_wait_s); !status.ok()) {
    if (status.code() == Code::kTimeout) static_cast<void>(place.release());
    return status;
  }
  std::memcpy(to, place.get(), bytes);
  return {};
}

Status Communicator::settle() {
  Status status = point_to_point_->settle();
  for (const std::unique_ptr<Lane>& lane : lanes_) {
    if (Status settled = lane->settle(); status.ok()) status = std::move(settled);
  }
  return status;
}

Status Communicator::finalize() {
  const bool running = in_call_.load(std::memory_order_acquire) || on_streams_.load(std::memory_order_acquire) != 0;
  if (running || finalized_) {
    Status status(Code::kInvalidUsage, running
                                           ? "a call is still running on this communicator: wait for it, or synchronize its streams, first"
                                           : "the communicator was finalized already");
    note_error(status);
    return status;
  }
  finalized_ = true;
  health_->leave();
  transport_->farewell(PeerState::kLeft);
  return {};
}

void Communicator::fail(const Status& status) {
  health_->report({.kind = Failure::Kind::kFailed, .culprit = rank_, .sentence = describe_peer(rank_) + " failed: " + status.message()});
  static_cast<void>(poison(status));
}

bool Communicator::abort() {
  aborted_.store(true);
  health_->report({.kind = Failure::Kind::kFailed, .culprit = rank_, .sentence = describe_peer(rank_) + " was aborted by its program"});
  transport_->farewell(PeerState::kAborted);
  const auto inside = [&] { return in_call_.load() || on_streams_.load(std::memory_order_acquire) != 0; };
  for (int waited_ms = 0; inside() && waited_ms < kAbortWaitMs; ++waited_ms) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return !inside();
}

std::string Communicator::last_error() const {
  {
    std::lock_guard lock(error_mutex_);
    if (poison_code() != Code::kOk) return error_;
  }
  if (const std::optional<Failure> failure = health_->failure_of_others()) return failure->sentence;
  std::lock_guard lock(error_mutex_);
  return error_;
}

void Communicator::note_error(const Status& status) {
  std::lock_guard lock(error_mutex_);
  if (poison_code_.load(std::memory_order_relaxed) == 0) error_ = status.message();
}

int Communicator::add_reduction(const CreatedReduction& reduction) {
  reductions_.push_back(reduction);
  return static_cast<int>(reductions_.size()) - 1;
}

CreatedReduction* Communicator::reduction(int number) {
  if (number < 0 || number >= static_cast<int>(reductions_.size())) return nullptr;
  CreatedReduction& found = reductions_[static_cast<size_t>(number)];
  return found.alive ? &found : nullptr;
}

}  // namespace tutti
