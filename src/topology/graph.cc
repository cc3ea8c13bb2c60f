#include "topology/graph.h"

#include <unordered_map>

namespace tutti {

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
