// What a plan costs where bytes are all that counts, and the least that any plan can cost: counted, and found by trying every cut. Shares
// no code with the simulator or the bounds of the library. Threading: pure functions.
#pragma once

#include <algorithm>
#include <bit>
#include <map>
#include <utility>
#include <vector>

#include "plan/program.h"
#include "topology/topology.h"

namespace tutti {

// The time of the link that is busiest, for a block of one byte, in us.
inline double busiest_link_us(const Plan& plan, const Network& network) {
  std::map<std::pair<int, int>, double> sent;
  for (const Program& program : plan.ranks) {
    for (const auto& channel : program.channels) {
      for (const Instruction& step : channel) {
        if (step.send_peer == kNoPeer) continue;
        const Region& region = step.src.none() ? step.dst : step.src;
        sent[{program.rank, step.send_peer}] += static_cast<double>(region.end - region.begin) / region.den;
      }
    }
  }
  std::vector<double> load(network.edges().size(), 0);
  for (const auto& [pair, bytes] : sent) {
    for (const uint32_t edge : network.route(pair.first, pair.second)) load[edge] += bytes;
  }
  double longest = 0;
  for (size_t e = 0; e < load.size(); ++e) longest = std::max(longest, load[e] / network.edges()[e].bytes_per_us);
  return longest;
}

// The least time of an all-reduce for a block of one byte where nothing reduces on its way, from what leaves and enters the islands: as if
// each were one rank (shared/facts: g B m / (2 (m - 1))).
inline double islands_bound_us(const Topology& topology) {
  const Network& network = topology.network();
  const auto islands = static_cast<int>(topology.islands().size());
  double leaving = 0, entering = 0;
  std::vector<int> island_of(static_cast<size_t>(network.vertices()), -1);
  for (int rank = 0; rank < network.nranks(); ++rank) island_of[network.vertex_of_rank(rank)] = topology.island_of(rank);
  // A switch that joins ranks of one island only belongs to it.
  for (uint32_t v = static_cast<uint32_t>(network.endpoints()); v < static_cast<uint32_t>(network.vertices()); ++v) {
    int of = -1;
    bool one = true;
    for (const uint32_t e : network.out(v)) {
      const int other = island_of[network.edges()[e].to];
      one = one && other >= 0 && (of < 0 || other == of);
      of = other;
    }
    if (one) island_of[v] = of;
  }
  for (const Edge& edge : network.edges()) {
    if (island_of[edge.from] == island_of[edge.to]) continue;
    if (island_of[edge.from] >= 0) leaving += edge.bytes_per_us;
    if (island_of[edge.to] >= 0) entering += edge.bytes_per_us;
  }
  return islands < 2 ? 0 : 2 * (islands - 1) / std::min(leaving, entering);
}

// The least time for a block of one byte, over all sets of vertices. Precondition: few vertices (2^vertices sets are tried).
inline double cut_bound_us(Collective collective, int root, const Network& network) {
  const int vertices = network.vertices(), n = network.nranks();
  std::vector<bool> in(static_cast<size_t>(vertices), false), has_rank(static_cast<size_t>(vertices), false);
  double out_of_ranks = 0, into_ranks = 0;
  for (int rank = 0; rank < n; ++rank) has_rank[network.vertex_of_rank(rank)] = true;
  for (const Edge& edge : network.edges()) {
    if (has_rank[edge.from]) out_of_ranks += edge.bytes_per_us;
    if (has_rank[edge.to]) into_ranks += edge.bytes_per_us;
  }
  double bound = collective == Collective::kAllReduce ? 2 * (n - 1) / std::min(out_of_ranks, into_ranks) : 0;
  double leaving = 0, entering = 0;
  int ranks = 0;
  // Gray code: one vertex changes sides at a time.
  for (uint64_t step = 1; step < uint64_t{1} << vertices; ++step) {
    const auto v = static_cast<uint32_t>(std::countr_zero(step));
    const double sign = in[v] ? -1 : 1;
    for (const uint32_t e : network.out(v)) {
      const Edge& edge = network.edges()[e];
      (in[edge.to] ? entering : leaving) += (in[edge.to] ? -1 : 1) * sign * edge.bytes_per_us;
    }
    for (const uint32_t e : network.in(v)) {
      const Edge& edge = network.edges()[e];
      (in[edge.from] ? leaving : entering) += (in[edge.from] ? -1 : 1) * sign * edge.bytes_per_us;
    }
    in[v] = !in[v];
    if (has_rank[v]) ranks += in[v] ? 1 : -1;
    if (ranks == 0 || ranks == n) continue;
    const bool with_root = in[network.vertex_of_rank(root)];
    double least = 0;
    switch (collective) {
      case Collective::kBroadcast: least = with_root ? 1 / leaving : 0; break;
      case Collective::kReduce: least = with_root ? 1 / entering : 0; break;
      case Collective::kAllGather: least = ranks / leaving; break;
      case Collective::kReduceScatter: least = ranks / entering; break;
      case Collective::kAllToAll: least = static_cast<double>(ranks) * (n - ranks) / leaving; break;
      default: least = 1 / leaving; break;
    }
    bound = std::max(bound, least);
  }
  return bound;
}

}  // namespace tutti
