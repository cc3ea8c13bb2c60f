// What a probe measured becomes a graph that predicts it.
#include "topology/measured.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "topology/network.h"

namespace tutti {
namespace {

struct Probe {
  std::vector<RankPlace> places;
  PairMatrix GBps, latency_us;
};

// Ranks of nodes with these rates (up, down), `per_node` each, groups of nodes with uplinks; with some per mille of noise.
Probe probe(const std::vector<std::pair<double, double>>& nodes, int per_node, int group_size = 0, double uplink = 0) {
  const int n = static_cast<int>(nodes.size()) * per_node;
  Probe made{{}, PairMatrix(n), PairMatrix(n)};
  for (int r = 0; r < n; ++r) made.places.push_back({.node = "host" + std::to_string(r / per_node), .device = "host", .vendor = "cpu"});
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < n; ++j) {
      if (i == j) continue;
      const int a = i / per_node, b = j / per_node;
      const double noise = 1 + 0.002 * ((i * 7 + j * 3) % 5);
      double rate = a == b ? 10 : std::min(nodes[static_cast<size_t>(a)].first, nodes[static_cast<size_t>(b)].second);
      if (group_size > 0 && a / group_size != b / group_size) rate = std::min(rate, uplink);
      made.GBps.at(i, j) = rate * noise;
      made.latency_us.at(i, j) = (a == b ? 0.2 : 10 + a + b) * noise;
    }
  }
  return made;
}

// The rate and latency of the graph's way between two ranks.
std::pair<double, double> way(const Graph& graph, int from, int to) {
  const Network network = std::move(*Network::create(graph));
  double rate = 1e9, latency = 0;
  for (const uint32_t e : network.route(from, to)) {
    rate = std::min(rate, network.edges()[e].bytes_per_us / 1000);
    latency += network.edges()[e].latency_us;
  }
  return {rate, latency};
}

void expect_explained(const Probe& probe) {
  const Explained explained = explain_measurement(probe.places, probe.GBps, probe.latency_us);
  EXPECT_EQ(explained.graph.source, "measured");
  EXPECT_LT(std::abs(std::log(explained.worst_ratio)), 0.02) << explained.worst_from << " to " << explained.worst_to;
  for (int i = 0; i < probe.GBps.size(); ++i) {
    for (int j = 0; j < probe.GBps.size(); ++j) {
      if (i == j) continue;
      const auto [rate, latency] = way(explained.graph, i, j);
      EXPECT_NEAR(rate / probe.GBps.at(i, j), 1, 0.02) << i << " to " << j;
      EXPECT_NEAR(latency / probe.latency_us.at(i, j), 1, 0.1) << i << " to " << j;
    }
  }
}

TEST(Measured, OneNode) {
  expect_explained(probe({{1, 1}}, 4));
  expect_explained(probe({{1, 1}}, 2));
}

TEST(Measured, NodesOfDifferentRatesEachWay) {
  expect_explained(probe({{1, 1}, {0.5, 0.25}, {0.125, 1}, {1, 1}}, 1));
  expect_explained(probe({{1, 1}, {0.5, 0.25}, {0.125, 1}, {1, 1}}, 3));
  expect_explained(probe({{1, 0.5}, {0.5, 1}}, 2));
}

TEST(Measured, GroupsBehindSlowUplinks) {
  const Probe racks = probe({{1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}}, 2, 3, 0.3);
  expect_explained(racks);
  const Graph graph = explain_measurement(racks.places, racks.GBps, racks.latency_us).graph;
  EXPECT_EQ(graph.endpoints[0].island, graph.endpoints[5].island);
  EXPECT_NE(graph.endpoints[0].island, graph.endpoints[6].island);
}

TEST(Measured, WhatNoGraphOfItsKindExplainsIsSaid) {
  Probe odd = probe({{1, 1}, {1, 1}, {1, 1}}, 1);
  odd.GBps.at(0, 1) = 0.5;  // one direction of one pair, in a chain of full pairs
  const Explained explained = explain_measurement(odd.places, odd.GBps, odd.latency_us);
  EXPECT_EQ(explained.worst_from, 0);
  EXPECT_EQ(explained.worst_to, 1);
  EXPECT_NEAR(explained.worst_ratio, 2, 0.05);
}

}  // namespace
}  // namespace tutti
