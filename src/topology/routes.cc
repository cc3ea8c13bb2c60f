#include "topology/routes.h"

#include <algorithm>
#include <utility>

namespace tutti {

std::vector<std::vector<uint32_t>> Routes::from(int rank, std::span<const int> to_ranks) {
  std::vector<std::vector<uint32_t>> ways(to_ranks.size());
  std::vector<size_t> far;  // of to_ranks: those that are not the nearest neighbours
  for (size_t i = 0; i < to_ranks.size(); ++i) {
    const uint32_t edge = network_.nearest_by(rank, to_ranks[i]);
    if (edge != Network::kNoEdge) {
      ways[i] = {edge};
    } else {
      far.push_back(i);
    }
  }
  if (far.empty()) return ways;
  auto known = kept_.find(rank);
  std::vector<uint32_t> passing;
  if (known == kept_.end()) {
    std::vector<int> targets;
    for (const size_t i : far) targets.push_back(to_ranks[i]);
    const bool keep = vertices_kept_ + static_cast<size_t>(network_.vertices()) <= kMostKept;
    passing = network_.search_from(rank, keep ? std::span<const int>() : targets);
    if (keep) {
      vertices_kept_ += passing.size();
      known = kept_.emplace(rank, std::move(passing)).first;
    }
  }
  const std::vector<uint32_t>& found = known == kept_.end() ? passing : known->second;
  for (const size_t i : far) ways[i] = network_.way_found(found, rank, to_ranks[i]);
  return ways;
}

}  // namespace tutti
