#include "topology/hops.h"

#include <algorithm>
#include <numeric>

namespace tutti {

Hops::Hops(const Network& network, bool others) : n_(network.nranks()), links_(static_cast<size_t>(n_) * static_cast<size_t>(n_)) {
  const auto edges = network.edges();
  std::vector<int> number(edges.size(), -1);
  std::vector<bool> has_rank(static_cast<size_t>(network.vertices()), false);
  for (int rank = 0; rank < n_; ++rank) has_rank[network.vertex_of_rank(rank)] = true;
  std::vector<int> all(static_cast<size_t>(n_));
  std::iota(all.begin(), all.end(), 0);
  for (int from = 0; from < n_; ++from) {
    const std::vector<std::vector<uint32_t>> routes = network.routes_from(from, all);
    for (int to = 0; to < n_; ++to) {
      if (from == to) continue;
      const std::vector<uint32_t>& route = routes[static_cast<size_t>(to)];
      const auto passes_rank = [&](uint32_t e) { return has_rank[edges[e].to]; };
      if (route.empty() || (!others && std::any_of(route.begin(), route.end() - 1, passes_rank))) continue;
      for (const uint32_t e : route) {
        if (number[e] < 0) {
          number[e] = static_cast<int>(rates_.size());
          rates_.push_back(edges[e].bytes_per_us);
          unit_ = std::max(unit_, edges[e].bytes_per_us);
        }
        links_[static_cast<size_t>(from * n_ + to)].push_back(number[e]);
      }
    }
  }
  for (double& rate : rates_) rate /= unit_;
}

}  // namespace tutti
