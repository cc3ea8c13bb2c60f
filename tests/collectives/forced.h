// Which algorithms there are to force, and what each can do: from the library's registry, so that a new one is tested without a word here.
// Threading: pure functions.
#pragma once

#include <string>
#include <vector>

#include "algorithms/algorithm.h"
#include "oracle.h"

namespace tutti::test {

inline Collective planned_as(Kind kind) {
  switch (kind) {
    case Kind::kAllReduce: return Collective::kAllReduce;
    case Kind::kAllGather:
    case Kind::kAllGatherV: return Collective::kAllGather;
    case Kind::kReduceScatter:
    case Kind::kReduceScatterV: return Collective::kReduceScatter;
    case Kind::kBroadcast: return Collective::kBroadcast;
    case Kind::kReduce: return Collective::kReduce;
    case Kind::kGather:
    case Kind::kGatherV: return Collective::kGather;
    case Kind::kScatter:
    case Kind::kScatterV: return Collective::kScatter;
    case Kind::kAllToAll:
    case Kind::kAllToAllV: return Collective::kAllToAll;
    default: return Collective::kBarrier;
  }
}

// "" is the library's choice, which does everything.
inline bool can_do(const std::string& algorithm, Kind kind, int nranks, bool rank_ordered = false) {
  if (algorithm.empty()) return true;
  const PlanRequest request = {.collective = planned_as(kind), .nranks = nranks, .uneven = is_uneven(kind), .rank_ordered = rank_ordered};
  return find_algorithm(algorithm)->max_channels(request, *single_host_topology(request.nranks)) > 0;
}

// Those that can do something for four ranks of one host: a torus's cannot.
inline std::vector<std::string> algorithm_names() {
  std::vector<std::string> names;
  const auto topology = single_host_topology(4);
  for (const Algorithm* algorithm : algorithms()) {
    bool any = false;
    for (int i = 0; i < kCollectives; ++i) {
      any = any || algorithm->max_channels({.collective = static_cast<Collective>(i), .nranks = 4}, *topology) > 0;
    }
    if (any) names.emplace_back(algorithm->name);
  }
  return names;
}

}  // namespace tutti::test
