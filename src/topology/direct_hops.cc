#include "topology/direct_hops.h"

#include <algorithm>

namespace tutti {

DirectHops::DirectHops(const Network& network) : n_(network.nranks()), links_(static_cast<size_t>(n_) * static_cast<size_t>(n_)) {
  const auto edges = network.edges();
  std::vector<int> number(edges.size(), -1);
  std::vector<bool> has_rank(static_cast<size_t>(network.vertices()), false);
  for (int rank = 0; rank < n_; ++rank) has_rank[network.vertex_of_rank(rank)] = true;
  for (int from = 0; from < n_; ++from) {
    for (int to = 0; to < n_; ++to) {
      if (from == to) continue;
      const std::vector<uint32_t> route = network.route(from, to);
      if (route.empty() || std::any_of(route.begin(), route.end() - 1, [&](uint32_t e) { return has_rank[edges[e].to]; })) continue;
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
