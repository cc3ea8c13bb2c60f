#include "topology/arborescence.h"

#include <cstddef>
#include <limits>
#include <utility>

namespace tutti {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

// Numbers the cycles that `parent` has: of each node the number of its cycle, or -1.
int find_cycles(const std::vector<int>& parent, std::vector<int>& cycle_of) {
  const size_t n = parent.size();
  std::vector<int> seen_from(n, -1);
  cycle_of.assign(n, -1);
  int cycles = 0;
  for (size_t start = 0; start < n; ++start) {
    int node = static_cast<int>(start);
    while (node >= 0 && seen_from[static_cast<size_t>(node)] < 0) {
      seen_from[static_cast<size_t>(node)] = static_cast<int>(start);
      node = parent[static_cast<size_t>(node)];
    }
    if (node < 0 || seen_from[static_cast<size_t>(node)] != static_cast<int>(start)) continue;
    for (int each = node; cycle_of[static_cast<size_t>(each)] < 0; each = parent[static_cast<size_t>(each)]) {
      cycle_of[static_cast<size_t>(each)] = cycles;
    }
    ++cycles;
  }
  return cycles;
}

}  // namespace

std::vector<int> cheapest_arborescence(int n_, int root, const std::vector<double>& cost) {
  const auto n = static_cast<size_t>(n_);
  std::vector<int> parent(n, -1);
  for (size_t v = 0; v < n; ++v) {
    if (static_cast<int>(v) == root) continue;
    double least = kInfinite;
    for (size_t u = 0; u < n; ++u) {
      if (u != v && cost[u * n + v] < least) least = cost[u * n + v], parent[v] = static_cast<int>(u);
    }
  }
  std::vector<int> cycle_of;
  const int cycles = find_cycles(parent, cycle_of);
  if (cycles == 0) return parent;
  // A cycle becomes one node; to enter it at v costs what is saved by leaving out v's edge of the cycle.
  std::vector<int> number(n);
  int nodes = cycles;
  for (size_t v = 0; v < n; ++v) number[v] = cycle_of[v] >= 0 ? cycle_of[v] : nodes++;
  const auto m = static_cast<size_t>(nodes);
  std::vector<double> merged(m * m, kInfinite);
  std::vector<std::pair<int, int>> original(m * m, {-1, -1});
  for (size_t u = 0; u < n; ++u) {
    for (size_t v = 0; v < n; ++v) {
      if (number[u] == number[v] || static_cast<int>(v) == root || cost[u * n + v] == kInfinite) continue;
      const double saved = cycle_of[v] >= 0 ? cost[static_cast<size_t>(parent[v]) * n + v] : 0;
      const size_t at = static_cast<size_t>(number[u]) * m + static_cast<size_t>(number[v]);
      if (cost[u * n + v] - saved < merged[at]) {
        merged[at] = cost[u * n + v] - saved;
        original[at] = {static_cast<int>(u), static_cast<int>(v)};
      }
    }
  }
  const std::vector<int> outer = cheapest_arborescence(nodes, number[static_cast<size_t>(root)], merged);
  for (size_t node = 0; node < m; ++node) {
    if (outer[node] < 0) continue;
    const auto& [u, v] = original[static_cast<size_t>(outer[node]) * m + node];
    parent[static_cast<size_t>(v)] = u;
  }
  return parent;
}

}  // namespace tutti
