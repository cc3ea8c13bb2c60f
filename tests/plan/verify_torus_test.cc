// The algorithms that ask for a torus are proved on every torus and mesh of up to 64 places with one to four axes: all wrapping, none, and
// mixed; every root, above 16 places a sample. Then what they promise of each link: the bytes that cross it are counted.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <ostream>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "plan/semantics.h"
#include "plan/verifier.h"
#include "tests/plan/plan_makers.h"
#include "tests/support/sanitizers.h"
#include "tests/support/torus_graph.h"

namespace tutti {
namespace {

using Shape = std::vector<Axis>;

// What an algorithm has no use for is left out here: whether a host of as many ranks could do it too tells what needs the torus.
bool needs_torus(const Algorithm& algorithm, Collective collective) {
  for (const int nranks : {2, 3, 4, 8}) {
    if (algorithm.max_channels({.collective = collective, .nranks = nranks}, host_topology(nranks)) > 0) return false;
  }
  return algorithm.max_channels({.collective = collective, .nranks = 16}, *torus_topology({{4, true}, {4, true}})) > 0;
}

struct Case {
  const Algorithm* algorithm;
  Collective collective;
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.algorithm->name << " " << collective_name(c.collective);
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const Algorithm* algorithm : algorithms()) {
    for (int i = 0; i + 1 < kCollectives; ++i) {
      if (needs_torus(*algorithm, static_cast<Collective>(i))) all.push_back({algorithm, static_cast<Collective>(i)});
    }
  }
  return all;
}

constexpr int kMostThorough = 24;  // places; above, what is said below is left out, to save a minute

void add_factorizations(int rest, int least, std::vector<int>& sizes, std::vector<std::vector<int>>& all) {
  if (sizes.size() == 3) {
    sizes.push_back(rest);
    if (rest >= least) all.push_back(sizes);
    sizes.pop_back();
    return;
  }
  if (rest >= least) {
    all.push_back(sizes);
    all.back().push_back(rest);
  }
  for (int size = least; size * size <= rest; ++size) {
    if (rest % size != 0) continue;
    sizes.push_back(size);
    add_factorizations(rest / size, size, sizes, all);
    sizes.pop_back();
  }
}

// Every factorization into one to four axes of two places or more, in ascending order; and where thorough, turned, and with axes of one.
std::vector<std::vector<int>> sizes_of(int nranks) {
  std::vector<std::vector<int>> all;
  if (nranks == 1) return {{1}, {1, 1}};
  std::vector<int> sizes;
  add_factorizations(nranks, 2, sizes, all);
  if (nranks > kMostThorough) return all;
  const size_t ascending = all.size();
  for (size_t i = 0; i < ascending; ++i) {
    std::vector<int> turned = all[i];
    std::rotate(turned.begin(), turned.begin() + 1, turned.end());
    if (turned != all[i]) all.push_back(turned);
  }
  if (nranks <= 12) all.push_back({1, nranks, 1});
  return all;
}

std::vector<Shape> shapes_of(int nranks) {
  std::vector<Shape> all;
  for (const std::vector<int>& sizes : sizes_of(nranks)) {
    const unsigned axes = static_cast<unsigned>(sizes.size()), every = (1u << axes) - 1;
    // All wrap; none; every second, and where thorough, the others.
    for (const unsigned wrap : std::set<unsigned>{every, 0, 0b0101u & every, (nranks > kMostThorough ? 0u : 0b1010u) & every}) {
      Shape shape;
      for (unsigned axis = 0; axis < axes; ++axis) shape.push_back({sizes[axis], (wrap >> axis & 1) != 0});
      all.push_back(shape);
    }
  }
  return all;
}

class VerifyTorus : public testing::TestWithParam<Case> {
 protected:
  void verify_shape(const Shape& shape) {
    const auto topology = torus_topology(shape);
    const int n = topology->nranks();
    std::set<int> roots{0};
    if (has_root(GetParam().collective) && n <= 16) {
      for (int root = 1; root < n; ++root) roots.insert(root);
    } else if (has_root(GetParam().collective)) {
      roots.insert({n / 2 + 1, n - 1});
    }
    for (const int root : roots) {
      known_.clear();
      for (const bool uneven : {true, false}) {
        for (const bool rank_ordered : {true, false}) {
          verify_request({.collective = GetParam().collective, .nranks = n, .root = root, .uneven = uneven, .rank_ordered = rank_ordered},
                         shape, *topology);
          if (HasFatalFailure()) return;
        }
      }
    }
  }

  // The default parameter and the next, with all shares, where thorough with one too, up to 16 places with every number. A plan that holds
  // for a form of the request that asks more, which comes first, holds for this one. In place and out of place, above by turns.
  void verify_request(const PlanRequest& request, const Shape& shape, const Topology& topology) {
    if ((request.uneven && !has_uneven(request.collective)) || (request.rank_ordered && !reduces(request.collective))) return;
    const Algorithm& algorithm = *GetParam().algorithm;
    const int most = algorithm.max_channels(request, topology);
    for (int channels = 1; channels <= most; ++channels) {
      if (channels < most && request.nranks > (channels == 1 ? kMostThorough : 16)) continue;
      for (const int parameter : {0, 1}) {
        const PlanChoice choice{.algorithm = algorithm.name, .channels = channels, .parameter = parameter};
        const Plan plan = generate_plan(algorithm, request, choice, topology);
        Plan& known = known_[{channels, parameter}];
        if (plan == known || (parameter == 1 && plan == known_[{channels, 0}])) continue;
        known = plan;
        ++plans_;
        for (const bool in_place : {false, true}) {
          if (in_place && !has_in_place(request.collective)) continue;
          if (request.nranks > kMostThorough && has_in_place(request.collective) && in_place != (plans_ % 2 == 0)) continue;
          const Status status =
              verify(plan, {.fifo_depth = 2, .in_place = in_place, .rank_ordered = request.rank_ordered, .uneven = request.uneven});
          ASSERT_TRUE(status.ok()) << torus_name(shape) << ", root " << request.root << ", " << channels << " channels, parameter "
                                   << parameter << ", in_place " << in_place << ", rank_ordered " << request.rank_ordered << ", uneven "
                                   << request.uneven << ": " << status.message();
        }
        for (const Program& program : plan.ranks) {
          for (size_t c = 0; c < program.channels.size(); ++c) ASSERT_LT(program.fifo(c), 8) << "the executor has eight FIFO channels";
        }
      }
    }
  }

  void verify_sizes(int least, int most) {
    for (int n = least; n <= most; ++n) {
      for (const Shape& shape : shapes_of(n)) {
        verify_shape(shape);
        if (HasFatalFailure()) return;
      }
    }
    EXPECT_GT(plans_, 0) << "nothing was verified";
  }

  std::map<std::pair<int, int>, Plan> known_;  // of the root in hand, by channels and parameter
  int plans_ = 0;
};

TEST_P(VerifyTorus, HoldsForAllShapesOf1To24) {
  verify_sizes(1, kUnderSanitizer ? 12 : 24);
}

TEST_P(VerifyTorus, HoldsForAllShapesOf25To48) {
  if (kUnderSanitizer) GTEST_SKIP() << "the release build proves it";
  verify_sizes(25, 48);
}

TEST_P(VerifyTorus, HoldsForAllShapesOf49To64) {
  if (kUnderSanitizer) GTEST_SKIP() << "the release build proves it";
  verify_sizes(49, 64);
}

INSTANTIATE_TEST_SUITE_P(All, VerifyTorus, testing::ValuesIn(cases()), [](const testing::TestParamInfo<Case>& test) {
  return std::string(test.param.algorithm->name) + "_on_" + collective_name(test.param.collective);
});

// --- What crosses the links, and how long the longest chain of messages is.

struct Cost {
  double most = 0;   // blocks over the link that carries most
  double least = 0;  // and least
  int steps = 0;     // links that the messages of the longest chain cross, one after another
};

// A message is sent when the steps before it are over and crosses a link in one unit of time, whatever its size; links are never short.
Cost cost_of(const Plan& plan, const Topology& topology) {
  const Network& network = topology.network();
  std::vector<double> load(network.edges().size(), 0);
  std::map<std::tuple<int, int, int>, std::deque<int>> under_way;  // by FIFO: when the messages arrive
  std::map<std::pair<int, int>, std::vector<uint32_t>> routes;
  std::vector<std::vector<std::vector<int>>> ended(plan.ranks.size());
  Cost cost;
  for (size_t rank = 0; rank < plan.ranks.size(); ++rank) ended[rank].resize(plan.ranks[rank].channels.size());
  for (bool progress = true; progress;) {
    progress = false;
    for (const Program& program : plan.ranks) {
      auto& mine = ended[static_cast<size_t>(program.rank)];
      for (size_t c = 0; c < program.channels.size(); ++c) {
        while (mine[c].size() < program.channels[c].size()) {
          const Instruction& next = program.channels[c][mine[c].size()];
          int time = mine[c].empty() ? 0 : mine[c].back();
          if (next.after_channel >= 0) {
            const auto& other = mine[static_cast<size_t>(next.after_channel)];
            if (other.size() <= static_cast<size_t>(next.after_index)) break;
            time = std::max(time, other[static_cast<size_t>(next.after_index)]);
          }
          if (next.recv_peer != kNoPeer) {
            auto& arrives = under_way[{program.fifo(c), next.recv_peer, program.rank}];
            if (arrives.empty()) break;
            time = std::max(time, arrives.front());
            arrives.pop_front();
          }
          if (next.send_peer != kNoPeer) {
            auto& route = routes[{program.rank, next.send_peer}];
            if (route.empty()) route = network.route(program.rank, next.send_peer);
            const Region& region = next.src.none() ? next.dst : next.src;
            for (const uint32_t edge : route) load[edge] += static_cast<double>(region.end - region.begin) / region.den;
            under_way[{program.fifo(c), program.rank, next.send_peer}].push_back(time + static_cast<int>(route.size()));
          }
          mine[c].push_back(time);
          cost.steps = std::max(cost.steps, time);
          progress = true;
        }
      }
    }
  }
  cost.most = *std::max_element(load.begin(), load.end());
  cost.least = *std::min_element(load.begin(), load.end());
  return cost;
}

Cost cost_of(const char* name, Collective collective, const Shape& shape, int parameter = 0, int root = 0) {
  const auto topology = torus_topology(shape);
  const PlanRequest request{.collective = collective, .nranks = topology->nranks(), .root = root};
  const Algorithm& algorithm = *find_algorithm(name);
  const PlanChoice choice{.algorithm = name, .channels = algorithm.max_channels(request, *topology), .parameter = parameter};
  return cost_of(generate_plan(algorithm, request, choice, *topology), *topology);
}

int places(const Shape& shape) {
  return Torus(shape).size();
}

constexpr double kExactly = 1e-9;

Shape cube(int k, int dimensions, bool wrap) {
  return Shape(static_cast<size_t>(dimensions), Axis{k, wrap});
}

TEST(TorusCosts, BucketLoadsEveryLinkOfATorusAlike) {
  for (const auto& [k, dimensions] : {std::pair{5, 1}, {3, 2}, {4, 2}, {16, 2}, {4, 3}, {3, 4}}) {
    const Shape shape = cube(k, dimensions, true);
    const double n = places(shape), links = 2 * dimensions;
    const Cost reduce = cost_of("torus_bucket", Collective::kAllReduce, shape);
    EXPECT_NEAR(reduce.most, 2 * (n - 1) / n / links, kExactly) << torus_name(shape);
    EXPECT_NEAR(reduce.least, reduce.most, kExactly) << torus_name(shape);
    EXPECT_EQ(reduce.steps, 2 * dimensions * (k - 1)) << torus_name(shape);
    for (const Collective collective : {Collective::kAllGather, Collective::kReduceScatter}) {
      const Cost half = cost_of("torus_bucket", collective, shape);
      EXPECT_NEAR(half.most, (n - 1) / links, kExactly) << torus_name(shape);
      EXPECT_NEAR(half.least, half.most, kExactly) << torus_name(shape);
    }
  }
}

// The counting bound: every rank must send 2(n-1)/n of the data, over all the links that there are.
TEST(TorusCosts, BucketsAllReduceLoadsEveryLinkOfAMeshAlike) {
  for (const auto& [k, dimensions] : {std::pair{7, 1}, {2, 3}, {4, 2}, {5, 2}, {3, 3}}) {
    const Shape shape = cube(k, dimensions, false);
    const double n = places(shape), links = 2.0 * dimensions * n * (k - 1) / k;
    const Cost cost = cost_of("torus_bucket", Collective::kAllReduce, shape);
    EXPECT_NEAR(cost.most, 2 * (n - 1) / links, kExactly) << torus_name(shape);
    EXPECT_NEAR(cost.least, cost.most, kExactly) << torus_name(shape);
  }
}

TEST(TorusCosts, BucketBalancesUnequalAxes) {
  for (const Shape& shape : {Shape{{4, true}, {8, true}}, Shape{{16, true}, {4, true}}, Shape{{3, true}, {4, true}, {8, true}}}) {
    const double n = places(shape), links = 2.0 * static_cast<double>(shape.size());
    const Cost cost = cost_of("torus_bucket", Collective::kAllReduce, shape);
    EXPECT_LE(cost.most, 1.01 * 2 * (n - 1) / n / links) << torus_name(shape);
  }
}

TEST(TorusCosts, SwingLoadsTheLinksALittleMore) {
  for (const auto& [k, dimensions, most] : {std::tuple{16, 2, 1.20}, {8, 3, 1.04}}) {
    const Shape shape = cube(k, dimensions, true);
    const double n = places(shape), bucket = 2 * (n - 1) / n / (2 * dimensions);
    const Cost cost = cost_of("swing", Collective::kAllReduce, shape);
    EXPECT_LE(cost.most, most * bucket) << torus_name(shape);
    EXPECT_GE(cost.most, bucket) << torus_name(shape);
  }
}

TEST(TorusCosts, BroadcastsTreesShareNoLink) {
  for (const Collective collective : {Collective::kBroadcast, Collective::kReduce}) {
    for (const auto& [k, dimensions] : {std::pair{5, 1}, {3, 2}, {8, 2}, {4, 3}, {3, 4}}) {
      for (const int root : {0, 2}) {
        const Cost torus = cost_of("torus_broadcast", collective, cube(k, dimensions, true), 0, root);
        EXPECT_NEAR(torus.most, 1.0 / (2 * dimensions), kExactly);
        EXPECT_EQ(torus.steps, dimensions * (k / 2) + (k - 1) / 2) << k << "^" << dimensions;
        EXPECT_NEAR(cost_of("torus_broadcast", collective, cube(k, dimensions, false), 0, root).most, 1.0 / dimensions, kExactly);
      }
    }
    // Where some axes wrap, as many trees as the corner has links.
    EXPECT_NEAR(cost_of("torus_broadcast", collective, {{4, true}, {4, false}}, 0, 5).most, 1.0 / 3, kExactly);
    EXPECT_NEAR(cost_of("torus_broadcast", collective, {{3, true}, {2, true}, {4, true}}, 0, 7).most, 1.0 / 5, kExactly);
  }
}

// Half of the blocks of each half of the machine cross its middle.
TEST(TorusCosts, AllToAllMeetsItsBound) {
  for (const auto& [k, dimensions] : {std::pair{8, 1}, {4, 2}, {8, 2}, {5, 2}, {4, 3}, {3, 3}}) {
    const double n = places(cube(k, dimensions, true)), quarter = k % 2 == 0 ? k / 4.0 : (k * k - 1) / (4.0 * k);
    const Cost torus = cost_of("torus_alltoall", Collective::kAllToAll, cube(k, dimensions, true));
    EXPECT_NEAR(torus.most, n * quarter / 2, kExactly) << k << "^" << dimensions;
    EXPECT_NEAR(torus.least, torus.most, kExactly) << k << "^" << dimensions;
    EXPECT_NEAR(cost_of("torus_alltoall", Collective::kAllToAll, cube(k, dimensions, false)).most, n * quarter, kExactly);
  }
  const Cost unequal = cost_of("torus_alltoall", Collective::kAllToAll, {{4, true}, {8, true}});
  EXPECT_NEAR(unequal.most, 32 * 8 / 8.0, kExactly);
}

TEST(TorusCosts, ExchangeTakesAsManyStepsAsTheFarthestRanksAreApart) {
  for (const Collective collective : {Collective::kAllReduce, Collective::kBarrier}) {
    EXPECT_EQ(cost_of("torus_exchange", collective, cube(16, 2, true)).steps, 16);
    EXPECT_EQ(cost_of("torus_exchange", collective, cube(8, 3, true)).steps, 12);
    EXPECT_EQ(cost_of("torus_exchange", collective, {{4, false}, {5, true}, {2, true}}).steps, 3 + 2 + 1);
  }
  EXPECT_EQ(cost_of("swing", Collective::kAllReduce, cube(16, 2, true), 1).steps, 2 * (1 + 1 + 3 + 5));
}

}  // namespace
}  // namespace tutti
