// What the planner does beside rules and search: imported plans, the tuner's part, and explanations.
#include <set>

#include "plan/bound.h"
#include "planner/planner.h"
#include "planner/search.h"

namespace tutti {
namespace {

constexpr uint64_t kImportedBudget = 30'000;  // instructions of an imported plan that are simulated for an explanation

int nodes_of(const Topology& topology) {
  std::set<std::string> nodes;
  for (const Endpoint& endpoint : topology.graph().endpoints) {
    if (endpoint.rank >= 0) nodes.insert(endpoint.node);
  }
  return static_cast<int>(nodes.size());
}

uint64_t instructions_of(const Plan& plan) {
  uint64_t sum = 0;
  for (const Program& program : plan.ranks) {
    for (const auto& channel : program.channels) sum += channel.size();
  }
  return sum;
}

}  // namespace

Result<Overrides::Answer> Planner::overriding(const PlanRequest& request, size_t bytes, uint32_t type_bytes) const {
  using Kind = Overrides::Answer::Kind;
  if (!overrides_.any() || forced_for(request) != nullptr) return Overrides::Answer{};
  if (const int index = overrides_.plan_for(request, bytes); index >= 0) {
    const ImportedPlan& plan = overrides_.plan(index);
    const bool fits_inline = bytes <= limits_.inline_bytes && !request.uneven;
    return Overrides::Answer{Kind::kChoice,
                             {.algorithm = plan.header().algorithm,
                              .channels = static_cast<int>(plan.header().channels.size()),
                              .protocol = fits_inline ? Protocol::kInline : Protocol::kStaged,
                              .reason = "imported: " + plan.source,
                              .source = ChoiceSource::kPlan,
                              .imported = index}};
  }
  if (!overrides_.tuned()) return Overrides::Answer{};
  const TunedKey key = tuned_key(request, bytes, type_bytes, limits_.inline_bytes);
  if (const PlanChoice* decided = overrides_.decided(key)) return Overrides::Answer{Kind::kChoice, *decided};
  if (overrides_.tuner() == nullptr) return Overrides::Answer{.kind = Kind::kNotYet, .choice = {}};
  Result<PlanChoice> choice = ask_tuner(request, asked_bytes(bytes, limits_.inline_bytes), type_bytes);
  if (!choice.ok()) return choice.status();
  overrides_.decide(key, *choice);
  return Overrides::Answer{Kind::kChoice, std::move(*choice)};
}

Result<PlanChoice> Planner::ask_tuner(const PlanRequest& request, size_t bytes, uint32_t type_bytes) const {
  Result<PlanChoice> planned = ranged_choice(request, bytes);
  if (!planned.ok()) return planned;
  const TunerQuestion question{.request = request,
                               .type_bytes = type_bytes,
                               .bytes = bytes,
                               .inline_bytes = limits_.inline_bytes,
                               .nnodes = nodes_of(*topology_),
                               .bound_us = bound_for(request, bytes).time_us,
                               .planned = *planned,
                               .planned_us = predicted_us(request, *planned, bytes).value_or(-1)};
  const Ranking ranking = rank_candidates(predictor(), *topology_, request, bytes, listing_options());
  return overrides_.tuner()->choose(question, ranking, *topology_);
}

// A bound's search does not depend on the bytes, and is made once: for so many that the transfer is what binds, if anything has to be sent.
Bound Planner::bound_for(const PlanRequest& request, size_t bytes) const {
  constexpr double kVeryMany = 1e18;
  const uint32_t blocks = std::max(input_blocks(request.collective, request.nranks), output_blocks(request.collective, request.nranks));
  const double total = static_cast<double>(bytes) * blocks;
  const auto [found, fresh] = bounds_.try_emplace({request.collective, request.root});
  if (fresh) found->second = lower_bound(*topology_, request.collective, kVeryMany, request.root);
  if (total <= 0 && request.collective != Collective::kBarrier) return {};
  Bound bound = found->second;
  bound.transfer_us *= total / kVeryMany;
  bound.time_us = std::max(bound.latency_us, bound.first_us + bound.transfer_us);
  if (bound.latency_us > bound.first_us + bound.transfer_us) bound.cut = "latency";
  return bound;
}

std::optional<double> Planner::predicted_us(const PlanRequest& request, const PlanChoice& choice, size_t bytes) const {
  if (choice.imported < 0) {
    Result<Simulated> simulated = predictor().predict(request, choice, bytes);
    return simulated.ok() ? std::optional(simulated->time_us) : std::nullopt;
  }
  const Plan& plan = overrides_.plan(choice.imported).plan;
  if (instructions_of(plan) > kImportedBudget) return std::nullopt;
  Result<Simulated> simulated = simulate(plan, topology_->network(), bytes, simulate_options());
  return simulated.ok() ? std::optional(simulated->time_us) : std::nullopt;
}

Result<PlanExplanation> Planner::explain(const PlanRequest& request, size_t bytes, uint32_t type_bytes) const {
  Result<PlanChoice> choice = choose(request, bytes, type_bytes);
  if (!choice.ok()) return choice.status();
  PlanExplanation explanation{.choice = std::move(*choice), .predicted_us = {}, .bound = {}, .second = {}};
  if (request.uneven) return explanation;  // the blocks' sizes are not known here
  const PlanChoice& chosen = explanation.choice;
  explanation.bound = bound_for(request, bytes);
  explanation.predicted_us = predicted_us(request, chosen, bytes);
  for (Candidate& candidate : rank_candidates(predictor(), *topology_, request, bytes, listing_options()).candidates) {
    const bool is_chosen =
        chosen.imported < 0 && candidate.choice.algorithm == chosen.algorithm && candidate.choice.parameter == chosen.parameter;
    if (is_chosen) continue;
    explanation.second = std::move(candidate);
    break;
  }
  return explanation;
}

}  // namespace tutti
