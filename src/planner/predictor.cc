#include "planner/predictor.h"

#include <algorithm>
#include <set>
#include <string>

#include "algorithms/algorithm.h"

namespace tutti {
namespace {

// Whether other ranks' programs are rank 0's, shifted. Looked at are the neighbours along every digit, the last rank and some between:
// algorithms do not treat single ranks apart.
bool all_shift(const Algorithm& algorithm, const PlanRequest& request, const PlanChoice& choice, const Topology& topology,
               const Symmetry& symmetry, const Program& first) {
  const int n = request.nranks;
  std::set<int> sample{n - 1};
  for (int rank = 1; rank < n; rank = rank * 2 + 1) sample.insert({rank, (rank + 1) % n, n - rank});
  return std::all_of(sample.begin(), sample.end(),
                     [&](int rank) { return rank == 0 || shifts(first, algorithm.generate(request, choice, topology, rank), symmetry); });
}

uint64_t instructions_of(const Program& program) {
  uint64_t sum = 0;
  for (const auto& channel : program.channels) sum += channel.size();
  return sum;
}

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
    : topology_(topology), options_(options), budget_(budget) {
  for (std::vector<int>& radices : Symmetry::likely_radices(topology)) {
    if (std::optional<Symmetry> found = Symmetry::find(topology.network(), std::move(radices))) symmetries_.push_back(std::move(*found));
  }
}

const Predictor::Planned& Predictor::planned(const PlanRequest& request, const PlanChoice& choice) {
  PlanChoice unsliced = choice;
  unsliced.slice_bytes = 0;
  if (planned_ && planned_->request == request && planned_->choice.same_plan(unsliced)) return *planned_;
  const Algorithm& algorithm = *find_algorithm(choice.algorithm);
  planned_.emplace();
  planned_->request = request;
  planned_->choice = unsliced;
  planned_->first = algorithm.generate(request, unsliced, topology_, 0);
  planned_->instructions = instructions_of(planned_->first);
  for (const Symmetry& symmetry : symmetries_) {
    if (!all_shift(algorithm, request, unsliced, topology_, symmetry, planned_->first)) continue;
    planned_->symmetry = &symmetry;
    return *planned_;
  }
  const auto n = static_cast<uint64_t>(request.nranks);
  if (planned_->instructions * n > budget_) return *planned_;
  planned_->all = generate_plan(algorithm, request, unsliced, topology_);
  planned_->instructions = 0;
  for (const Program& program : planned_->all->ranks) planned_->instructions += instructions_of(program);
  return *planned_;
}

Result<Simulated> Predictor::predict(const PlanRequest& request, const PlanChoice& choice, uint64_t bytes) {
  return simulate_with(request, choice, bytes, options_);
}

Result<double> Predictor::load_us(const PlanRequest& request, const PlanChoice& choice, uint64_t bytes) {
  SimulateOptions options = options_;
  options.load_only = true;
  options.slice_bytes = 0;
  Result<Simulated> loaded = simulate_with(request, choice, bytes, options);
  if (!loaded.ok()) return loaded.status();
  return loaded->time_us;
}

Result<Simulated> Predictor::simulate_with(const PlanRequest& request, const PlanChoice& choice, uint64_t bytes, SimulateOptions options) {
  const Algorithm* const algorithm = find_algorithm(choice.algorithm);
  if (algorithm == nullptr || choice.channels < 1 || choice.channels > algorithm->max_channels(request, topology_)) {
    return Status(Code::kInvalidUsage, "'" + choice.algorithm + "' cannot do " + collective_name(request.collective) + " on " +
                                           std::to_string(request.nranks) + " ranks here with " + std::to_string(choice.channels) +
                                           " channels");
  }
  const Planned& plan = planned(request, choice);
  if (plan.symmetry == nullptr && (!plan.all || plan.instructions > budget_)) {
    return Status(Code::kInvalidUsage, "more work than the budget lets simulate: some " +
                                           std::to_string(plan.instructions * (plan.all ? 1 : static_cast<uint64_t>(request.nranks))) +
                                           " instructions");
  }
  if (choice.slice_bytes != 0) options.slice_bytes = choice.slice_bytes;
  const uint64_t affordable = std::max<uint64_t>(2, budget_ / std::max<uint64_t>(1, plan.instructions));
  options.max_slices = options.max_slices == 0 ? affordable : std::min(options.max_slices, affordable);
  if (plan.symmetry == nullptr) return simulate(*plan.all, topology_.network(), bytes, options);
  Result<Simulated> simulated = simulate_symmetric(plan.first, topology_.network(), *plan.symmetry, bytes, options);
  if (simulated.ok()) spread_edge_bytes(*simulated, topology_.network(), *plan.symmetry);
  return simulated;
}

}  // namespace tutti
