// One run of a laid plan (laid_plan.h) through its events, and what follows from a few slices for all.
#include "plan/simulator.h"

#include <algorithm>
#include <limits>
#include <queue>

#include "plan/fair_share.h"
#include "plan/laid_plan.h"
#include "plan/resolved_plan.h"

namespace tutti {
namespace {

using std::to_string;
using Reason = ChainLink::Reason;

constexpr uint32_t kNone = LaidStep::kNone;
constexpr double kNever = std::numeric_limits<double>::infinity();

// One run of some slices.
class Run {
 public:
  Run(const LaidPlan& plan, const CutPlan& cut, const SimulateOptions& options, uint64_t slices);

  // Until all is done; or given up when it is later than `most_us`, or more work than `most_work` (gave_up()).
  Status run(double most_us, uint64_t most_work);

  double time_us() const { return end_us_; }
  uint64_t events() const { return events_; }
  uint64_t work() const { return events_ + share_.work() / 4; }
  Simulated::GaveUp gave_up() const { return gave_up_; }
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
    uint32_t next = kNone;
  };
  // A FIFO's messages under way, oldest first: the first `ready` of them have passed their latency, and the oldest of those flows.
  struct Fifo {
    uint32_t first = kNone, last = kNone;
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
  static constexpr uint64_t kNobody = std::numeric_limits<uint64_t>::max();

  uint32_t step_of(uint32_t strand) const { return plan_.strand_begin[strand] + strands_[strand].index; }
  const LaidStep& next_step(uint32_t strand) const { return plan_.steps[step_of(strand)]; }
  uint64_t firing_of(uint32_t strand) const { return strands_[strand].slice * plan_.steps.size() + step_of(strand); }
  double bytes_of(uint32_t strand) const {
    const CutPlan::StepBytes& bytes = cut_.bytes[step_of(strand)];
    return strands_[strand].slice + 1 == slices_ ? bytes.last : bytes.full;
  }
  void schedule(double time, Kind kind, uint32_t subject, uint64_t data = 0) { queue_.push({time, order_++, data, subject, kind}); }

  void wake(uint32_t strand, uint64_t cause, Reason reason);
  void wake_waiters(uint32_t strand, uint64_t cause);
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

  const LaidPlan& plan_;
  const CutPlan& cut_;
  const SimulateOptions& options_;
  const uint64_t slices_;
  FairShare share_;
  std::vector<Strand> strands_;
  std::vector<Fifo> fifos_;
  std::vector<double> injector_free_;                 // of each rank
  std::vector<std::vector<uint32_t>> after_waiters_;  // of each strand
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
  uint32_t unfinished_ = 0;  // strands
  uint64_t order_ = 0;
  uint64_t events_ = 0;
  Simulated::GaveUp gave_up_ = Simulated::GaveUp::kNo;
};

Run::Run(const LaidPlan& plan, const CutPlan& cut, const SimulateOptions& options, uint64_t slices)
    : plan_(plan),
      cut_(cut),
      options_(options),
      slices_(slices),
      share_(plan.rates),
      strands_(plan.strands()),
      fifos_(plan.fifos.size()),
      injector_free_(plan.nranks, 0),
      after_waiters_(plan.strands()) {
  for (uint32_t fifo = 0; fifo < plan.fifos.size(); ++fifo) share_.add_flow(plan.way(fifo));
  if (options.trace) firings_.resize(slices * plan.steps.size());
}

Status Run::run(double most_us, uint64_t most_work) {
  for (uint32_t strand = 0; strand < strands_.size(); ++strand) {
    if (plan_.strand_length(strand) == 0) {
      strands_[strand].slice = slices_;
    } else {
      ++unfinished_;
    }
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
    if (unfinished_ == 0) return {};  // credits that are still under way are nobody's
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
    if (now_ > most_us) gave_up_ = Simulated::GaveUp::kTime;
    if (work() > most_work) gave_up_ = Simulated::GaveUp::kWork;
    if (gave_up_ != Simulated::GaveUp::kNo) return {};
  }
  return stuck();
}

void Run::take(const Event& event) {
  switch (event.kind) {
    case Kind::kCredit:
      ++events_;
      --fifos_[event.subject].used;
      wake(plan_.fifos[event.subject].producer, event.data, Reason::kSlot);
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

void Run::wake_waiters(uint32_t strand, uint64_t cause) {
  if (after_waiters_[strand].empty()) return;
  std::vector<uint32_t> waiters;
  waiters.swap(after_waiters_[strand]);
  for (const uint32_t waiter : waiters) wake(waiter, cause, Reason::kAfter);
}

bool Run::may_begin(uint32_t strand) {
  const LaidStep& step = next_step(strand);
  if (step.after_strand != kNone) {
    const Strand &self = strands_[strand], &target = strands_[step.after_strand];
    const bool done = target.slice != self.slice ? target.slice > self.slice : target.index > step.after_index;
    if (!done) {
      after_waiters_[step.after_strand].push_back(strand);
      return false;
    }
  }
  if (step.recv_fifo != kNone && fifos_[step.recv_fifo].arrived == 0) return false;
  return step.send_fifo == kNone || options_.fifo_depth == 0 || fifos_[step.send_fifo].used < options_.fifo_depth;
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
  const double rate = next_step(strand).reduces ? options_.reduce_bytes_per_us : options_.copy_bytes_per_us;
  return rate > 0 ? bytes_of(strand) / rate : 0;
}

void Run::worked(uint32_t strand) {
  if (next_step(strand).send_fifo == kNone) return fire(strand);
  double& free = injector_free_[strand / plan_.nchannels];
  const double leaves = std::max(now_, free);
  free = leaves + options_.injection_us;
  if (leaves > now_) {
    schedule(leaves, Kind::kLeaves, strand);
  } else {
    fire(strand);
  }
}

void Run::fire(uint32_t strand) {
  Strand& self = strands_[strand];
  const LaidStep& step = next_step(strand);
  const uint64_t firing = firing_of(strand);
  if (!firings_.empty()) firings_[firing] = {now_, self.cause, self.reason};
  if (step.recv_fifo != kNone) {
    --fifos_[step.recv_fifo].arrived;
    if (options_.fifo_depth != 0) schedule(now_ + plan_.fifos[step.recv_fifo].latency_us, Kind::kCredit, step.recv_fifo, firing);
  }
  if (step.send_fifo != kNone) {
    Fifo& fifo = fifos_[step.send_fifo];
    ++fifo.used;
    if (free_messages_.empty()) {
      free_messages_.push_back(static_cast<uint32_t>(messages_.size()));
      messages_.emplace_back();
    }
    const uint32_t message = free_messages_.back();
    free_messages_.pop_back();
    messages_[message] = {bytes_of(strand), firing, kNone};
    (fifo.first == kNone ? fifo.first : messages_[fifo.last].next) = message;
    fifo.last = message;
    schedule(now_ + plan_.fifos[step.send_fifo].latency_us, Kind::kFlowReady, step.send_fifo);
  }
  self.cause = firing;
  self.reason = Reason::kProgramOrder;
  self.busy = false;
  if (++self.index == plan_.strand_length(strand)) {
    self.index = 0;
    if (++self.slice == slices_) --unfinished_;
  }
  if (now_ >= end_us_) last_firing_ = firing;
  end_us_ = now_;
  wake_waiters(strand, firing);
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
    if (share_.stop(id)) settle_by(cut_.smallest / fifo.rate);
  }
  fifo.first = messages_[message].next;
  const uint64_t sender = messages_[message].sender;
  free_messages_.push_back(message);
  ++fifo.version;
  ++fifo.arrived;
  fifo.flows = false;
  wake(plan_.fifos[id].consumer, sender, Reason::kMessage);
  if (--fifo.ready > 0) start_flow(id);
}

// The rates have to be worked out again for the sake of a message that takes so long: at once, or where that was just done, in a while.
void Run::settle_by(double duration) {
  settle_at_ = std::min(settle_at_, std::max(now_, settled_at_ + options_.tolerance * duration));
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
  const LaidStep& step = next_step(strand);
  const bool message = step.recv_fifo != kNone && fifos_[step.recv_fifo].arrived == 0;
  const bool slot = step.send_fifo != kNone && options_.fifo_depth != 0 && fifos_[step.send_fifo].used >= options_.fifo_depth;
  const std::string what =
      message ? "a message from rank " + to_string(plan_.fifos[step.recv_fifo].from)
      : slot  ? "a free one of the " + to_string(options_.fifo_depth) + " slots towards rank " + to_string(plan_.fifos[step.send_fifo].to)
              : "its `after`";
  return {Code::kInvalidArgument, "simulation: deadlock: rank " + to_string(strand / plan_.nchannels) + ", channel " +
                                      to_string(strand % plan_.nchannels) + ", instruction " + to_string(strands_[strand].index) + " (" +
                                      step.opcode + ") of slice " + to_string(strands_[strand].slice) + " waits for " + what +
                                      " for ever; verify the plan"};
}

std::vector<ChainLink> Run::chain() const {
  std::vector<ChainLink> chain;
  for (uint64_t firing = last_firing_; firing != kNobody && !firings_.empty(); firing = firings_[firing].cause) {
    const auto step = static_cast<uint32_t>(firing % plan_.steps.size());
    // The last strand that begins there or before: empty ones begin where the next does.
    const auto after = std::upper_bound(plan_.strand_begin.begin(), plan_.strand_begin.end(), step);
    const auto strand = static_cast<uint32_t>(after - plan_.strand_begin.begin() - 1);
    chain.push_back({.rank = static_cast<int>(strand / plan_.nchannels),
                     .channel = static_cast<int>(strand % plan_.nchannels),
                     .index = static_cast<int>(step - plan_.strand_begin[strand]),
                     .slice = firing / plan_.steps.size(),
                     .end_us = firings_[firing].end_us,
                     .reason = firings_[firing].reason});
  }
  return chain;
}

// How many slices may be run.
uint64_t most_slices(const LaidPlan& plan, const CutPlan& cut, const SimulateOptions& options) {
  constexpr uint64_t kLeast = 16;
  uint64_t most = options.max_slices == 0 ? cut.slicing.slices : options.max_slices;
  if (options.max_messages != 0) most = std::min(most, std::max(kLeast, options.max_messages / std::max(1u, plan.nmessages)));
  return std::max<uint64_t>(2, most);
}

// Runs so many slices; what it has done is added to the result, and its end is given, or why it was given up.
Result<double> run_some(const LaidPlan& plan, const CutPlan& cut, const SimulateOptions& options, uint64_t slices, double most_us,
                        Simulated& result) {
  Run run(plan, cut, options, slices);
  const uint64_t work_left = options.max_work == 0 ? std::numeric_limits<uint64_t>::max() : options.max_work - result.work;
  if (Status status = run.run(most_us, work_left); !status.ok()) return status;
  result.events += run.events();
  result.work = std::min(result.work + run.work(), options.max_work == 0 ? result.work + run.work() : options.max_work);
  result.gave_up = run.gave_up();
  result.chain = run.chain();
  return run.time_us();
}

// All slices; or where they are too many, half of what may be and then all of that: what the second half took is what as many more take.
// The filling and the draining of a pipeline are in both.
Status run_slices(const LaidPlan& plan, const CutPlan& cut, const SimulateOptions& options, Simulated& result) {
  const uint64_t slices = cut.slicing.slices, runs = std::min(slices, most_slices(plan, cut, options));
  result.extrapolated = slices > runs;
  double half_us = 0, all_us = fullest_us(plan, result.edge_bytes), limit_us = options.give_up_us;
  if (result.extrapolated) {
    Result<double> half = run_some(plan, cut, options, runs / 2, limit_us, result);
    if (!half.ok()) return half.status();
    half_us = *half;
    // More slices do not make what comes before the first and after the last shorter.
    const double least_us = half_us - fullest_us(plan, edge_bytes(plan, cut, runs / 2)) + all_us;
    if (result.gave_up == Simulated::GaveUp::kNo && least_us > limit_us * (1 + 1e-9)) result.gave_up = Simulated::GaveUp::kTime;
    if (result.gave_up != Simulated::GaveUp::kNo) return {};
    limit_us -= all_us - fullest_us(plan, edge_bytes(plan, cut, runs));
  }
  Result<double> whole = run_some(plan, cut, options, runs, limit_us * (1 + 1e-9), result);
  if (!whole.ok()) return whole.status();
  result.time_us = *whole;
  if (!result.extrapolated || result.gave_up != Simulated::GaveUp::kNo) return {};
  const double each = (result.time_us - half_us) / static_cast<double>(runs - runs / 2);
  // Nor do they make the fullest edge faster.
  const double around_us = result.time_us - fullest_us(plan, edge_bytes(plan, cut, runs));
  result.time_us = std::max(result.time_us + each * static_cast<double>(slices - runs), all_us + around_us);
  return {};
}

}  // namespace

double Simulated::utilisation(const Network& network, uint32_t edge) const {
  return time_us > 0 ? edge_bytes[edge] / (network.edges()[edge].bytes_per_us * time_us) : 0;
}

Result<Simulated> simulate(const LaidPlan& plan, uint64_t bytes, const SimulateOptions& options) {
  const CutPlan cut = cut_plan(plan, bytes, options.slice_bytes);
  Simulated result;
  result.slices = cut.slicing.slices;
  result.edge_bytes = edge_bytes(plan, cut, cut.slicing.slices);
  if (cut.slicing.slices == 0) return result;
  if (Status bad = run_slices(plan, cut, options, result); !bad.ok()) return bad;
  return result;
}

Result<Simulated> simulate(const Plan& plan, const Network& network, uint64_t bytes, const SimulateOptions& options) {
  if (Status bad = verifier::check_programs(plan); !bad.ok()) return bad;
  Routes routes(network);
  Result<LaidPlan> laid = lay_plan(plan, network, routes);
  if (!laid.ok()) return laid.status();
  return simulate(*laid, bytes, options);
}

bool shifts(const Program& first, const Program& other, const Symmetry& symmetry) {
  const auto shifted = [&](int peer) { return peer == kNoPeer ? kNoPeer : symmetry.shifted(peer, other.rank); };
  const auto alike = [&](const Instruction& a, const Instruction& b) {
    const Region &of_a = verifier::extent(a), &of_b = verifier::extent(b);
    // As long; which part it is, each rank has its own.
    const bool same_length =
        of_a.none() ? of_b.none() : uint64_t{of_a.end - of_a.begin} * of_b.den == uint64_t{of_b.end - of_b.begin} * of_a.den;
    return same_length && a.reduce == b.reduce && a.after_channel == b.after_channel && a.after_index == b.after_index &&
           shifted(a.recv_peer) == b.recv_peer && shifted(a.send_peer) == b.send_peer;
  };
  return first.fifo_of_channel == other.fifo_of_channel &&
         std::equal(first.channels.begin(), first.channels.end(), other.channels.begin(), other.channels.end(),
                    [&](const auto& a, const auto& b) { return std::equal(a.begin(), a.end(), b.begin(), b.end(), alike); });
}

Result<Simulated> simulate_symmetric(const Program& program, const Network& network, const Symmetry& symmetry, uint64_t bytes,
                                     const SimulateOptions& options) {
  Routes routes(network);
  Result<LaidPlan> laid = lay_symmetric(program, network, symmetry, symmetry, routes);
  if (!laid.ok()) return laid.status();
  return simulate(*laid, bytes, options);
}

}  // namespace tutti
