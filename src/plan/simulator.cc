#include "plan/simulator.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <queue>

#include "plan/fair_share.h"
#include "plan/flat_map.h"
#include "plan/resolved_plan.h"
#include "plan/slicing.h"

namespace tutti {
namespace {

using std::to_string;
using verifier::kNoIndex;
using verifier::ResolvedPlan;
using Reason = ChainLink::Reason;

// The bytes that a step moves.
struct StepBytes {
  double full = 0;  // in all slices but the last
  double last = 0;  // in the last
};

// A plan laid over a network for a number of bytes: what all runs have in common.
struct Laid {
  ResolvedPlan plan;
  SimulateOptions options;
  Slicing slicing;
  std::vector<StepBytes> bytes;             // of each step
  std::vector<double> rates;                // bytes per us, of each edge
  std::vector<std::vector<uint32_t>> ways;  // of each FIFO: edges
  std::vector<double> latency;              // of each FIFO's way
  double smallest = 0;                      // bytes of a message, but 0
};

void find_ways(Laid& laid, const Network& network) {
  for (const Edge& edge : network.edges()) laid.rates.push_back(edge.bytes_per_us);
  const auto& fifos = laid.plan.fifos;
  std::vector<std::vector<uint32_t>> leaving(laid.plan.nranks);  // FIFOs by their sender
  for (uint32_t fifo = 0; fifo < fifos.size(); ++fifo) leaving[fifos[fifo].from].push_back(fifo);
  laid.ways.resize(fifos.size());
  laid.latency.resize(fifos.size());
  for (uint32_t rank = 0; rank < laid.plan.nranks; ++rank) {
    const auto add = [&](uint32_t fifo, std::vector<uint32_t> way) {
      for (const uint32_t edge : way) laid.latency[fifo] += network.edges()[edge].latency_us;
      laid.ways[fifo] = std::move(way);
    };
    // One search for all is dearer than one that stops at a near neighbour.
    constexpr size_t kFew = 8;
    if (leaving[rank].size() <= kFew) {
      for (const uint32_t fifo : leaving[rank]) add(fifo, network.route(static_cast<int>(rank), static_cast<int>(fifos[fifo].to)));
      continue;
    }
    std::vector<int> targets;
    for (const uint32_t fifo : leaving[rank]) targets.push_back(static_cast<int>(fifos[fifo].to));
    std::vector<std::vector<uint32_t>> ways = network.routes_from(static_cast<int>(rank), targets);
    for (size_t i = 0; i < ways.size(); ++i) add(leaving[rank][i], std::move(ways[i]));
  }
}

void cut_slices(Laid& laid, const Plan& plan, uint64_t bytes) {
  const Program& program = plan.ranks[0];
  if (bytes == 0 && program.collective == Collective::kBarrier) bytes = 1;
  const uint64_t capacity = laid.options.slice_bytes == 0 ? bytes : laid.options.slice_bytes;
  if (capacity >= bytes) {
    laid.slicing = {.slice_elems = bytes, .last_elems = bytes, .slices = bytes == 0 ? 0u : 1u};
  } else {
    laid.slicing = make_slicing(bytes, program.largest_num, program.largest_den, capacity);
  }
  laid.bytes.resize(laid.plan.steps.size());
  verifier::for_each_instruction(plan, [&](uint32_t, uint32_t, const Instruction& instruction, uint32_t step) {
    const Region& region = verifier::extent(instruction);
    if (region.none()) return;
    const auto size = [&](size_t elems) {
      const Part part = part_of(region, elems);
      return static_cast<double>(part.end - part.begin);
    };
    laid.bytes[step] = {size(laid.slicing.slice_elems), size(laid.slicing.last_elems)};
    if (const double full = laid.bytes[step].full; full > 0 && instruction.send_peer != kNoPeer) {
      laid.smallest = laid.smallest == 0 ? full : std::min(laid.smallest, full);
    }
  });
}

// One run of some slices.
class Run {
 public:
  Run(const Laid& laid, uint64_t slices);

  Status run();

  double time_us() const { return end_us_; }
  uint64_t events() const { return events_; }
  std::vector<ChainLink> chain() const;

 private:
  enum class Kind : uint8_t { kCredit, kFlowEnds, kFlowReady, kWorked, kLeaves };
  struct Event {
    double time = 0;
    uint64_t order = 0;    // of their making: ties are taken in it
    uint64_t data = 0;     // kFlowEnds: the version of the flow, void if there is a newer; kCredit: the firing that gave the slot back
    uint32_t subject = 0;  // a strand or a FIFO
    Kind kind = Kind::kCredit;
    bool operator>(const Event& other) const { return time != other.time ? time > other.time : order > other.order; }
  };
  struct Strand {
    uint64_t slice = 0;
    uint32_t index = 0;
    bool busy = false;
    bool queued = false;
    uint64_t cause = kNobody;  // what was fired last before it woke
    Reason reason = Reason::kStart;
  };
  struct Message {
    double bytes = 0;
    uint64_t sender = kNobody;  // the firing that sent it
    uint32_t next = kNoIndex;
  };
  // A FIFO's messages under way, oldest first: the first `ready` of them have passed their latency, and the oldest of those flows.
  struct Fifo {
    uint32_t first = kNoIndex, last = kNoIndex;
    uint32_t ready = 0;
    uint32_t arrived = 0;
    uint32_t used = 0;  // slots
    uint32_t version = 0;
    bool flows = false;
    double left = 0;  // bytes of what flows, as of `since`, and its rate from then on
    double since = 0;
    double rate = 0;
  };
  struct Firing {
    double end_us = 0;
    uint64_t cause = kNobody;
    Reason reason = Reason::kStart;
  };
  static constexpr double kNever = std::numeric_limits<double>::infinity();
  static constexpr uint64_t kNobody = std::numeric_limits<uint64_t>::max();

  const ResolvedPlan& plan() const { return laid_.plan; }
  uint32_t step_of(uint32_t strand) const { return plan().strand_begin[strand] + strands_[strand].index; }
  uint64_t firing_of(uint32_t strand) const { return strands_[strand].slice * plan().steps.size() + step_of(strand); }
  double bytes_of(uint32_t strand) const {
    const StepBytes& bytes = laid_.bytes[step_of(strand)];
    return strands_[strand].slice + 1 == slices_ ? bytes.last : bytes.full;
  }
  void schedule(double time, Kind kind, uint32_t subject, uint64_t data = 0) { queue_.push({time, order_++, data, subject, kind}); }

  void wake(uint32_t strand, uint64_t cause, Reason reason);
  void wake_waiters(uint32_t rank, uint64_t cause);
  bool may_begin(uint32_t strand);
  void advance(uint32_t strand);
  double work_us(uint32_t strand) const;
  void worked(uint32_t strand);
  void fire(uint32_t strand);
  void flow_ready(uint32_t fifo);
  void start_flow(uint32_t fifo);
  void flow_ends(uint32_t fifo);
  void settle_by(double duration);
  void settle();
  void take_rate(uint32_t fifo);
  void take(const Event& event);
  Status stuck() const;

  const Laid& laid_;
  const uint64_t slices_;
  FairShare share_;
  std::vector<Strand> strands_;
  std::vector<Fifo> fifos_;
  std::vector<double> injector_free_;  // of each rank
  std::vector<std::vector<uint32_t>> after_waiters_;
  std::vector<uint32_t> awake_;
  std::vector<Message> messages_;  // a pool
  std::vector<uint32_t> free_messages_;
  std::vector<Firing> firings_;  // with options.trace
  std::priority_queue<Event, std::vector<Event>, std::greater<>> queue_;
  double now_ = 0;
  double settled_at_ = -kNever;  // the rates, last
  double settle_at_ = kNever;    // and next
  double end_us_ = 0;
  uint64_t last_firing_ = kNobody;
  uint64_t order_ = 0;
  uint64_t events_ = 0;
};

Run::Run(const Laid& laid, uint64_t slices)
    : laid_(laid),
      slices_(slices),
      share_(laid.rates),
      strands_(size_t{laid.plan.nranks} * laid.plan.nchannels),
      fifos_(laid.plan.fifos.size()),
      injector_free_(laid.plan.nranks, 0),
      after_waiters_(laid.plan.nranks) {
  for (const auto& way : laid.ways) share_.add_flow(way);
  if (laid.options.trace) firings_.resize(slices * laid.plan.steps.size());
}

Status Run::run() {
  for (uint32_t strand = 0; strand < strands_.size(); ++strand) {
    if (plan().strand_length(strand) == 0) strands_[strand].slice = slices_;
    wake(strand, kNobody, Reason::kStart);
  }
  // Events that rounding alone keeps apart are one moment.
  constexpr double kSame = 1e-9;
  for (;;) {
    for (size_t i = 0; i < awake_.size(); ++i) {
      strands_[awake_[i]].queued = false;
      advance(awake_[i]);
    }
    awake_.clear();
    if (!queue_.empty() && queue_.top().time <= now_ * (1 + kSame)) {
      const Event event = queue_.top();
      queue_.pop();
      take(event);
      continue;
    }
    if (settle_at_ <= now_) {
      settle();
      continue;
    }
    const double next = std::min(queue_.empty() ? kNever : queue_.top().time, settle_at_);
    if (next == kNever) break;
    now_ = std::max(now_, next);
  }
  const bool finished = std::all_of(strands_.begin(), strands_.end(), [&](const Strand& strand) { return strand.slice == slices_; });
  return finished ? Status() : stuck();
}

void Run::take(const Event& event) {
  switch (event.kind) {
    case Kind::kCredit:
      ++events_;
      --fifos_[event.subject].used;
      wake(plan().fifos[event.subject].producer, event.data, Reason::kSlot);
      return;
    case Kind::kFlowEnds:
      if (event.data != fifos_[event.subject].version) return;
      ++events_;
      return flow_ends(event.subject);
    case Kind::kFlowReady: ++events_; return flow_ready(event.subject);
    case Kind::kWorked: ++events_; return worked(event.subject);
    case Kind::kLeaves: ++events_; return fire(event.subject);
  }
}

void Run::wake(uint32_t strand, uint64_t cause, Reason reason) {
  Strand& woken = strands_[strand];
  if (woken.busy || woken.slice == slices_) return;
  woken.cause = cause;
  woken.reason = reason;
  if (woken.queued) return;
  woken.queued = true;
  awake_.push_back(strand);
}

void Run::wake_waiters(uint32_t rank, uint64_t cause) {
  if (after_waiters_[rank].empty()) return;
  std::vector<uint32_t> waiters;
  waiters.swap(after_waiters_[rank]);
  for (const uint32_t waiter : waiters) wake(waiter, cause, Reason::kAfter);
}

bool Run::may_begin(uint32_t strand) {
  const Strand& self = strands_[strand];
  const Instruction& instruction = plan().instruction(strand, self.index);
  if (instruction.after_channel >= 0) {
    const Strand& target = strands_[strand - strand % plan().nchannels + static_cast<uint32_t>(instruction.after_channel)];
    const bool done =
        target.slice != self.slice ? target.slice > self.slice : target.index > static_cast<uint32_t>(instruction.after_index);
    if (!done) {
      after_waiters_[strand / plan().nchannels].push_back(strand);
      return false;
    }
  }
  const verifier::Step& step = plan().steps[step_of(strand)];
  if (step.recv_fifo != kNoIndex && fifos_[step.recv_fifo].arrived == 0) return false;
  return step.send_fifo == kNoIndex || laid_.options.fifo_depth == 0 || fifos_[step.send_fifo].used < laid_.options.fifo_depth;
}

// One instruction: when it is done it wakes its strand.
void Run::advance(uint32_t strand) {
  if (strands_[strand].busy || strands_[strand].slice == slices_ || !may_begin(strand)) return;
  strands_[strand].busy = true;
  if (const double work = work_us(strand); work > 0) {
    schedule(now_ + work, Kind::kWorked, strand);
  } else {
    worked(strand);
  }
}

double Run::work_us(uint32_t strand) const {
  const Instruction& instruction = plan().instruction(strand, strands_[strand].index);
  const double rate = instruction.reduce ? laid_.options.reduce_bytes_per_us : laid_.options.copy_bytes_per_us;
  return rate > 0 ? bytes_of(strand) / rate : 0;
}

void Run::worked(uint32_t strand) {
  if (plan().steps[step_of(strand)].send_fifo == kNoIndex) return fire(strand);
  double& free = injector_free_[strand / plan().nchannels];
  const double leaves = std::max(now_, free);
  free = leaves + laid_.options.injection_us;
  if (leaves > now_) {
    schedule(leaves, Kind::kLeaves, strand);
  } else {
    fire(strand);
  }
}

void Run::fire(uint32_t strand) {
  Strand& self = strands_[strand];
  const verifier::Step& step = plan().steps[step_of(strand)];
  const uint64_t firing = firing_of(strand);
  if (!firings_.empty()) firings_[firing] = {now_, self.cause, self.reason};
  if (step.recv_fifo != kNoIndex) {
    --fifos_[step.recv_fifo].arrived;
    if (laid_.options.fifo_depth != 0) schedule(now_ + laid_.latency[step.recv_fifo], Kind::kCredit, step.recv_fifo, firing);
  }
  if (step.send_fifo != kNoIndex) {
    Fifo& fifo = fifos_[step.send_fifo];
    ++fifo.used;
    if (free_messages_.empty()) {
      free_messages_.push_back(static_cast<uint32_t>(messages_.size()));
      messages_.emplace_back();
    }
    const uint32_t message = free_messages_.back();
    free_messages_.pop_back();
    messages_[message] = {bytes_of(strand), firing, kNoIndex};
    (fifo.first == kNoIndex ? fifo.first : messages_[fifo.last].next) = message;
    fifo.last = message;
    schedule(now_ + laid_.latency[step.send_fifo], Kind::kFlowReady, step.send_fifo);
  }
  self.cause = firing;
  self.reason = Reason::kProgramOrder;
  self.busy = false;
  if (++self.index == plan().strand_length(strand)) {
    self.index = 0;
    ++self.slice;
  }
  if (now_ >= end_us_) last_firing_ = firing;
  end_us_ = now_;
  wake_waiters(strand / plan().nchannels, firing);
  wake(strand, firing, Reason::kProgramOrder);
}

void Run::flow_ready(uint32_t fifo) {
  ++fifos_[fifo].ready;
  if (!fifos_[fifo].flows) start_flow(fifo);
}

void Run::start_flow(uint32_t id) {
  Fifo& fifo = fifos_[id];
  fifo.flows = true;
  fifo.left = messages_[fifo.first].bytes;
  fifo.since = now_;
  fifo.rate = 0;
  if (fifo.left > 0) {
    share_.start(id);
    if (share_.settle_alone(id)) {
      take_rate(id);
    } else {
      settle_by(fifo.left / share_.least_rate(id));
    }
  } else {
    schedule(now_, Kind::kFlowEnds, id, fifo.version);
  }
}

void Run::flow_ends(uint32_t id) {
  Fifo& fifo = fifos_[id];
  const uint32_t message = fifo.first;
  if (messages_[message].bytes > 0) {
    if (share_.stop(id)) settle_by(laid_.smallest / fifo.rate);
  }
  fifo.first = messages_[message].next;
  const uint64_t sender = messages_[message].sender;
  free_messages_.push_back(message);
  ++fifo.version;
  ++fifo.arrived;
  fifo.flows = false;
  wake(plan().fifos[id].consumer, sender, Reason::kMessage);
  if (--fifo.ready > 0) start_flow(id);
}

// The rates have to be worked out again for the sake of a message that takes so long: at once, or where that was just done, in a while.
void Run::settle_by(double duration) {
  settle_at_ = std::min(settle_at_, std::max(now_, settled_at_ + laid_.options.tolerance * duration));
}

void Run::settle() {
  settled_at_ = now_;
  settle_at_ = kNever;
  for (const uint32_t id : share_.settle()) take_rate(id);
}

// A flow's new rate, and so its new end.
void Run::take_rate(uint32_t id) {
  Fifo& fifo = fifos_[id];
  fifo.left = std::max(0.0, fifo.left - fifo.rate * (now_ - fifo.since));
  fifo.since = now_;
  fifo.rate = share_.rate(id);
  schedule(now_ + fifo.left / fifo.rate, Kind::kFlowEnds, id, ++fifo.version);
}

Status Run::stuck() const {
  const auto waits = [&](uint32_t strand) { return strands_[strand].slice != slices_; };
  uint32_t strand = 0;
  while (!waits(strand)) ++strand;
  const verifier::Step& step = plan().steps[step_of(strand)];
  const bool message = step.recv_fifo != kNoIndex && fifos_[step.recv_fifo].arrived == 0;
  const bool slot = step.send_fifo != kNoIndex && laid_.options.fifo_depth != 0 && fifos_[step.send_fifo].used >= laid_.options.fifo_depth;
  const std::string what = message ? "a message from rank " + to_string(plan().fifos[step.recv_fifo].from)
                           : slot  ? "a free one of the " + to_string(laid_.options.fifo_depth) + " slots towards rank " +
                                        to_string(plan().fifos[step.send_fifo].to)
                                  : "its `after`";
  return {Code::kInvalidArgument, "simulation: deadlock: " + verifier::describe(plan(), step_of(strand)) + " of slice " +
                                      to_string(strands_[strand].slice) + " waits for " + what + " for ever; verify the plan"};
}

std::vector<ChainLink> Run::chain() const {
  std::vector<ChainLink> chain;
  for (uint64_t firing = last_firing_; firing != kNobody && !firings_.empty(); firing = firings_[firing].cause) {
    const auto step = static_cast<uint32_t>(firing % plan().steps.size());
    const uint32_t strand = plan().strand_of(step);
    chain.push_back({.rank = static_cast<int>(strand / plan().nchannels),
                     .channel = static_cast<int>(strand % plan().nchannels),
                     .index = static_cast<int>(step - plan().strand_begin[strand]),
                     .slice = firing / plan().steps.size(),
                     .end_us = firings_[firing].end_us,
                     .reason = firings_[firing].reason});
  }
  return chain;
}

// What the plan puts on each edge in so many slices, the last of which may be shorter.
std::vector<double> edge_bytes(const Laid& laid, uint64_t slices) {
  std::vector<double> bytes(laid.rates.size(), 0);
  for (size_t step = 0; step < laid.plan.steps.size(); ++step) {
    const uint32_t fifo = laid.plan.steps[step].send_fifo;
    if (fifo == kNoIndex) continue;
    const double total = laid.bytes[step].full * static_cast<double>(slices - 1) + laid.bytes[step].last;
    for (const uint32_t edge : laid.ways[fifo]) bytes[edge] += total;
  }
  return bytes;
}

// What the fullest edge needs for its bytes.
double fullest_us(const Laid& laid, const std::vector<double>& bytes) {
  double most = 0;
  for (size_t edge = 0; edge < bytes.size(); ++edge) most = std::max(most, bytes[edge] / laid.rates[edge]);
  return most;
}

// How many slices may be run.
uint64_t most_slices(const Laid& laid) {
  constexpr uint64_t kLeast = 16;
  const SimulateOptions& options = laid.options;
  uint64_t most = options.max_slices == 0 ? laid.slicing.slices : options.max_slices;
  if (options.max_messages != 0) most = std::min(most, std::max(kLeast, options.max_messages / std::max(1u, laid.plan.nmessages)));
  return std::max<uint64_t>(2, most);
}

// Runs all slices; or where they are too many, a whole and a half of what may be: what the second half took is what as many more take. The
// filling and the draining of a pipeline are in both.
Status run_slices(const Laid& laid, Simulated& result) {
  const uint64_t slices = laid.slicing.slices, most = most_slices(laid);
  result.extrapolated = slices > most;
  const uint64_t runs = std::min(slices, most);
  Run run(laid, runs);
  if (Status status = run.run(); !status.ok()) return status;
  result.time_us = run.time_us();
  result.events = run.events();
  result.chain = run.chain();
  if (!result.extrapolated) return {};
  Run half(laid, runs / 2);
  if (Status status = half.run(); !status.ok()) return status;
  result.events += half.events();
  const double each = (run.time_us() - half.time_us()) / static_cast<double>(runs - runs / 2);
  // More slices do not make the fullest edge faster, nor what comes before and after it shorter.
  const double around_us = run.time_us() - fullest_us(laid, edge_bytes(laid, runs));
  result.time_us = std::max(run.time_us() + each * static_cast<double>(slices - runs), fullest_us(laid, result.edge_bytes) + around_us);
  return {};
}

Result<Simulated> run_laid(Laid& laid, const Plan& plan, uint64_t bytes) {
  cut_slices(laid, plan, bytes);
  Simulated result;
  result.slices = laid.slicing.slices;
  result.edge_bytes.resize(laid.rates.size(), 0);
  if (laid.slicing.slices == 0) return result;
  result.edge_bytes = edge_bytes(laid, laid.slicing.slices);
  if (!laid.options.load_only) {
    if (Status bad = run_slices(laid, result); !bad.ok()) return bad;
    return result;
  }
  result.time_us = fullest_us(laid, result.edge_bytes);
  return result;
}

// --- one rank for all

// The program of rank 0 as that of all: what it sends to a rank is what it receives from the rank that is as far the other way. A FIFO's
// `to` is the rank that this one sends to; both its strands are this rank's.
Status link_to_itself(const Plan& plan, const Symmetry& symmetry, ResolvedPlan& resolved) {
  const Program& program = plan.ranks[0];
  resolved.plan = &plan;
  resolved.nranks = 1;
  resolved.nchannels = static_cast<uint32_t>(program.channels.size());
  uint32_t steps = 0;
  for (const auto& channel : program.channels) {
    resolved.strand_begin.push_back(steps);
    steps += static_cast<uint32_t>(channel.size());
  }
  resolved.strand_begin.push_back(steps);
  resolved.steps.resize(steps);
  FlatMap ids;
  const auto fifo_to = [&](int channel, int to) {
    const auto next = static_cast<uint32_t>(resolved.fifos.size());
    const uint64_t key = static_cast<uint64_t>(channel) * static_cast<uint64_t>(symmetry.nranks()) + static_cast<uint64_t>(to);
    const uint32_t id = ids.get_or_insert(key, next);
    if (id == next) resolved.fifos.push_back({.channel = static_cast<uint32_t>(channel), .from = 0, .to = static_cast<uint32_t>(to)});
    return id;
  };
  verifier::for_each_instruction(plan, [&](uint32_t, uint32_t channel, const Instruction& instruction, uint32_t step) {
    const int fifo_channel = program.fifo(channel);
    if (instruction.recv_peer != kNoPeer) {
      const uint32_t id = fifo_to(fifo_channel, symmetry.inverse(instruction.recv_peer));
      resolved.steps[step].recv_fifo = id;
      resolved.fifos[id].consumer = channel;
      ++resolved.fifos[id].recvs;
    }
    if (instruction.send_peer != kNoPeer) {
      const uint32_t id = fifo_to(fifo_channel, instruction.send_peer);
      resolved.steps[step].send_fifo = id;
      resolved.fifos[id].producer = channel;
      ++resolved.fifos[id].sends;
    }
  });
  for (const verifier::ResolvedFifo& fifo : resolved.fifos) {
    if (fifo.sends == fifo.recvs) continue;
    return {Code::kInvalidArgument, "simulation: rank 0 sends " + to_string(fifo.sends) + " messages to rank " + to_string(fifo.to) +
                                        ", but by symmetry would receive " + to_string(fifo.recvs)};
  }
  return {};
}

// Classes of edges in place of edges: one that has fewer edges than there are ranks is shared by several ranks' messages.
void find_ways(Laid& laid, const Network& network, const Symmetry& symmetry) {
  for (uint32_t each = 0; each < static_cast<uint32_t>(symmetry.classes()); ++each) {
    laid.rates.push_back(network.edges()[symmetry.edge_of_class(each)].bytes_per_us * symmetry.edges_in_class(each) / symmetry.nranks());
  }
  std::vector<int> targets;
  for (const verifier::ResolvedFifo& fifo : laid.plan.fifos) targets.push_back(static_cast<int>(fifo.to));
  laid.ways = network.routes_from(0, targets);
  for (std::vector<uint32_t>& way : laid.ways) {
    double latency = 0;
    for (uint32_t& edge : way) {
      latency += network.edges()[edge].latency_us;
      edge = symmetry.class_of(edge);
    }
    laid.latency.push_back(latency);
  }
}

}  // namespace

double Simulated::utilisation(const Network& network, uint32_t edge) const {
  return time_us > 0 ? edge_bytes[edge] / (network.edges()[edge].bytes_per_us * time_us) : 0;
}

Result<Simulated> simulate(const Plan& plan, const Network& network, uint64_t bytes, const SimulateOptions& options) {
  if (Status bad = verifier::check_programs(plan); !bad.ok()) return bad;
  Laid laid;
  laid.options = options;
  if (static_cast<int>(plan.ranks.size()) != network.nranks()) {
    return Status(Code::kInvalidArgument, "simulation: the plan has " + to_string(plan.ranks.size()) + " ranks, but the network has " +
                                              to_string(network.nranks()));
  }
  if (Status bad = verifier::link_messages(plan, laid.plan); !bad.ok()) return bad;
  find_ways(laid, network);
  return run_laid(laid, plan, bytes);
}

bool shifts(const Program& first, const Program& other, const Symmetry& symmetry) {
  const auto shifted = [&](int peer) { return peer == kNoPeer ? kNoPeer : symmetry.shifted(peer, other.rank); };
  const auto alike = [&](const Instruction& a, const Instruction& b) {
    const Region &of_a = verifier::extent(a), &of_b = verifier::extent(b);
    // As long; which part it is, each rank has its own.
    const bool same_length =
        of_a.none() ? of_b.none() : uint64_t{of_a.end - of_a.begin} * of_b.den == uint64_t{of_b.end - of_b.begin} * of_a.den;
    return same_length && shifted(a.recv_peer) == b.recv_peer && shifted(a.send_peer) == b.send_peer && a.reduce == b.reduce &&
           a.after_channel == b.after_channel && a.after_index == b.after_index;
  };
  return first.fifo_of_channel == other.fifo_of_channel &&
         std::equal(first.channels.begin(), first.channels.end(), other.channels.begin(), other.channels.end(),
                    [&](const auto& a, const auto& b) { return std::equal(a.begin(), a.end(), b.begin(), b.end(), alike); });
}

Result<Simulated> simulate_symmetric(const Program& program, const Network& network, const Symmetry& symmetry, uint64_t bytes,
                                     const SimulateOptions& options) {
  const Plan plan{{program}};
  Laid laid;
  laid.options = options;
  if (Status bad = link_to_itself(plan, symmetry, laid.plan); !bad.ok()) return bad;
  find_ways(laid, network, symmetry);
  return run_laid(laid, plan, bytes);
}

}  // namespace tutti
