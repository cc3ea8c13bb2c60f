#include "planner/predictor.h"

#include <algorithm>
#include <set>

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

std::string key_of(const PlanRequest& request, const PlanChoice& choice) {
  return std::to_string(static_cast<int>(request.collective)) + "/" + std::to_string(request.root) + "/" + std::to_string(request.uneven) +
         std::to_string(request.rank_ordered) + "/" + choice.algorithm + "/" + std::to_string(choice.channels) + "/" +
         std::to_string(choice.parameter);
}

}  // namespace

Predictor::Predictor(const Topology& topology, const SimulateOptions& options, uint64_t budget)
    : topology_(topology), options_(options), budget_(budget) {
  for (std::vector<int>& radices : Symmetry::likely_radices(topology)) {
    if (std::optional<Symmetry> found = Symmetry::find(topology.network(), std::move(radices))) symmetries_.push_back(std::move(*found));
  }
}

Result<const Predictor::Planned*> Predictor::planned(const PlanRequest& request, const PlanChoice& choice) {
  const auto [place, added] = planned_.try_emplace(key_of(request, choice));
  Planned& planned = place->second;
  if (!added) return &planned;
  const Algorithm& algorithm = *find_algorithm(choice.algorithm);
  planned.first = algorithm.generate(request, choice, topology_, 0);
  planned.instructions = instructions_of(planned.first);
  for (const Symmetry& symmetry : symmetries_) {
    if (!all_shift(algorithm, request, choice, topology_, symmetry, planned.first)) continue;
    planned.symmetry = &symmetry;
    return &planned;
  }
  // Rank 0's part may be small where others' are not; the largest is near the middle's or the root's.
  const auto n = static_cast<uint64_t>(request.nranks);
  if (planned.instructions * n > budget_) return &planned;
  planned.all = generate_plan(algorithm, request, choice, topology_);
  planned.instructions = 0;
  for (const Program& program : planned.all->ranks) planned.instructions += instructions_of(program);
  return &planned;
}

Result<double> Predictor::time_us(const PlanRequest& request, const PlanChoice& choice, uint64_t bytes) {
  const Algorithm* const algorithm = find_algorithm(choice.algorithm);
  if (algorithm == nullptr || algorithm->max_channels(request, topology_) < choice.channels) {
    return Status(Code::kInvalidUsage, "'" + choice.algorithm + "' cannot do this " + collective_name(request.collective) + " here");
  }
  const Result<const Planned*> found = planned(request, choice);
  if (!found.ok()) return found.status();
  const Planned& planned = *found.value();
  SimulateOptions options = options_;
  if (choice.slice_bytes != 0) options.slice_bytes = choice.slice_bytes;
  if (planned.symmetry == nullptr && !planned.all) {
    return Status(Code::kTimeout, "'" + choice.algorithm + "' on " + std::to_string(request.nranks) +
                                      " ranks is more than the budget of work lets simulate");
  }
  // What slices there would be without a limit: no more than the budget lets.
  const uint64_t affordable = std::max<uint64_t>(2, budget_ / std::max<uint64_t>(1, planned.instructions));
  options.max_slices = options.max_slices == 0 ? affordable : std::min(options.max_slices, affordable);
  Result<Simulated> simulated = planned.symmetry != nullptr
                                    ? simulate_symmetric(planned.first, topology_.network(), *planned.symmetry, bytes, options)
                                    : simulate(*planned.all, topology_.network(), bytes, options);
  if (!simulated.ok()) return simulated.status();
  return simulated->time_us;
}

}  // namespace tutti
