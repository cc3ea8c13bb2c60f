#include "planner/predictor.h"

#include <algorithm>
#include <string>
#include <utility>

#include "plan/bound.h"

namespace tutti {
namespace {

uint64_t instructions_of(const Program& program) {
  uint64_t sum = 0;
  for (const auto& channel : program.channels) sum += channel.size();
  return sum;
}

}  // namespace

// Some ranks' programs, made when they are asked for: what all ranks' are like is judged by them. Looked at are the neighbours along every
// digit, the last rank and some between: algorithms do not treat single ranks apart. Fewer where programs are long.
class Predictor::Samples {
 public:
  Samples(const Algorithm& algorithm, const PlanRequest& request, const PlanChoice& choice, const Topology& topology)
      : algorithm_(algorithm), request_(request), choice_(choice), topology_(topology) {
    const int n = request.nranks;
    const auto add = [&](int rank) {
      if (std::find(ranks_.begin(), ranks_.end(), rank) == ranks_.end()) ranks_.push_back(rank);
    };
    add(0);
    add(n - 1);
    for (int rank = 1; rank < n; rank = rank * 2 + 1) add(rank), add((rank + 1) % n), add(n - rank);
    constexpr uint64_t kFew = 8, kMostInstructions = 20'000;
    programs_.reserve(ranks_.size());
    const uint64_t most = std::max(kFew, kMostInstructions / std::max<uint64_t>(1, instructions_of(program(0))));
    if (ranks_.size() <= most) return;
    // Spread over all of them.
    std::vector<int> fewer;
    for (uint64_t i = 0; i < most; ++i) fewer.push_back(ranks_[i * ranks_.size() / most]);
    ranks_ = std::move(fewer);
  }

  const Program& program(size_t nth) {
    while (programs_.size() <= nth) programs_.push_back(algorithm_.generate(request_, choice_, topology_, ranks_[programs_.size()]));
    return programs_[nth];
  }

  size_t count() const { return ranks_.size(); }

  // Whether all are rank 0's, shifted.
  bool shift(const Symmetry& symmetry) {
    for (size_t nth = 1; nth < ranks_.size(); ++nth) {
      if (!shifts(program(0), program(nth), symmetry)) return false;
    }
    return true;
  }

  // Whether any sends to others than its nearest neighbours.
  bool send_far(const Network& network) {
    for (size_t nth = 0; nth < ranks_.size(); ++nth) {
      for (const auto& channel : program(nth).channels) {
        for (const Instruction& step : channel) {
          if (step.send_peer != kNoPeer && network.nearest_by(ranks_[nth], step.send_peer) == Network::kNoEdge) return true;
        }
      }
    }
    return false;
  }

  // What all ranks have together: rank 0, which may be a root, and as many as the others on an average.
  uint64_t all_instructions() {
    uint64_t others = 0;
    for (size_t nth = 1; nth < ranks_.size(); ++nth) others += instructions_of(program(nth));
    const uint64_t more = ranks_.size() < 2 ? 0 : others * static_cast<uint64_t>(request_.nranks - 1) / (ranks_.size() - 1);
    return instructions_of(program(0)) + more;
  }

 private:
  const Algorithm& algorithm_;
  const PlanRequest& request_;
  const PlanChoice& choice_;
  const Topology& topology_;
  std::vector<int> ranks_;
  std::vector<Program> programs_;  // of the first of them
};

namespace {

// Of classes of edges, by rank 0, to edges, by all ranks.
void spread_edge_bytes(Simulated& simulated, const Network& network, const Symmetry& symmetry) {
  std::vector<double> bytes(network.edges().size());
  for (uint32_t edge = 0; edge < bytes.size(); ++edge) {
    const uint32_t of = symmetry.class_of(edge);
    bytes[edge] = simulated.edge_bytes[of] * symmetry.nranks() / symmetry.edges_in_class(of);
  }
  simulated.edge_bytes = std::move(bytes);
}

}  // namespace

Predictor::Predictor(const Topology& topology, const SimulateOptions& options, uint64_t budget)
    : topology_(topology), options_(options), budget_(budget), routes_(topology.network()), radices_(Symmetry::likely_radices(topology)) {}

void Predictor::forget() {
  plans_.clear();
}

const Symmetry* Predictor::symmetry(size_t nth) {
  while (symmetries_.size() <= nth) {
    std::optional<Symmetry> found = Symmetry::find(topology_.network(), radices_[symmetries_.size()]);
    symmetries_.push_back(found ? std::make_unique<const Symmetry>(std::move(*found)) : nullptr);
  }
  return symmetries_[nth].get();
}

// Those that were not asked for for longest go.
void Predictor::make_room(uint64_t instructions) {
  uint64_t kept = 0;
  for (const auto& each : plans_) kept += each->laid.steps.size();
  while (!plans_.empty() && kept + instructions > kMostKept) {
    const auto oldest =
        std::min_element(plans_.begin(), plans_.end(), [](const auto& a, const auto& b) { return a->last_asked < b->last_asked; });
    kept -= (*oldest)->laid.steps.size();
    plans_.erase(oldest);
  }
}

void Predictor::plan(Planned& planned) {
  const PlanChoice choice{.algorithm = planned.algorithm->name, .channels = planned.channels, .parameter = planned.parameter};
  Samples samples(*planned.algorithm, planned.request, choice, topology_);
  const auto keep = [&](Result<LaidPlan> laid) {
    if (laid.ok()) {
      planned.laid = std::move(*laid);
    } else {
      planned.refused = laid.status();
    }
  };
  for (size_t nth = 0; nth < radices_.size(); ++nth) {
    const Symmetry* const found = symmetry(nth);
    if (found == nullptr || !samples.shift(*found)) continue;
    planned.symmetry = found;
    make_room(instructions_of(samples.program(0)));
    return keep(lay_symmetric(samples.program(0), topology_.network(), *found, *found, routes_));
  }
  const uint64_t instructions = samples.all_instructions();
  // A search for ways looks at all vertices for each rank that does not send to its nearest neighbours alone.
  constexpr uint64_t kMostLookedAt = uint64_t{1} << 26;
  const auto looked_at = static_cast<uint64_t>(topology_.nranks()) * static_cast<uint64_t>(topology_.network().vertices());
  const bool too_wide = looked_at > kMostLookedAt && samples.send_far(topology_.network());
  if ((instructions > budget_ || too_wide) && plan_as_if(planned, samples)) return;
  if (instructions > budget_ || too_wide) {
    planned.refused = Status(Code::kInvalidUsage, "more work than the budget lets simulate: some " + std::to_string(instructions) +
                                                      " instructions" + (too_wide ? ", and the ways of all ranks" : ""));
    return;
  }
  make_room(instructions);
  keep(lay_plan(generate_plan(*planned.algorithm, planned.request, choice, topology_), topology_.network(), routes_));
}

// A plan that shifts along a numbering that is none of the machine's symmetries, on a machine that has one: the sampled rank whose messages
// have the longest ways stands for all.
bool Predictor::plan_as_if(Planned& planned, Samples& samples) {
  const Symmetry* known = nullptr;
  for (size_t nth = 0; nth < radices_.size() && known == nullptr; ++nth) known = symmetry(nth);
  if (known == nullptr) return false;
  for (const std::vector<int>& radices : radices_) {
    const Symmetry numbering = Symmetry::numbering(topology_.nranks(), radices);
    if (!samples.shift(numbering)) continue;
    constexpr size_t kTried = 6;
    double longest_us = -1;
    for (size_t nth = 0; nth < std::min(kTried, samples.count()); ++nth) {
      Result<LaidPlan> laid = lay_symmetric(samples.program(nth), topology_.network(), *known, numbering, routes_);
      if (!laid.ok()) return false;
      double sum_us = 0;
      for (const LaidStep& step : laid->steps) sum_us += step.send_fifo == LaidStep::kNone ? 0 : laid->fifos[step.send_fifo].latency_us;
      if (sum_us <= longest_us) continue;
      longest_us = sum_us;
      planned.laid = std::move(*laid);
    }
    planned.symmetry = known;
    return true;
  }
  return false;
}

Result<const Predictor::Planned*> Predictor::planned(const PlanRequest& request, const PlanChoice& choice) {
  const Algorithm* const algorithm = find_algorithm(choice.algorithm);
  const auto known = std::find_if(plans_.begin(), plans_.end(), [&](const auto& each) {
    return each->algorithm == algorithm && each->channels == choice.channels && each->parameter == choice.parameter &&
           each->request == request;
  });
  if (known != plans_.end()) {
    (*known)->last_asked = ++asked_;
    if (!(*known)->refused.ok()) return (*known)->refused;
    return known->get();
  }
  if (algorithm == nullptr || choice.channels < 1 || choice.channels > algorithm->max_channels(request, topology_)) {
    return Status(Code::kInvalidUsage, "'" + choice.algorithm + "' cannot do " + collective_name(request.collective) + " on " +
                                           std::to_string(request.nranks) + " ranks here with " + std::to_string(choice.channels) +
                                           " channels");
  }
  auto made = std::make_unique<Planned>();
  made->request = request;
  made->algorithm = algorithm;
  made->channels = choice.channels;
  made->parameter = choice.parameter;
  made->last_asked = ++asked_;
  plan(*made);
  plans_.push_back(std::move(made));
  if (!plans_.back()->refused.ok()) return plans_.back()->refused;
  return plans_.back().get();
}

Result<Simulated> Predictor::predict(const PlanRequest& request, const PlanChoice& choice, uint64_t bytes, double give_up_us) {
  Result<const Planned*> found = planned(request, choice);
  if (!found.ok()) return found.status();
  const Planned& plan = **found;
  SimulateOptions options = options_;
  if (choice.slice_bytes != 0) options.slice_bytes = choice.slice_bytes;
  options.give_up_us = give_up_us;
  // Sharing of edges is work beside the instructions, and may be the most of it where all ranks are followed.
  const uint64_t work_of_instruction = plan.symmetry != nullptr ? 12 : 6;
  if (options.max_work == 0) options.max_work = work_of_instruction * budget_;
  const uint64_t affordable = std::max<uint64_t>(2, budget_ / std::max<uint64_t>(1, plan.laid.steps.size()));
  options.max_slices = options.max_slices == 0 ? affordable : std::min(options.max_slices, affordable);
  Result<Simulated> simulated = simulate(plan.laid, bytes, options);
  if (!simulated.ok()) return simulated;
  work_ += simulated->work;
  if (simulated->gave_up == Simulated::GaveUp::kWork) {
    return Status(Code::kInvalidUsage, "more work than the budget lets simulate: some " + std::to_string(simulated->work) + " steps");
  }
  if (plan.symmetry != nullptr) spread_edge_bytes(*simulated, topology_.network(), *plan.symmetry);
  return simulated;
}

Result<double> Predictor::least_us(const PlanRequest& request, const PlanChoice& choice, uint64_t bytes) {
  Result<const Planned*> found = planned(request, choice);
  if (!found.ok()) return found.status();
  return tutti::least_us((*found)->laid, bytes, options_.injection_us);
}

Result<Predictor::Shape> Predictor::shape(const PlanRequest& request, const PlanChoice& choice, uint64_t bytes) {
  Result<const Planned*> found = planned(request, choice);
  if (!found.ok()) return found.status();
  const LaidPlan& laid = (*found)->laid;
  return Shape{.largest_message = bytes * laid.largest_num / std::max(1u, laid.largest_den),
               .fifo_channels = laid.fifo_channels,
               .steps = laid.steps.size()};
}

double Predictor::cut_us_per_byte(const PlanRequest& request) {
  const std::pair key(request.collective, request.root);
  const auto known = cut_us_per_byte_.find(key);
  if (known != cut_us_per_byte_.end()) return known->second;
  return cut_us_per_byte_.emplace(key, structured_bound(topology_, request.collective, request.root).us_per_byte).first->second;
}

}  // namespace tutti
