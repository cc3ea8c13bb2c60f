// Ways that are remembered, or told without a search, are those of a whole search.
#include "topology/routes.h"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/support/graphs.h"
#include "topology/systems.h"

namespace tutti {
namespace {

void expect_same_ways(const Graph& graph) {
  Result<Network> made = Network::create(graph);
  ASSERT_TRUE(made.ok()) << made.status().message();
  const Network& network = *made;
  Routes routes(network);
  std::vector<int> all(static_cast<size_t>(network.nranks()));
  std::iota(all.begin(), all.end(), 0);
  for (const int from : all) {
    const std::vector<uint32_t> search = network.search_from(from, {});
    const auto one = routes.from(from, std::vector<int>{all.back(), all.front()});
    const auto remembered = routes.from(from, all);
    const auto together = network.routes_from(from, all);
    for (const int to : all) {
      const std::vector<uint32_t> way = network.way_found(search, from, to);
      const auto t = static_cast<size_t>(to);
      EXPECT_EQ(network.route(from, to), way) << from << " to " << to;
      EXPECT_EQ(together[t], way) << from << " to " << to;
      EXPECT_EQ(remembered[t], way) << from << " to " << to;
    }
    EXPECT_EQ(one[0], remembered.back());
    EXPECT_EQ(one[1], remembered.front());
  }
}

TEST(Routes, AreThoseOfAWholeSearch) {
  for (const char* name : {"dgx-h100:2", "mi300x:2", "tpu-v5e:4x5", "trn2", "groqrack", "cs3", "rail:3x4", "dgx-h100:1+mi300x:1"}) {
    SCOPED_TRACE(name);
    expect_same_ways(std::move(*named_system(name)));
  }
  for (unsigned seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    expect_same_ways(random_graph(4 + static_cast<int>(seed % 9), seed));
  }
}

TEST(Routes, ANeighbourByASlowLinkIsNotTakenForTheNearest) {
  Graph graph{.name = "detour", .source = "declared", .endpoints = {}, .switches = {{.id = "s"}}, .links = {}};
  for (int rank = 0; rank < 2; ++rank) {
    const std::string id = rank == 0 ? "a" : "b";
    graph.endpoints.push_back({.id = id, .device = "host", .vendor = "cpu", .node = id, .rank = rank});
    graph.links.push_back({.from = id, .to = "s", .GBps = 1, .latency_us = 1, .kind = "wire"});
    graph.links.push_back({.from = "s", .to = id, .GBps = 1, .latency_us = 1, .kind = "wire"});
  }
  graph.links.push_back({.from = "a", .to = "b", .GBps = 1, .latency_us = 5, .kind = "wire"});
  graph.links.push_back({.from = "a", .to = "b", .GBps = 1, .latency_us = 1, .kind = "wire"});
  Result<Network> network = Network::create(graph);
  ASSERT_TRUE(network.ok()) << network.status().message();
  EXPECT_EQ(network->nearest_by(0, 1), 5U) << "the quicker of two parallel links";
  EXPECT_EQ(network->route(0, 1), std::vector<uint32_t>{5});
  graph.links.pop_back();
  network = Network::create(graph);
  EXPECT_EQ(network->nearest_by(0, 1), Network::kNoEdge);
  EXPECT_EQ(network->route(0, 1).size(), 2U) << "through the switch";
}

}  // namespace
}  // namespace tutti
