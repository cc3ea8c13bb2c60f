#include "topology/graph.h"

#include <unordered_map>

namespace tutti {

Graph single_host_graph(int nranks) {
  // shared/facts/systems.md: shared memory 0.1 us one way; a core copies about 20 GB/s through memory.
  constexpr double kMemoryGBps = 20.0;
  constexpr double kHalfLatencyUs = 0.05;
  Graph graph{.name = "host", .source = "declared", .endpoints = {}, .switches = {{.id = "memory"}}, .links = {}};
  for (int rank = 0; rank < nranks; ++rank) {
    const std::string id = "rank" + std::to_string(rank);
    graph.endpoints.push_back({.id = id, .device = "host", .vendor = "cpu", .node = "host", .rank = rank});
    graph.links.push_back({.from = id, .to = "memory", .GBps = kMemoryGBps, .latency_us = kHalfLatencyUs, .kind = "shm", .count = 1});
    graph.links.push_back({.from = "memory", .to = id, .GBps = kMemoryGBps, .latency_us = kHalfLatencyUs, .kind = "shm", .count = 1});
  }
  return graph;
}

Graph graph_of_ranks(Graph graph, const std::vector<int>& ranks) {
  std::unordered_map<int, int> number;
  for (size_t i = 0; i < ranks.size(); ++i) number.emplace(ranks[i], static_cast<int>(i));
  bool same = true;
  for (Endpoint& endpoint : graph.endpoints) {
    const auto found = number.find(endpoint.rank);
    const int rank = endpoint.rank < 0 || found == number.end() ? -1 : found->second;
    same &= rank == endpoint.rank;
    endpoint.rank = rank;
  }
  if (!same) graph.axes.clear();
  return graph;
}

}  // namespace tutti
