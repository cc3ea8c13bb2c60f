// Network::route for those who ask for many ways: what a search from a rank has found is kept, as far as kMostKept allows.
// Threading: one thread an object. Borrows the network.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "topology/network.h"

namespace tutti {

class Routes {
 public:
  explicit Routes(const Network& network) : network_(network) {}

  // As Network::routes_from.
  std::vector<std::vector<uint32_t>> from(int rank, std::span<const int> to_ranks);

 private:
  static constexpr size_t kMostKept = size_t{1} << 22;  // vertices in all searches: 16 MiB

  const Network& network_;
  std::unordered_map<int, std::vector<uint32_t>> kept_;  // by rank: Network::search_from
  size_t vertices_kept_ = 0;
};

}  // namespace tutti
