// Trees and rings packed into graphs: trees are trees, parts are the whole block, rates are what the links' loads say; and the parts that
// they are made of: the cheapest arborescence against all there are, the linear program against known answers.
#include "topology/packing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <random>
#include <tuple>

#include "tests/plan/graphs.h"
#include "topology/arborescence.h"
#include "topology/linear_program.h"

namespace tutti {
namespace {

constexpr PackingKind kKinds[] = {PackingKind::kBroadcast, PackingKind::kReduce, PackingKind::kAllGather, PackingKind::kReduceScatter,
                                  PackingKind::kAllReduce};

bool reaches_root(const std::vector<int>& parent, int root) {
  for (size_t rank = 0; rank < parent.size(); ++rank) {
    int at = static_cast<int>(rank);
    for (size_t steps = 0; at != root && steps <= parent.size(); ++steps) at = parent[static_cast<size_t>(at)];
    if (at != root) return false;
  }
  return parent[static_cast<size_t>(root)] == -1;
}

// Tries all ways in which each node can choose a parent.
double least_cost(int n, int root, const std::vector<double>& cost) {
  std::vector<int> parent(static_cast<size_t>(n), 0);
  double best = std::numeric_limits<double>::infinity();
  for (;;) {
    std::vector<int> tree = parent;
    tree[static_cast<size_t>(root)] = -1;
    bool loops = false;
    double sum = 0;
    for (int v = 0; v < n; ++v) {
      if (v == root) continue;
      loops = loops || tree[static_cast<size_t>(v)] == v;
      sum += cost[static_cast<size_t>(tree[static_cast<size_t>(v)] * n + v)];
    }
    if (!loops && reaches_root(tree, root)) best = std::min(best, sum);
    size_t digit = 0;
    while (digit < parent.size() && ++parent[digit] == n) parent[digit++] = 0;
    if (digit == parent.size()) return best;
  }
}

TEST(CheapestArborescence, IsTheCheapestOfAll) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    const int n = 2 + static_cast<int>(random() % 4), root = static_cast<int>(random() % static_cast<uint32_t>(n));
    std::vector<double> cost(static_cast<size_t>(n * n));
    for (double& each : cost) each = static_cast<double>(random() % 10);
    const std::vector<int> parent = cheapest_arborescence(n, root, cost);
    ASSERT_TRUE(reaches_root(parent, root));
    double sum = 0;
    for (int v = 0; v < n; ++v) {
      if (v != root) sum += cost[static_cast<size_t>(parent[static_cast<size_t>(v)] * n + v)];
    }
    EXPECT_EQ(sum, least_cost(n, root, cost)) << "round " << round;
  }
}

TEST(LinearProgram, FindsTheBestAndItsPrices) {
  // 3x + 2y where x + y <= 4, x + 3y <= 7, x <= 3: the best is x = 3, y = 1.
  LinearProgram lp({4, 7, 3});
  lp.add(3, {{0, 1}, {1, 1}, {2, 1}});
  lp.solve(100);
  EXPECT_NEAR(lp.value(), 9, 1e-4);
  lp.add(2, {{0, 1}, {1, 3}});
  lp.solve(100);
  EXPECT_NEAR(lp.value(), 11, 1e-4);
  EXPECT_NEAR(lp.solution()[0], 3, 1e-4);
  EXPECT_NEAR(lp.solution()[1], 1, 1e-4);
  EXPECT_NEAR(lp.prices()[0], 2, 1e-4);
  EXPECT_NEAR(lp.prices()[1], 0, 1e-4);
  EXPECT_NEAR(lp.prices()[2], 1, 1e-4);
}

// The time of the busiest link for a block of one byte at every root.
double busiest_us(const Network& network, const TreePacking& packing) {
  std::vector<double> load(network.edges().size(), 0);
  const auto carry = [&](int from, int to, const PackedTree& tree) {
    for (const uint32_t e : network.route(from, to)) load[e] += static_cast<double>(tree.end - tree.begin) / packing.den;
  };
  for (const PackedTree& tree : packing.trees) {
    for (int rank = 0; rank < network.nranks(); ++rank) {
      if (rank == tree.root) continue;
      if (!tree.down.empty()) carry(tree.down[static_cast<size_t>(rank)], rank, tree);
      if (!tree.up.empty()) carry(rank, tree.up[static_cast<size_t>(rank)], tree);
    }
  }
  double longest = 0;
  for (size_t e = 0; e < load.size(); ++e) longest = std::max(longest, load[e] / network.edges()[e].bytes_per_us);
  return longest;
}

TEST(PackTrees, TreesAreTreesAndPartsAreTheWhole) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    const auto topology = random_topology(seed);
    const int n = topology->nranks(), root = n / 2;
    for (const PackingKind kind : kKinds) {
      SCOPED_TRACE("seed " + std::to_string(seed) + ", kind " + std::to_string(static_cast<int>(kind)));
      const bool every_root = kind == PackingKind::kAllGather || kind == PackingKind::kReduceScatter;
      const TreePacking packing = pack_trees(topology->network(), kind, root);
      std::map<int, uint32_t> covered;
      for (const PackedTree& tree : packing.trees) {
        uint32_t& end = covered[kind == PackingKind::kAllReduce ? 0 : tree.root];
        EXPECT_EQ(tree.begin, end);
        EXPECT_LT(tree.begin, tree.end);
        end = tree.end;
        EXPECT_EQ(tree.down.empty(), kind == PackingKind::kReduce || kind == PackingKind::kReduceScatter);
        EXPECT_EQ(tree.up.empty(), kind == PackingKind::kBroadcast || kind == PackingKind::kAllGather);
        EXPECT_TRUE(tree.down.empty() || reaches_root(tree.down, tree.root));
        EXPECT_TRUE(tree.up.empty() || reaches_root(tree.up, tree.root));
      }
      EXPECT_EQ(covered.size(), every_root ? static_cast<size_t>(n) : 1u);
      for (const auto& [at, end] : covered) {
        EXPECT_EQ(end, packing.den);
        EXPECT_TRUE(every_root || kind == PackingKind::kAllReduce || at == root);
      }
      EXPECT_NEAR(packing.bytes_per_us * busiest_us(topology->network(), packing), 1, 1e-9);
      EXPECT_LE(packing.bytes_per_us, packing.bound_bytes_per_us * (1 + 1e-9));
    }
  }
}

// More links than the linear program takes: trees one after another.
TEST(PackTrees, FallsBackOnManyLinks) {
  const auto topology = mesh_topology(33, 64);
  for (const PackingKind kind : kKinds) {
    const TreePacking packing = pack_trees(topology->network(), kind, 0);
    EXPECT_NEAR(packing.bytes_per_us * busiest_us(topology->network(), packing), 1, 1e-9);
    EXPECT_GE(packing.bytes_per_us, 0.3 * packing.bound_bytes_per_us) << static_cast<int>(kind);
  }
}

TEST(PackTrees, IsMadeOnceForATopologyAndEqualOnAnother) {
  const auto one = islands_topology({3, 5}), other = islands_topology({3, 5});
  const TreePacking& packing = one->trees(PackingKind::kAllReduce, 0);
  EXPECT_EQ(&packing, &one->trees(PackingKind::kAllReduce, 0));
  EXPECT_NE(&packing, &one->trees(PackingKind::kBroadcast, 1));
  const TreePacking& again = other->trees(PackingKind::kAllReduce, 0);
  ASSERT_EQ(packing.trees.size(), again.trees.size());
  EXPECT_EQ(packing.den, again.den);
  for (size_t t = 0; t < packing.trees.size(); ++t) {
    EXPECT_EQ(packing.trees[t].down, again.trees[t].down);
    EXPECT_EQ(packing.trees[t].end, again.trees[t].end);
  }
}

TEST(PackRings, RingsHoldAllRanksAndPartsAreTheWhole) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    const auto topology = random_topology(seed);
    const RingPacking& packing = topology->rings();
    std::map<std::tuple<int, int, int>, int> hops;
    uint32_t end = 0;
    for (const PackedRing& ring : packing.rings) {
      EXPECT_EQ(ring.begin, end);
      EXPECT_LT(ring.begin, ring.end);
      end = ring.end;
      EXPECT_LT(ring.fifo, packing.fifos);
      std::vector<int> sorted = ring.order;
      std::sort(sorted.begin(), sorted.end());
      for (int rank = 0; rank < topology->nranks(); ++rank) ASSERT_EQ(sorted[static_cast<size_t>(rank)], rank);
      for (size_t i = 0; i < ring.order.size(); ++i) {
        const int uses = ++hops[{ring.fifo, ring.order[i], ring.order[(i + 1) % ring.order.size()]}];
        EXPECT_EQ(uses, 1) << "two rings on one FIFO, seed " << seed;
      }
    }
    EXPECT_EQ(end, packing.den);
    EXPECT_LE(packing.fifos, Topology::kMostRingFifos);
  }
}

}  // namespace
}  // namespace tutti
