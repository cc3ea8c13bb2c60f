// The cheapest tree that reaches everybody from a root: Chu and Liu (1965), Edmonds (1967).
// Threading: pure.
#pragma once

#include <vector>

namespace tutti {

// cost[u * n + v]: of the edge from u to v; infinite where there is none. Each node's parent, -1 at the root. Precondition: edges of finite
// cost lead from the root to everybody. O(n^2) for each time that cycles have to be contracted, seldom more than a few.
std::vector<int> cheapest_arborescence(int n, int root, const std::vector<double>& cost);

}  // namespace tutti
