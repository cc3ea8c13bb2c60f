// The graph of a communicator, from what its ranks tell of themselves and of their nodes.
#include "topology/cluster.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "topology/graph_json.h"
#include "topology/topology.h"

namespace tutti {
namespace {

// Two packages of `per_package` NUMA nodes of two CPUs.
NodeDescription two_packages(int per_package) {
  NodeDescription node;
  for (int i = 0; i < 2 * per_package; ++i) {
    node.numa.push_back({.id = i, .package = i / per_package, .cpus = {static_cast<uint16_t>(2 * i), static_cast<uint16_t>(2 * i + 1)}});
  }
  return node;
}

RankPlace place(const std::string& node, std::vector<uint16_t> cpus) {
  return {.node = node, .device = "host", .vendor = "cpu", .cpus = std::move(cpus)};
}

RankPlace gpu_place(const std::string& node, const std::string& pci_id) {
  return {.node = node, .device = "cuda", .vendor = "nvidia", .pci_id = pci_id};
}

const Link* link(const Graph& graph, const std::string& from, const std::string& to) {
  const auto found = std::find_if(graph.links.begin(), graph.links.end(), [&](const Link& l) { return l.from == from && l.to == to; });
  return found == graph.links.end() ? nullptr : &*found;
}

// Every link has its opposite, and the graph is sound: it is written and read again the same.
void expect_sound(const Graph& graph) {
  for (const Link& l : graph.links) EXPECT_NE(link(graph, l.to, l.from), nullptr) << l.from << " -> " << l.to;
  const Result<Graph> again = graph_from_json(graph_to_json(graph), "written");
  ASSERT_TRUE(again.ok()) << again.status().message();
  EXPECT_TRUE(again.value() == graph);
}

// The vertices between two ranks, as messages go.
std::vector<std::string> way(const Graph& graph, int from, int to) {
  const auto topology = std::move(*Topology::create(graph));
  const auto name = [&](uint32_t v) {
    return v < graph.endpoints.size() ? graph.endpoints[v].id : graph.switches[v - graph.endpoints.size()].id;
  };
  std::vector<std::string> names;
  for (const uint32_t e : topology->network().route(from, to)) names.push_back(name(topology->network().edges()[e].to));
  if (!names.empty()) names.pop_back();
  return names;
}

using Names = std::vector<std::string>;

TEST(Cluster, APlainHostIsOneMemoryWhateverDescribesIt) {
  const std::vector<RankPlace> places{place("n", {0}), place("n", {1}), place("n", {0, 1})};
  const Graph plain = cluster_graph(places);
  NodeDescription node{.numa = {{}}};
  node.interfaces.push_back({.name = "eth0", .kind = "ethernet", .GBps = 12.5});  // of no use on one host
  EXPECT_TRUE(cluster_graph(places, {{"n", node}}) == plain);
  EXPECT_TRUE(cluster_graph(places, {{"another", two_packages(1)}}) == plain);
  EXPECT_EQ(way(plain, 0, 2), Names{"memory0"});
  EXPECT_EQ(std::move(*Topology::create(plain))->islands().size(), 1u);
  expect_sound(plain);
}

TEST(Cluster, TwoSocketsOfTwoNumaNodes) {
  std::vector<RankPlace> places;
  for (uint16_t cpu = 0; cpu < 8; ++cpu) places.push_back(place("n", {cpu}));
  const Graph graph = cluster_graph(places, {{"n", two_packages(2)}});
  expect_sound(graph);
  EXPECT_EQ(way(graph, 0, 1), Names{"memory0.0"});
  EXPECT_EQ(way(graph, 0, 2), (Names{"memory0.0", "package0.0", "memory0.1"}));
  EXPECT_EQ(way(graph, 0, 7), (Names{"memory0.0", "package0.0", "package0.1", "memory0.3"}));
  ASSERT_NE(link(graph, "package0.0", "package0.1"), nullptr);
  EXPECT_EQ(link(graph, "package0.0", "package0.1")->kind, "socket");
  EXPECT_EQ(std::move(*Topology::create(graph))->islands().size(), 4u);
}

TEST(Cluster, EightNumaNodesHaveAWayBetweenAnyTwo) {
  std::vector<RankPlace> places;
  for (uint16_t numa = 0; numa < 8; ++numa)
    places.push_back(place("n", {static_cast<uint16_t>(2 * numa), static_cast<uint16_t>(2 * numa + 1)}));
  const Graph graph = cluster_graph(places, {{"n", two_packages(4)}});
  expect_sound(graph);
  for (int to = 1; to < 8; ++to) EXPECT_EQ(way(graph, 0, to).size(), to < 4 ? 3u : 4u);
}

TEST(Cluster, TwoNumaNodesAreJoinedDirectly) {
  const Graph graph = cluster_graph(std::vector<RankPlace>{place("n", {0}), place("n", {3})}, {{"n", two_packages(1)}});
  expect_sound(graph);
  EXPECT_EQ(way(graph, 0, 1), (Names{"memory0.0", "memory0.1"}));
}

TEST(Cluster, RanksThatMayRunAnywhereShareOneMemory) {
  for (const std::vector<uint16_t>& cpus : {std::vector<uint16_t>{1, 2}, {}, {99}}) {  // across, unknown, of no NUMA node that was told
    const std::vector<RankPlace> places{place("n", {0}), place("n", cpus), place("n", {3})};
    std::vector<std::string> remarks;
    EXPECT_TRUE(cluster_graph(places, {{"n", two_packages(1)}}, &remarks) == cluster_graph(places));
    ASSERT_EQ(remarks.size(), 1u);
    EXPECT_NE(remarks[0].find("rank 1 may run in more than one of the 2 NUMA nodes of node0"), std::string::npos) << remarks[0];
  }
  // All in one: nothing to tell apart, nothing to say.
  const std::vector<RankPlace> together{place("n", {2}), place("n", {3})};
  std::vector<std::string> remarks;
  EXPECT_TRUE(cluster_graph(together, {{"n", two_packages(1)}}, &remarks) == cluster_graph(together));
  EXPECT_TRUE(remarks.empty());
}

TEST(Cluster, ManyRanksAreDrawnWithoutTheInsideOfTheirNodes) {
  std::vector<RankPlace> places;
  for (size_t rank = 0; rank <= kMostDetailedRanks; ++rank) places.push_back(place("n", {static_cast<uint16_t>(rank % 4)}));
  EXPECT_TRUE(cluster_graph(places, {{"n", two_packages(1)}}) == cluster_graph(places));
}

TEST(Cluster, NodesThatDiffer) {
  // NUMA nodes and a known interface at the second; one with interfaces that tell nothing, or down (not in use: not told); one that is not
  // described.
  NodeDescription big = two_packages(1);
  big.interfaces = {{.name = "eth0", .kind = "ethernet", .numa = 1, .GBps = 12.5, .pcie_GBps = 31.5}};
  NodeDescription small{.numa = {{}}};
  small.interfaces = {{.name = "ens3", .kind = "ethernet"}};
  const std::vector<RankPlace> places{place("a", {0}), place("b", {0}), place("a", {2}), place("c", {0}), place("b", {1})};
  const Graph graph = cluster_graph(places, {{"a", big}, {"b", small}});
  expect_sound(graph);
  EXPECT_EQ(graph.name, "3 nodes");
  EXPECT_EQ(way(graph, 0, 2), (Names{"memory0.0", "memory0.1"}));
  EXPECT_EQ(way(graph, 0, 1), (Names{"memory0.0", "memory0.1", "node0/eth0", "network", "node1/ens3", "memory1"}));
  EXPECT_EQ(way(graph, 2, 3), (Names{"memory0.1", "node0/eth0", "network", "memory2"}));
  EXPECT_DOUBLE_EQ(link(graph, "node0/eth0", "network")->GBps, 12.5);
  EXPECT_DOUBLE_EQ(link(graph, "memory0.1", "node0/eth0")->GBps, 31.5);
  EXPECT_DOUBLE_EQ(link(graph, "node1/ens3", "network")->GBps, 1.25);
  EXPECT_DOUBLE_EQ(link(graph, "memory2", "network")->GBps, 1.25);
  EXPECT_EQ(std::move(*Topology::create(graph))->islands().size(), 3u);  // nodes, where there are several
}

TEST(Cluster, InterfacesOfOnePlaceAreOneLinkOfTheirRates) {
  NodeDescription node{.numa = {{}}};
  node.interfaces = {{.name = "eth0", .kind = "ethernet", .GBps = 3.125},
                     {.name = "eth1", .kind = "ethernet", .GBps = 12.5},
                     {.name = "eth2", .kind = "ethernet"}};  // unknown beside known ones: not counted
  const std::vector<RankPlace> places{place("a", {0}), place("b", {0})};
  const Graph graph = cluster_graph(places, {{"a", node}, {"b", node}});
  expect_sound(graph);
  EXPECT_DOUBLE_EQ(link(graph, "node0/eth0+eth1", "network")->GBps, 15.625);
  EXPECT_EQ(way(graph, 0, 1), (Names{"memory0", "node0/eth0+eth1", "network", "node1/eth0+eth1", "memory1"}));
}

TEST(Cluster, ARankThatUsesFewerInterfacesSetsTheRate) {
  NodeDescription node{.numa = {{}}};
  node.interfaces = {{.name = "eth0", .kind = "ethernet", .GBps = 3.125}, {.name = "eth1", .kind = "ethernet", .GBps = 12.5}};
  std::vector<RankPlace> places{place("a", {0}), place("a", {1}), place("b", {0})};
  for (RankPlace& each : places) each.network_GBps = 15.625;
  places[1].network_GBps = 3.125;
  std::vector<std::string> remarks;
  const Graph graph = cluster_graph(places, {{"a", node}, {"b", node}}, &remarks);
  expect_sound(graph);
  EXPECT_DOUBLE_EQ(link(graph, "memory0", "network")->GBps, 3.125);
  EXPECT_DOUBLE_EQ(link(graph, "node1/eth0+eth1", "network")->GBps, 15.625);
  ASSERT_EQ(remarks.size(), 1u);
  EXPECT_NE(remarks[0].find("node0 uses fewer"), std::string::npos);
}

TEST(Cluster, GpusGoThroughTheInterfaceOfTheirSwitch) {
  NodeDescription node = two_packages(1);
  node.pci_switches = {{.numa = 0, .GBps = 31.5}, {.numa = 1, .GBps = 31.5}};
  node.interfaces = {{.name = "ib0", .kind = "infiniband", .numa = 0, .pci_switch = 0, .GBps = 50, .pcie_GBps = 63},
                     {.name = "ib1", .kind = "infiniband", .numa = 1, .pci_switch = 1, .GBps = 50, .pcie_GBps = 63}};
  node.gpus = {{.pci_id = "0000:01:00.0", .numa = 0, .pci_switch = 0, .pcie_GBps = 63},
               {.pci_id = "0001:01:00.0", .numa = 1, .pci_switch = 1, .pcie_GBps = 63}};
  std::vector<RankPlace> places;
  for (const char* host : {"a", "b"}) {
    for (const char* id : {"0000:01:00.0", "0001:01:00.0", "0009:01:00.0"}) places.push_back(gpu_place(host, id));
  }
  const Graph graph = cluster_graph(places, {{"a", node}, {"b", node}});
  expect_sound(graph);
  EXPECT_EQ(way(graph, 1, 4), (Names{"node0/pcie/switch1", "node0/ib1", "network", "node1/ib1", "node1/pcie/switch1"}));
  EXPECT_EQ(way(graph, 0, 1), (Names{"node0/pcie/switch0", "memory0.0", "memory0.1", "node0/pcie/switch1"}));
  EXPECT_EQ(way(graph, 0, 2), (Names{"node0/pcie/switch0", "memory0.0"}));  // of which nothing is known hangs at the first memory
  EXPECT_EQ(link(graph, "node0/ib0", "network")->kind, "infiniband");
}

TEST(Cluster, EqualGraphsHaveEqualDigests) {
  const std::vector<RankPlace> places{place("n", {0}), place("n", {3})};
  const Graph graph = cluster_graph(places, {{"n", two_packages(1)}});
  EXPECT_EQ(graph_digest(graph), graph_digest(cluster_graph(places, {{"n", two_packages(1)}})));
  const auto differs = [&](void (*change)(Graph&)) {
    Graph other = graph;
    change(other);
    return graph_digest(other) != graph_digest(graph);
  };
  EXPECT_TRUE(differs([](Graph& g) { g.links[0].GBps *= 1.0000001; }));
  EXPECT_TRUE(differs([](Graph& g) { g.links[0].latency_us = 0; }));
  EXPECT_TRUE(differs([](Graph& g) { g.links.pop_back(); }));
  EXPECT_TRUE(differs([](Graph& g) { g.links[1].count = 2; }));
  EXPECT_TRUE(differs([](Graph& g) { g.switches[0].reduces = true; }));
  EXPECT_TRUE(differs([](Graph& g) { std::swap(g.endpoints[0].rank, g.endpoints[1].rank); }));
  EXPECT_TRUE(differs([](Graph& g) { g.endpoints[0].island += "'"; }));
  EXPECT_TRUE(differs([](Graph& g) { g.source = "measured"; }));
  EXPECT_TRUE(differs([](Graph& g) { g.axes = {{.size = 2, .wrap = true}}; }));
}

}  // namespace
}  // namespace tutti
