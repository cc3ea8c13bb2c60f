// The bounds against the facts' table, against an exhaustive search that shares nothing with them, and the words for what binds.
#include "plan/bound.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>

#include "tests/plan/graphs.h"
#include "topology/systems.h"

namespace tutti {
namespace {

std::unique_ptr<const Topology> system_of(const std::string& name) {
  Result<Graph> graph = named_system(name);
  EXPECT_TRUE(graph.ok()) << graph.status().message();
  Result<std::unique_ptr<const Topology>> topology = Topology::create(std::move(*graph));
  EXPECT_TRUE(topology.ok()) << topology.status().message();
  return std::move(*topology);
}

// N/T in GB/s.
double rate(const Topology& topology, Collective collective, int root = 0) {
  return 1 / transfer_bound(topology, collective, root).us_per_byte / 1000;
}
double rate(const std::string& name, Collective collective) {
  return rate(*system_of(name), collective);
}

std::string words(const std::string& name, Collective collective) {
  return transfer_bound(*system_of(name), collective).cut;
}

// shared/facts/systems.md, columns AR and A2A. Where it says "half" and "full", for four hosts: n/(2(n-1)) and n/(n-1) of a link; where it
// says "computed", the same of a chip's 2560 GB/s; rails by the formula for several nodes, g B m/(2(m-1)) and B n/(n-g).
TEST(Bound, TableOfTheFactsWithinTwoPercent) {
  struct Row {
    double all_reduce;
    double all_to_all;
  };
  const std::map<std::string, Row> facts = {{"dgx-h100", {257, 514}},
                                            {"hgx-b200", {514, 1029}},
                                            {"gb200-nvl72", {456, 913}},
                                            {"gb300-nvl72", {456, 913}},
                                            {"mi300x", {256, 512}},
                                            {"mi355x", {307, 614}},
                                            {"helios-mi400", {913, 1825}},
                                            {"tpu-v4", {150, 50}},
                                            {"tpu-v5p", {301, 100}},
                                            {"tpu-v7", {301, 100}},
                                            {"tpu-v5e", {100, 25}},
                                            {"tpu-v6e", {201, 50}},
                                            {"trn2", {273, 256}},
                                            {"trn2-ultra", {325, 128}},
                                            {"trn3-ultra", {2560 * 64 / 126.0, 2560 * 64 / 63.0}},
                                            {"trn3-ultra,chips=144", {2560 * 144 / 286.0, 2560 * 144 / 143.0}},
                                            {"cs3", {150, 200}},
                                            {"groq-node", {60, 120}},
                                            {"groqrack", {84, 69}},
                                            {"fat-tree", {25, 50}},
                                            {"rail", {8 * 50 * 8 / 14.0, 50 * 64 / 56.0}},
                                            {"ethernet", {12.5 * 4 / 6, 12.5 * 4 / 3}}};
  for (const SystemFamily& family : system_families()) ASSERT_EQ(facts.count(family.name), 1U) << family.name;
  for (const auto& [name, row] : facts) {
    EXPECT_NEAR(rate(name, Collective::kAllReduce) / row.all_reduce, 1, 0.02) << name << ": " << words(name, Collective::kAllReduce);
    EXPECT_NEAR(rate(name, Collective::kAllToAll) / row.all_to_all, 1, 0.02) << name << ": " << words(name, Collective::kAllToAll);
  }
}

TEST(Bound, SwitchesThatReduceLeaveOnlyTheCut) {
  EXPECT_NEAR(rate("dgx-h100,innetwork=yes", Collective::kAllReduce), 450, 1e-6);
  EXPECT_NEAR(rate("hgx-b200,innetwork=yes", Collective::kAllReduce), 900, 1e-6);
  EXPECT_NEAR(rate("gb200-nvl72,innetwork=yes", Collective::kAllReduce), 900, 1e-6);
  EXPECT_NEAR(rate("fat-tree,innetwork=yes", Collective::kAllReduce), 50, 1e-6);
  EXPECT_NEAR(rate("cs3:64", Collective::kAllReduce), 150, 1e-6);
  EXPECT_NEAR(rate("cs3,innetwork=no", Collective::kAllReduce), 100, 1e-6);
  // Inside the nodes only: what passes between them is counted all the same.
  EXPECT_NEAR(rate("dgx-h100:4,innetwork=yes", Collective::kAllReduce), 8 * 50 * 4 / 6.0, 1e-6);
}

TEST(Bound, SeveralNodes) {
  EXPECT_NEAR(rate("dgx-h100:64", Collective::kAllReduce), 8 * 50 * 64 / 126.0, 1e-6);
  EXPECT_NEAR(rate("dgx-h100:64", Collective::kAllToAll), 50 * 512 / 504.0, 1e-6);
  EXPECT_NEAR(rate("dgx-h100:4", Collective::kAllGather), 500 * 32 / 31.0, 1e-6);
  EXPECT_NEAR(rate("dgx-h100:4", Collective::kReduceScatter), 500 * 32 / 31.0, 1e-6);
  EXPECT_NEAR(rate("dgx-h100:64", Collective::kAllGather), 400 * 512 / 504.0, 1e-6) << "what comes into a node";
  EXPECT_NEAR(rate("dgx-h100:4", Collective::kBroadcast), 400, 1e-6);
  EXPECT_NEAR(rate("tpu-v5e", Collective::kBroadcast), 200, 1e-6);
  EXPECT_NEAR(rate("tpu-v5e", Collective::kAllGather), 200 * 256 / 255.0, 1e-6);
  EXPECT_NEAR(rate("tpu-v5e:4x4", Collective::kAllGather), 100 * 16 / 15.0, 1e-6) << "a corner has two links";
  EXPECT_NEAR(rate("fat-tree:64,k=32,oversubscription=2", Collective::kAllToAll), 21 * 50 / 2.0 * 64 / 21 / 43, 0.01) << "a leaf of 21";
}

TEST(Bound, WhatBindsIsSaidInWords) {
  EXPECT_EQ(words("dgx-h100", Collective::kAllGather), "any one endpoint's links (450 GB/s)");
  EXPECT_EQ(words("dgx-h100", Collective::kAllReduce), "all endpoints' links outward together (3600 GB/s)");
  EXPECT_EQ(words("dgx-h100:4", Collective::kAllToAll), "any one node's NICs (400 GB/s)");
  EXPECT_EQ(words("tpu-v5e", Collective::kAllToAll), "the 32 links across axis 0, between places 0-7 and 8-15 (1600 GB/s)");
  EXPECT_EQ(words("trn2-ultra", Collective::kAllToAll), "the 32 links across axis 2, between places 0-1 and 2-3 (2048 GB/s)");
  EXPECT_EQ(words("tpu-v5e:4x4", Collective::kAllGather), "endpoint tpu-v5e-0/0,0's links (100 GB/s)");
  EXPECT_EQ(words("gb200-nvl72:2", Collective::kAllToAll), "any one island's NICs (3600 GB/s)");
  EXPECT_EQ(words("dgx-h100+mi300x", Collective::kAllToAll), "node dgx-h100-0's NICs (400 GB/s)");
  EXPECT_EQ(words("cs3:16", Collective::kAllToAll), "switch cs3-0/swarmx1.0's links to the others (150 GB/s)");
  EXPECT_EQ(words("ethernet", Collective::kBarrier), "");
}

TEST(Bound, OneRankSendsNothing) {
  for (int c = 0; c < kCollectives; ++c) {
    EXPECT_EQ(transfer_bound(*system_of("dgx-h100,chips=1"), static_cast<Collective>(c)).us_per_byte, 0);
    EXPECT_EQ(lower_bound(*system_of("dgx-h100,chips=1"), static_cast<Collective>(c), 1e9).time_us, 0);
  }
}

TEST(Bound, LargeSystemsSayHowFarTheSearchWent) {
  const auto pod = system_of("tpu-v5p:8x8x16");
  EXPECT_NEAR(rate(*pod, Collective::kAllGather), 600 * 1024 / 1023.0, 1e-6);
  EXPECT_EQ(transfer_bound(*pod, Collective::kAllGather).search, "a flow for each of 1 kinds of ranks");
  EXPECT_NEAR(rate(*pod, Collective::kAllToAll), 50, 1e-6);
  const auto cluster = system_of("dgx-h100:2048");
  const TransferBound bound = transfer_bound(*cluster, Collective::kAllReduce);
  EXPECT_EQ(bound.search, "structured cuts");
  EXPECT_NEAR(1 / bound.us_per_byte / 1000, 8 * 50 * 2048 / 4094.0, 1e-6);
  EXPECT_NEAR(rate("tpu-v5p:16x32x32", Collective::kAllToAll), 25, 1e-6);
}

// ---- An exhaustive search, from the definitions: every set of vertices, every partition of the ranks.

struct Brute {
  const Topology& topology;
  std::vector<double> width;  // of every set of ranks, by the best placing of the others
  double outward = 0;         // the most (groups - 1) / sum of widths over all partitions of the ranks: of what leaves the groups
  double inward = 0;          // and of what enters them

  explicit Brute(const Topology& t) : topology(t) {
    const Network& network = t.network();
    const int n = t.nranks(), v = network.vertices();
    width.assign(size_t{1} << n, INFINITY);
    for (uint32_t set = 0; set < 1u << v; ++set) {
      double out = 0;
      for (const Edge& e : network.edges()) out += (set >> e.from & 1) != 0 && (set >> e.to & 1) == 0 ? e.bytes_per_us : 0;
      uint32_t ranks = 0;
      for (int r = 0; r < n; ++r) ranks |= (set >> network.vertex_of_rank(r) & 1) << r;
      width[ranks] = std::min(width[ranks], out);
    }
    bool replicates = false;  // then messages between groups are not what their members send
    for (const Switch& each : t.graph().switches) replicates |= each.reduces || each.multicasts;
    if (!replicates) partitions((1u << n) - 1, 0, 0, 0);
  }

  double bound(Collective c, int root) const {
    const int n = topology.nranks();
    const uint32_t all = (1u << n) - 1;
    double most = 0;
    for (uint32_t s = 1; s < all; ++s) {
      const double k = __builtin_popcount(s), out = width[s], in = width[all ^ s];
      const bool has_root = (s >> root & 1) != 0;
      switch (c) {
        case Collective::kAllGather: most = std::max(most, k / n / out); break;
        case Collective::kReduceScatter: most = std::max(most, k / n / in); break;
        case Collective::kAllReduce: most = std::max(most, 1 / out); break;
        case Collective::kAllToAll: most = std::max(most, k * (n - k) / n / out); break;
        case Collective::kBroadcast: most = std::max(most, has_root ? 1 / out : 0); break;
        case Collective::kReduce: most = std::max(most, has_root ? 1 / in : 0); break;
        case Collective::kGather: most = std::max(most, has_root ? 0 : k / n / out); break;
        case Collective::kScatter: most = std::max(most, has_root ? 0 : k / n / in); break;
        default: break;
      }
    }
    switch (c) {
      case Collective::kAllReduce: return std::max({most, 2 * outward, 2 * inward});
      case Collective::kAllGather:
      case Collective::kReduceScatter:
      case Collective::kBroadcast:
      case Collective::kReduce: return std::max({most, outward, inward});
      default: return most;
    }
  }

  // All partitions of `rest` after `groups` groups.
  void partitions(uint32_t rest, int groups, double out, double in) {
    if (rest == 0) {
      if (groups < 2) return;
      outward = std::max(outward, (groups - 1) / out);
      inward = std::max(inward, (groups - 1) / in);
      return;
    }
    const uint32_t all = static_cast<uint32_t>(width.size()) - 1, lowest = rest & -rest, others = rest ^ lowest;
    for (uint32_t with = others;; with = (with - 1) & others) {
      const uint32_t group = with | lowest;
      partitions(rest ^ group, groups + 1, out + width[group], in + width[all ^ group]);
      if (with == 0) return;
    }
  }
};

// Every collective that has a bound by its bytes, and every root that is told apart.
void expect_exact(const Topology& topology, const std::string& name) {
  const Brute brute(topology);
  for (int c = 0; c < static_cast<int>(Collective::kBarrier); ++c) {
    const auto collective = static_cast<Collective>(c);
    for (const int root : has_root(collective) ? std::vector<int>{0, topology.nranks() / 2} : std::vector<int>{0}) {
      const double expected = brute.bound(collective, root);
      const TransferBound found = transfer_bound(topology, collective, root);
      EXPECT_NEAR(found.us_per_byte / expected, 1, 1e-9)
          << name << " " << collective_name(collective) << ", root " << root << ": " << found.cut;
      EXPECT_EQ(found.search.substr(0, 5), "exact") << name << " " << collective_name(collective);
    }
  }
}

// Connected both ways; rates of a few sizes; some ends without switch, some switches, some links one way only.
Graph random_graph(std::mt19937& random, int ranks, int switches) {
  const auto below = [&](int n) { return std::uniform_int_distribution<int>(0, n - 1)(random); };
  Graph graph{.name = "random", .source = "declared", .endpoints = {}, .switches = {}, .links = {}};
  std::vector<std::string> ids;
  for (int r = 0; r < ranks; ++r) {
    ids.push_back(std::to_string(r));
    graph.endpoints.push_back({.id = ids.back(), .device = "host", .vendor = "cpu", .node = std::to_string(r / 3), .rank = r});
  }
  for (int s = 0; s < switches; ++s) {
    ids.push_back(std::to_string(ranks + s));
    graph.switches.push_back({.id = ids.back()});
  }
  const double rates[] = {1, 2, 3.5, 10};
  const auto join = [&](int a, int b, bool back) {
    const double GBps = rates[below(4)];
    graph.links.push_back({.from = ids[a], .to = ids[b], .GBps = GBps, .latency_us = 1, .kind = "x", .count = 1 + below(2)});
    if (back)
      graph.links.push_back({.from = ids[b], .to = ids[a], .GBps = below(3) == 0 ? rates[below(4)] : GBps, .latency_us = 1, .kind = "x"});
  };
  const int all = ranks + switches;
  for (int v = 1; v < all; ++v) join(below(v), v, true);
  for (int more = below(all + 2); more > 0; --more) {
    const int a = below(all), b = below(all);
    if (a != b) join(a, b, below(2) == 0);
  }
  return graph;
}

TEST(Bound, EqualsAnExhaustiveSearchOverCutsOfRandomGraphs) {
  std::mt19937 random(11);
  for (int round = 0; round < 60; ++round) {
    const int ranks = 2 + round % 7, switches = round % 4;
    const auto topology = std::move(*Topology::create(random_graph(random, ranks, switches)));
    expect_exact(*topology, numbered("random graph ", round));
  }
}

TEST(Bound, EqualsAnExhaustiveSearchUpToTwelveRanks) {
  std::mt19937 random(12);
  for (const int ranks : {9, 10, 11, 12}) {
    const auto topology = std::move(*Topology::create(random_graph(random, ranks, ranks % 3)));
    expect_exact(*topology, numbered("random ranks ", ranks));
  }
}

TEST(Bound, EqualsAnExhaustiveSearchOnMachines) {
  const auto machines = {"dgx-h100",
                         "dgx-h100,innetwork=yes",
                         "mi300x",
                         "groq-node",
                         "tpu-v5e:3x4",
                         "tpu-v5e:2x5,wrap=01",
                         "tpu-v4:2x2x3",
                         "trn2:3x4",
                         "trn2-ultra:2x2x3",
                         "cs3:9",
                         "cs3:9,innetwork=no",
                         "rail:2x2",
                         "fat-tree:6,k=4",
                         "ethernet:7",
                         "dgx-h100:2,chips=4",
                         "fat-tree:6,k=4,oversubscription=3",
                         "dgx-h100,chips=3+mi300x,chips=5"};
  for (const char* name : machines) expect_exact(*system_of(name), name);
  expect_exact(*torus_topology(3, 4, true), "broken torus");
  expect_exact(*islands_topology({3, 5}, 450, {50, 25, 12.5}), "islands of 3 and 5");
}

TEST(Bound, LatencyYardstick) {
  EXPECT_NEAR(latency_yardstick_us(*system_of("dgx-h100")), 2.0, 1e-9) << "18 links: one round";
  EXPECT_NEAR(latency_yardstick_us(*system_of("gb200-nvl72")), 4.0, 1e-9) << "19^2 > 72";
  EXPECT_NEAR(latency_yardstick_us(*system_of("tpu-v5e")), 16.0, 1e-9) << "8 + 8 hops";
  EXPECT_NEAR(latency_yardstick_us(*system_of("tpu-v5e:4x4")), 6.0, 1e-9) << "corner to corner";
  EXPECT_NEAR(latency_yardstick_us(*system_of("ethernet:8")), 30.0, 1e-9) << "3 rounds of one port";
}

TEST(Bound, LatencyHoldsWhereEveryRankInjectsOneMessageAfterTheOther) {
  // Ethernet of 8, 10 us: seven messages of one rank, or two generations: 10 + 6 x 0.2.
  EXPECT_NEAR(latency_bound_us(*system_of("ethernet:8"), Collective::kBroadcast), 11.2, 1e-6);
  EXPECT_NEAR(latency_bound_us(*system_of("ethernet:8"), Collective::kReduce), 10, 1e-6);
  EXPECT_NEAR(latency_bound_us(*system_of("tpu-v5e"), Collective::kAllReduce), 16, 1e-6);
  // From a corner it is farther than from the middle.
  EXPECT_NEAR(latency_bound_us(*system_of("tpu-v5e:3x3"), Collective::kReduce, 0), 4, 1e-6);
  EXPECT_NEAR(latency_bound_us(*system_of("tpu-v5e:3x3"), Collective::kReduce, 4), 2, 1e-6);
}

TEST(Bound, ForBytes) {
  const auto node = system_of("dgx-h100");
  const Bound large = lower_bound(*node, Collective::kAllReduce, 1e9);
  EXPECT_NEAR(large.transfer_us, 1e9 / 257142.857, 1);
  EXPECT_NEAR(large.time_us, large.transfer_us + 2.0, 1e-6);
  EXPECT_EQ(large.cut, "all endpoints' links outward together (3600 GB/s)");
  const Bound small = lower_bound(*node, Collective::kAllReduce, 8);
  EXPECT_EQ(small.cut, "latency");
  EXPECT_EQ(small.time_us, small.latency_us);
  EXPECT_EQ(lower_bound(*node, Collective::kAllReduce, 0).time_us, 0);
  EXPECT_GT(lower_bound(*node, Collective::kBarrier, 0).time_us, 0);
}

}  // namespace
}  // namespace tutti
