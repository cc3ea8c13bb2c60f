// Which pairs of ranks a probe measures, and which of them at once: pairs of one round share neither a rank nor a node, so that they share
// no memory and no network interface. Of two nodes one pair stands for all: their lowest ranks.
// Threading: pure functions.
#pragma once

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

namespace tutti::probe {

using Pair = std::pair<int, int>;  // first < second
using Round = std::vector<Pair>;

// `node_of`: each rank's node, numbered by their lowest ranks. Every pair in the first round where it fits.
inline std::vector<Round> rounds(const std::vector<int>& node_of) {
  const auto lowest = [&](int node) { return static_cast<int>(std::find(node_of.begin(), node_of.end(), node) - node_of.begin()); };
  std::vector<Round> all;
  std::vector<std::set<int>> busy;  // nodes, of each round
  const int n = static_cast<int>(node_of.size());
  // By distance, as around a circle: the pairs of one distance are mostly disjoint.
  for (int distance = 1; distance < n; ++distance) {
    for (int a = 0; a + distance < n; ++a) {
      const int b = a + distance, node_a = node_of[static_cast<size_t>(a)], node_b = node_of[static_cast<size_t>(b)];
      if (node_a != node_b && (a != lowest(node_a) || b != lowest(node_b))) continue;
      size_t round = 0;
      while (round < all.size() && (busy[round].count(node_a) > 0 || busy[round].count(node_b) > 0)) ++round;
      if (round == all.size()) {
        all.emplace_back();
        busy.emplace_back();
      }
      all[round].emplace_back(a, b);
      busy[round].insert({node_a, node_b});
    }
  }
  return all;
}

}  // namespace tutti::probe
