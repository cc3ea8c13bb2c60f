#include "planner/planner.h"

#include <algorithm>

#include "algorithms/algorithm.h"
#include "algorithms/channel_share.h"
#include "planner/search.h"

namespace tutti {
Status Planner::check(const std::string& forced) {
  if (forced.empty() || find_algorithm(forced) != nullptr) return {};
  std::string names;
  for (const Algorithm* algorithm : algorithms()) names += std::string(names.empty() ? "" : ", ") + algorithm->name;
  return {Code::kInvalidArgument, "there is no algorithm '" + forced + "' to force (TUTTI_ALGORITHM or the config): there are " + names};
}

Result<std::unique_ptr<Planner>> Planner::create(std::unique_ptr<const Topology> topology, int rank, const PlannerLimits& limits) {
  if (Status status = check(limits.forced_algorithm); !status.ok()) return status;
  return std::unique_ptr<Planner>(new Planner(std::move(topology), rank, limits));
}

// A forced algorithm is used wherever it can be; the collectives that it does not know go by the rule. Forcing one that knows the
// collective but not this request (its ranks, its uneven counts) is the caller's to solve.
const char* Planner::forced_for(const PlanRequest& request) const {
  if (limits_.forced_algorithm.empty()) return nullptr;
  const Algorithm& algorithm = *find_algorithm(limits_.forced_algorithm);
  PlanRequest plain = request;
  plain.uneven = plain.rank_ordered = false;
  return algorithm.max_channels(plain, *topology_) == 0 ? nullptr : algorithm.name;
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

// Searched for root 0: a machine whose roots differ so much that another algorithm wins is not worth as many searches as ranks.
Result<std::vector<RuledRange>> Planner::ranges_for(const PlanRequest& request) const {
  const char* const forced = forced_for(request);
  Result<std::vector<RuledRange>> ruled = ruled_ranges(request, *topology_, limits_.inline_bytes, limits_.carried, forced);
  if (!ruled.ok() || forced != nullptr || by_rules()) return ruled;
  PlanRequest at_root_0 = request;
  at_root_0.root = 0;
  const auto known = searched_.find(packed(at_root_0));
  if (known != searched_.end()) return known->second;
  if (!predictor_) {
    // Of a core that adds and copies through memory, nominally.
    constexpr double kReduceBytesPerUs = 10'000, kCopyBytesPerUs = 20'000;
    constexpr uint64_t kSlices = 6, kBudget = 30'000;
    const SimulateOptions options = {.slice_bytes = limits_.slot_bytes,
                                     .fifo_depth = limits_.slots,
                                     .reduce_bytes_per_us = kReduceBytesPerUs,
                                     .copy_bytes_per_us = kCopyBytesPerUs,
                                     .max_slices = kSlices};
    predictor_ = std::make_unique<Predictor>(*topology_, options, kBudget);
  }
  const SearchOptions options = {.channels = {1, kMostShares}, .most_fifos = kMostShares};
  Result<std::vector<RuledRange>> searched =
      searched_ranges(*predictor_, *topology_, at_root_0, limits_.inline_bytes, options, ruled.value());
  // A machine too large to search has its rules.
  const auto& ranges = searched.ok() ? searched : ruled;
  searched_.emplace(packed(at_root_0), ranges.value());
  return ranges;
}

Result<PlanChoice> Planner::choose(const PlanRequest& request, size_t bytes) const {
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

Result<const PlannedProgram*> Planner::program_for(const PlanRequest& request, size_t bytes) {
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
  Program program = find_algorithm(choice.algorithm)->generate(request, choice, *topology_, rank_);
  programs_.push_back(
      std::make_unique<PlannedProgram>(PlannedProgram{.id = id, .request = request, .choice = choice, .program = std::move(program)}));
  return programs_.back().get();
}

}  // namespace tutti
