#include "planner/planner.h"

#include <algorithm>

#include "algorithms/algorithm.h"
#include "algorithms/channel_share.h"
#include "planner/search.h"

namespace tutti {
Status Planner::check(const std::string& forced) {
  return parse_forced(forced).status();
}

Result<std::unique_ptr<Planner>> Planner::create(std::unique_ptr<const Topology> topology, int rank, const PlannerLimits& limits) {
  Result<Forced> forced = parse_forced(limits.forced_algorithm);
  if (!forced.ok()) return forced.status();
  return std::unique_ptr<Planner>(new Planner(std::move(topology), rank, limits, std::move(*forced)));
}

// A forced algorithm is used wherever it can be; the collectives that it does not know go by the rule. Forcing one that knows the
// collective but not this request (its ranks, its uneven counts) is the caller's to solve.
const char* Planner::forced_for(const PlanRequest& request) const {
  if (forced_.algorithm.empty()) return nullptr;
  const Algorithm& algorithm = *find_algorithm(forced_.algorithm);
  PlanRequest plain = request;
  plain.uneven = plain.rank_ordered = false;
  return algorithm.max_channels(plain, *topology_) == 0 ? nullptr : algorithm.name;
}

// The channels and the parameter that were forced with it.
void Planner::apply_forced(const PlanRequest& request, std::vector<RuledRange>& ranges) const {
  if (forced_.channels == 0) return;
  const int most = find_algorithm(forced_.algorithm)->max_channels(request, *topology_);
  for (RuledRange& range : ranges) {
    range.choice.channels = std::min(forced_.channels, most);
    range.choice.parameter = forced_.parameter;
  }
}

namespace {

uint64_t packed(const PlanRequest& request) {
  return static_cast<uint64_t>(request.root) << 16 | static_cast<uint64_t>(request.collective) << 8 | uint64_t{request.uneven} << 1 |
         uint64_t{request.rank_ordered};
}

}  // namespace

// One host as it was found, whatever devices its ranks have, unless its host ranks are known to run in several NUMA nodes.
bool Planner::by_rules() const {
  const std::vector<Endpoint>& endpoints = topology_->graph().endpoints;
  const std::string* near = nullptr;  // the island of host ranks
  for (const Endpoint& e : endpoints) {
    if (e.node != endpoints[0].node) return false;
    if (e.device != "host") continue;
    if (near != nullptr && *near != e.island) return false;
    near = &e.island;
  }
  return topology_->graph().source == "detected";
}

SimulateOptions Planner::simulate_options() const {
  // Of a core that adds and copies through memory, nominally.
  constexpr double kReduceGBps = 10, kCopyGBps = 20, kMessageUs = 0.2;
  constexpr uint64_t kSlices = 6;
  const Costs& costs = topology_->graph().costs;
  const auto known = [](double measured, double nominal) { return measured > 0 ? measured : nominal; };
  return {.slice_bytes = limits_.slot_bytes,
          .fifo_depth = limits_.slots,
          .injection_us = known(costs.message_us, kMessageUs),
          .reduce_bytes_per_us = 1000 * known(costs.reduce_GBps, kReduceGBps),
          .copy_bytes_per_us = 1000 * known(costs.copy_GBps, kCopyGBps),
          .max_slices = kSlices};
}

SearchOptions Planner::search_options() const {
  // Predictions are worth some percent: trees are not packed for less.
  constexpr double kRoom = 1.1;
  constexpr uint64_t kWork = 100'000;
  return {.channels = {1, kMostShares}, .most_fifos = kMostShares, .room = kRoom, .work = kWork};
}

// Whatever somebody may want to read, not the fastest alone.
SearchOptions Planner::listing_options() const {
  SearchOptions options = search_options();
  options.interest = 10;
  return options;
}

Predictor& Planner::predictor() const {
  constexpr uint64_t kBudget = 30'000;
  if (!predictor_) predictor_ = std::make_unique<Predictor>(*topology_, simulate_options(), kBudget);
  return *predictor_;
}

// Searched for root 0: a machine whose roots differ so much that another algorithm wins is not worth as many searches as ranks.
Result<std::vector<RuledRange>> Planner::ranges_for(const PlanRequest& request) const {
  const char* const forced = forced_for(request);
  if (forced == nullptr && limits_.tuning != nullptr) {
    std::vector<RuledRange> tuned = tuned_ranges(*limits_.tuning, request, *topology_, limits_.transport, limits_.inline_bytes);
    if (!tuned.empty()) return tuned;
  }
  Result<std::vector<RuledRange>> ruled = ruled_ranges(request, *topology_, limits_.inline_bytes, limits_.carried, forced);
  if (ruled.ok() && forced != nullptr) apply_forced(request, *ruled);
  if (!ruled.ok() || forced != nullptr || by_rules()) return ruled;
  PlanRequest at_root_0 = request;
  at_root_0.root = 0;
  const auto known = searched_.find(packed(at_root_0));
  if (known != searched_.end()) return known->second;
  Result<std::vector<RuledRange>> searched =
      searched_ranges(predictor(), *topology_, at_root_0, limits_.inline_bytes, search_options(), ruled.value());
  predictor_->forget();
  // A machine too large to search has its rules.
  const auto& ranges = searched.ok() ? searched : ruled;
  searched_.emplace(packed(at_root_0), ranges.value());
  return ranges;
}

Result<PlanChoice> Planner::choose(const PlanRequest& request, size_t bytes, uint32_t type_bytes) const {
  Result<Overrides::Answer> over = overriding(request, bytes, type_bytes);
  if (!over.ok()) return over.status();
  if (over->kind == Overrides::Answer::Kind::kChoice) return std::move(over->choice);
  Result<PlanChoice> choice = ranged_choice(request, bytes);
  if (choice.ok() && over->kind == Overrides::Answer::Kind::kNotYet) {
    choice->reason += "; rank 0 has not asked its tuner about such a request yet";
  }
  return choice;
}

Result<PlanChoice> Planner::ranged_choice(const PlanRequest& request, size_t bytes) const {
  Result<std::vector<RuledRange>> ranges = ranges_for(request);
  if (!ranges.ok()) return ranges.status();
  for (const RuledRange& range : *ranges) {
    if (bytes <= range.most_bytes) return range.choice;
  }
  return ranges->back().choice;
}

Result<Planner::Table*> Planner::table_for(const PlanRequest& request) {
  if (last_table_ != nullptr && last_table_->request == request) return last_table_;
  const uint64_t key = packed(request);
  auto found = tables_.find(key);
  if (found == tables_.end()) {
    Result<std::vector<RuledRange>> ranges = ranges_for(request);
    if (!ranges.ok()) return ranges.status();
    found = tables_.emplace(key, Table{.request = request, .ranges = {}}).first;
    for (RuledRange& range : *ranges) found->second.ranges.push_back({{std::move(range)}});
  }
  last_table_ = &found->second;
  return last_table_;
}

Result<const PlannedProgram*> Planner::program_for(const PlanRequest& request, size_t bytes, uint32_t type_bytes) {
  if (overrides_.any()) {
    const Result<Overrides::Answer> over = overriding(request, bytes, type_bytes);
    if (!over.ok()) return over.status();
    if (over.value().kind == Overrides::Answer::Kind::kNotYet) return static_cast<const PlannedProgram*>(nullptr);
    if (over.value().kind == Overrides::Answer::Kind::kChoice) return keep(request, over.value().choice);
  }
  const Result<Table*> table = table_for(request);
  if (!table.ok()) return table.status();
  for (Range& range : table.value()->ranges) {
    if (bytes > range.most_bytes) continue;
    if (range.planned == nullptr) range.planned = keep(request, range.choice);
    return range.planned;
  }
  return Status(Code::kInternal, "no range covers " + std::to_string(bytes) + " bytes");
}

const PlannedProgram* Planner::keep(const PlanRequest& request, const PlanChoice& choice) {
  for (const auto& planned : programs_) {
    if (planned->request == request && planned->choice.same_plan(choice)) return planned.get();
  }
  const int id = static_cast<int>(programs_.size());
  Program program = choice.imported >= 0 ? overrides_.plan(choice.imported).plan.ranks[static_cast<size_t>(rank_)]
                                         : find_algorithm(choice.algorithm)->generate(request, choice, *topology_, rank_);
  programs_.push_back(
      std::make_unique<PlannedProgram>(PlannedProgram{.id = id, .request = request, .choice = choice, .program = std::move(program)}));
  return programs_.back().get();
}

}  // namespace tutti
