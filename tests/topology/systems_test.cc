// named_system(): each family's structure against shared/facts/systems.md, wrap rules, compositions, and names that are refused.
#include "topology/systems.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "topology/topology.h"

namespace tutti {
namespace {

std::unique_ptr<const Topology> topology_of(const std::string& name) {
  Result<Graph> graph = named_system(name);
  EXPECT_TRUE(graph.ok()) << graph.status().message();
  if (!graph.ok()) return nullptr;
  Result<std::unique_ptr<const Topology>> topology = Topology::create(std::move(*graph));
  EXPECT_TRUE(topology.ok()) << name << ": " << topology.status().message();
  return topology.ok() ? std::move(*topology) : nullptr;
}

// GB/s out of an endpoint, all its links together.
double out_GBps(const Topology& topology, int rank) {
  double sum = 0;
  for (const uint32_t e : topology.network().out(topology.network().vertex_of_rank(rank))) {
    sum += topology.network().edges()[e].bytes_per_us / 1000;
  }
  return sum;
}

const Link* link(const Graph& graph, const std::string& from, const std::string& to) {
  const auto found = std::find_if(graph.links.begin(), graph.links.end(), [&](const Link& l) { return l.from == from && l.to == to; });
  return found == graph.links.end() ? nullptr : &*found;
}

double latency_us(const Topology& topology, int from, int to) {
  double sum = 0;
  for (const uint32_t e : topology.network().route(from, to)) sum += topology.network().edges()[e].latency_us;
  return sum;
}

std::string refusal(const std::string& name) {
  const Result<Graph> graph = named_system(name);
  EXPECT_FALSE(graph.ok()) << name;
  if (graph.ok()) return "";
  EXPECT_EQ(graph.status().code(), Code::kInvalidArgument);
  return graph.status().message();
}

TEST(Systems, OneUnitOfEachFamilyHasTheFactsEndpointsAndRates) {
  struct Expected {
    int ranks;
    double GBps;
    const char* vendor;
  };
  const std::map<std::string, Expected> expected = {
      {"dgx-h100", {8, 450, "nvidia"}},     {"hgx-b200", {8, 900, "nvidia"}},  {"gb200-nvl72", {72, 900, "nvidia"}},
      {"gb300-nvl72", {72, 900, "nvidia"}}, {"mi300x", {8, 448, "amd"}},       {"mi355x", {8, 537.6, "amd"}},
      {"helios-mi400", {72, 1800, "amd"}},  {"tpu-v4", {512, 300, "google"}},  {"tpu-v5e", {256, 200, "google"}},
      {"tpu-v5p", {512, 600, "google"}},    {"tpu-v6e", {256, 400, "google"}}, {"tpu-v7", {512, 600, "google"}},
      {"trn2", {16, 512, "aws"}},           {"trn2-ultra", {64, 640, "aws"}},  {"trn3-ultra", {64, 2560, "aws"}},
      {"cs3", {4, 150, "cerebras"}},        {"groq-node", {8, 105, "groq"}},   {"groqrack", {64, 165, "groq"}},
      {"fat-tree", {64, 50, "cpu"}},        {"rail", {64, 500, "nvidia"}},     {"ethernet", {4, 12.5, "cpu"}}};
  EXPECT_EQ(system_families().size(), expected.size());
  for (const SystemFamily& family : system_families()) {
    SCOPED_TRACE(family.name);
    ASSERT_EQ(expected.count(family.name), 1U);
    const Expected& want = expected.at(family.name);
    const auto topology = topology_of(family.name);
    ASSERT_NE(topology, nullptr);
    ASSERT_EQ(topology->nranks(), want.ranks);
    EXPECT_EQ(topology->graph().name, family.name);
    EXPECT_EQ(topology->graph().source, "declared");
    for (int rank = 0; rank < want.ranks; ++rank) ASSERT_NEAR(out_GBps(*topology, rank), want.GBps, 1e-9) << rank;
    for (const Endpoint& endpoint : topology->graph().endpoints) EXPECT_EQ(endpoint.vendor, want.vendor);
    for (const Link& l : topology->graph().links) {
      const Link* const back = link(topology->graph(), l.to, l.from);
      ASSERT_NE(back, nullptr) << l.from << " -> " << l.to;
      EXPECT_EQ(back->GBps * back->count, l.GBps * l.count) << l.from << " -> " << l.to;
      EXPECT_GT(l.latency_us, 0);
    }
  }
}

TEST(Systems, LatenciesSumToThoseThatPlansUse) {
  const std::map<std::string, double> expected = {{"dgx-h100", 2.0}, {"mi300x", 1.5},  {"tpu-v5e", 1}, {"trn2", 2},
                                                  {"fat-tree", 2.8}, {"ethernet", 10}, {"cs3", 2}};
  for (const auto& [name, us] : expected) EXPECT_NEAR(latency_us(*topology_of(name), 0, 1), us, 1e-9) << name;
  EXPECT_NEAR(latency_us(*topology_of("fat-tree"), 0, 63), 2.5 + 3 * 0.3, 1e-9) << "leaf, spine, leaf";
  EXPECT_NEAR(latency_us(*topology_of("fat-tree:16384"), 0, 16383), 2.5 + 5 * 0.3, 1e-9) << "leaf, pod, core, pod, leaf";
  EXPECT_NEAR(latency_us(*topology_of("dgx-h100:2"), 0, 8), 2.8, 1e-9);
  EXPECT_NEAR(latency_us(*topology_of("trn2:2"), 0, 16), 15, 1e-9);
}

std::string wraps(const std::string& name) {
  std::string text;
  const auto topology = topology_of(name);
  for (const Axis& axis : topology->graph().axes) text += axis.wrap ? '1' : '0';
  return text;
}

TEST(Systems, WrapIsAPropertyOfAnAxis) {
  EXPECT_EQ(wraps("tpu-v4"), "111");
  EXPECT_EQ(wraps("tpu-v5p:4x4x12"), "111");
  EXPECT_EQ(wraps("tpu-v5p:4x4x6"), "000") << "not whole cubes";
  EXPECT_EQ(wraps("tpu-v4:2x2x4"), "000");
  EXPECT_EQ(wraps("tpu-v5e"), "11");
  EXPECT_EQ(wraps("tpu-v5e:8x16"), "01");
  EXPECT_EQ(wraps("tpu-v6e:4x8"), "00");
  EXPECT_EQ(wraps("tpu-v6e:4x8,wrap=10"), "10");
  EXPECT_EQ(wraps("tpu-v5e:16x16,wrap=00"), "00");
  EXPECT_EQ(wraps("trn2"), "11");
  EXPECT_EQ(wraps("trn2-ultra"), "111");
  EXPECT_EQ(wraps("trn2-ultra:4x4x2"), "110") << "two nodes are one cable apart";
  EXPECT_EQ(wraps("tpu-v5e:1x4,wrap=01"), "01");
  EXPECT_EQ(wraps("dgx-h100"), "");
  EXPECT_EQ(wraps("tpu-v5e:2"), "") << "two slices are no torus";
}

TEST(Systems, LinksOfATorus) {
  const Graph mesh = *named_system("tpu-v5e:2x3");
  EXPECT_EQ(mesh.links.size(), 2U * (3 + 4));
  ASSERT_NE(link(mesh, "tpu-v5e-0/0,2", "tpu-v5e-0/1,2"), nullptr);
  EXPECT_EQ(link(mesh, "tpu-v5e-0/0,2", "tpu-v5e-0/1,2")->count, 1);
  EXPECT_EQ(link(mesh, "tpu-v5e-0/0,0", "tpu-v5e-0/0,2"), nullptr);
  const Graph doubled = *named_system("tpu-v5e:2x3,wrap=11");
  EXPECT_EQ(link(doubled, "tpu-v5e-0/0,2", "tpu-v5e-0/1,2")->count, 2);
  EXPECT_NE(link(doubled, "tpu-v5e-0/0,0", "tpu-v5e-0/0,2"), nullptr);
  const Graph ultra = *named_system("trn2-ultra");
  EXPECT_EQ(link(ultra, "trn2-ultra-0/0,0,0", "trn2-ultra-0/0,0,3")->GBps, 64);
  EXPECT_EQ(link(ultra, "trn2-ultra-0/0,0,0", "trn2-ultra-0/3,0,0")->GBps, 128);
}

std::set<std::string> nodes(const Graph& graph) {
  std::set<std::string> names;
  for (const Endpoint& endpoint : graph.endpoints) names.insert(endpoint.node);
  return names;
}

TEST(Systems, NodesAndIslands) {
  EXPECT_EQ(nodes(*named_system("gb300-nvl72")).size(), 18U) << "trays of four";
  EXPECT_EQ(topology_of("gb300-nvl72:2")->islands().size(), 2U) << "racks";
  EXPECT_EQ(nodes(*named_system("dgx-h100:32")).size(), 32U);
  EXPECT_EQ(topology_of("dgx-h100:32")->islands().size(), 32U);
  EXPECT_EQ(nodes(*named_system("tpu-v5e")).size(), 32U) << "8 chips a host";
  EXPECT_EQ(nodes(*named_system("tpu-v4")).size(), 128U) << "4 chips a host";
  EXPECT_EQ(nodes(*named_system("tpu-v5e:3x3")).size(), 2U) << "blocks that are not whole";
  EXPECT_EQ(topology_of("tpu-v4")->islands().size(), 1U);
  EXPECT_EQ(nodes(*named_system("trn2-ultra")).size(), 4U);
  EXPECT_EQ(nodes(*named_system("groqrack")).size(), 8U);
  EXPECT_EQ(topology_of("rail")->islands().size(), 8U);
  EXPECT_EQ(topology_of("ethernet:7")->islands().size(), 7U);
  EXPECT_TRUE(named_system("tpu-v4")->endpoints[0].forwards);
  EXPECT_FALSE(named_system("mi300x")->endpoints[0].forwards);
}

TEST(Systems, UnitsAreJoinedByTheirNics) {
  const auto topology = topology_of("dgx-h100:2");
  EXPECT_EQ(out_GBps(*topology, 15), 500);
  EXPECT_EQ(topology->network().route(0, 8).size(), 4U) << "NIC, network, NIC";
  EXPECT_EQ(topology->network().route(0, 1).size(), 2U) << "NVSwitch";
  const Graph slices = *named_system("tpu-v5e:2");
  ASSERT_NE(link(slices, "tpu-v5e-1/host31/nic", "network"), nullptr) << "one NIC a host";
  EXPECT_EQ(link(slices, "tpu-v5e-1/host31/nic", "network")->GBps, 25);
}

TEST(Systems, CompositionsOfSeveralVendors) {
  const auto topology = topology_of("dgx-h100:2+mi300x:2+tpu-v5e:4x4+ethernet:2+cs3+fat-tree:40");
  ASSERT_NE(topology, nullptr);
  EXPECT_EQ(topology->nranks(), 16 + 16 + 16 + 2 + 4 + 40);
  EXPECT_EQ(topology->graph().endpoints[15].vendor, "nvidia");
  EXPECT_EQ(topology->graph().endpoints[16].device, "hip");
  EXPECT_FALSE(topology->network().route(0, 93).empty());
  // Units of one family are numbered on.
  const auto uneven = topology_of("dgx-h100,chips=3+dgx-h100,chips=5");
  ASSERT_NE(uneven, nullptr);
  ASSERT_EQ(uneven->islands().size(), 2U);
  EXPECT_EQ(uneven->islands()[1].size(), 5U);
}

TEST(Systems, RailsHaveALeafForEachNic) {
  const Graph graph = *named_system("rail:4");
  for (int node = 0; node < 4; ++node) {
    EXPECT_NE(link(graph, "rail-0/node" + std::to_string(node) + "/nic5", "rail-0/leaf5"), nullptr);
    EXPECT_EQ(link(graph, "rail-0/node" + std::to_string(node) + "/nic5", "rail-0/leaf4"), nullptr);
  }
  const Graph narrow = *named_system("rail:4,oversubscription=2");
  const Link* const uplink = link(narrow, "rail-0/leaf5", "rail-0/spine");
  ASSERT_NE(uplink, nullptr);
  EXPECT_EQ(uplink->GBps * uplink->count, 4 * 50 / 2.0);
}

TEST(Systems, FatTreeByPortsAndOversubscription) {
  const Graph even = *named_system("fat-tree:64,k=32"), narrow = *named_system("fat-tree:64,k=32,oversubscription=3");
  const Link* const full = link(even, "fat-tree-0/leaf3", "fat-tree-0/spine");
  ASSERT_NE(full, nullptr) << "16 hosts a leaf";
  EXPECT_DOUBLE_EQ(full->GBps * full->count, 16 * 50);
  const Link* const third = link(narrow, "fat-tree-0/leaf2", "fat-tree-0/spine");
  ASSERT_NE(third, nullptr) << "24 hosts a leaf";
  EXPECT_DOUBLE_EQ(third->GBps * third->count, 24 * 50 / 3.0);
  EXPECT_EQ(named_system("fat-tree:16")->switches.size(), 16U + 1) << "one leaf needs no spine";
}

TEST(Systems, SwitchesReduceWhereTheNameSaysSo) {
  const auto reducing = [](const std::string& name) {
    const Graph graph = *named_system(name);
    return std::count_if(graph.switches.begin(), graph.switches.end(), [](const Switch& s) { return s.reduces && s.multicasts; });
  };
  EXPECT_EQ(reducing("dgx-h100"), 0);
  EXPECT_EQ(reducing("dgx-h100:2,innetwork=yes"), 2);
  EXPECT_EQ(reducing("cs3:16"), 5);
  EXPECT_EQ(reducing("cs3:16,innetwork=no"), 0);
}

TEST(Systems, TreeOfWafersNarrowsByFour) {
  const Graph graph = *named_system("cs3:16");
  EXPECT_EQ(graph.switches.size(), 5U);
  const Link* const uplink = link(graph, "cs3-0/swarmx1.3", "cs3-0/swarmx2.0");
  ASSERT_NE(uplink, nullptr);
  EXPECT_DOUBLE_EQ(uplink->GBps * uplink->count, 150);
}

TEST(Systems, SixteenThousandEndpoints) {
  for (const char* name : {"tpu-v5p:16x32x32", "dgx-h100:2048", "fat-tree:16384", "rail:2048"}) {
    const auto topology = topology_of(name);
    ASSERT_NE(topology, nullptr);
    EXPECT_EQ(topology->nranks(), 16384) << name;
  }
}

TEST(Systems, WrongNamesAreASentenceWithTheRemedy) {
  const std::map<std::string, std::string> expected = {{"", "there is no system ''"},
                                                       {"dgx-h200", "tutti-topo systems"},
                                                       {"dgx-h100:", "neither a number"},
                                                       {"dgx-h100:0", "neither a number"},
                                                       {"dgx-h100:-2", "neither a number"},
                                                       {"dgx-h100:4x4", "has no shape"},
                                                       {"dgx-h100:99999999999", "neither a number"},
                                                       {"dgx-h100:32769", "more than 262144 endpoints"},
                                                       {"tpu-v5e:4x4x4", "has 2 axes, not 3: write it as tpu-v5e:16x16"},
                                                       {"tpu-v4:4x4", "has 3 axes"},
                                                       {"tpu-v5e:0x4", "'0' is not the size of an axis"},
                                                       {"tpu-v5e:4x", "'' is not the size of an axis"},
                                                       {"tpu-v5e:65536x65536", "more than 262144 endpoints"},
                                                       {"tpu-v5e:4x8,wrap=1", "for each of the 2 axes"},
                                                       {"tpu-v5e:4x8,wrap=12", "for each of the 2 axes"},
                                                       {"tpu-v5e:1x8,wrap=10", "axis 0 has one chip"},
                                                       {"dgx-h100,wrap=1", "its options are chips=,innetwork="},
                                                       {"dgx-h100,chips=9", "from 1 to 8"},
                                                       {"mi300x,innetwork=yes", "no option 'innetwork'"},
                                                       {"dgx-h100,innetwork=1", "yes or no"},
                                                       {"groqrack:2", "only one"},
                                                       {"groqrack,x=2", "no option 'x'"},
                                                       {"groqrack+dgx-h100", "name it alone"},
                                                       {"dgx-h100+", "there is no system ''"},
                                                       {"fat-tree:64,k=1", "from 2 to 4096"},
                                                       {"fat-tree:64,oversubscription=0.5", "from 1 to 1000"},
                                                       {"ethernet:4,GBps=nan", "above 0"},
                                                       {"ethernet:4,GBps=-1", "above 0"},
                                                       {"ethernet:4,GBps", "above 0"},
                                                       {"rail:4x9", "at most 8"},
                                                       {"rail:4x4x4", "has 2 axes"}};
  for (const auto& [name, part] : expected) {
    const std::string sentence = refusal(name);
    EXPECT_NE(sentence.find(part), std::string::npos) << name << " gave: " << sentence;
  }
}

}  // namespace
}  // namespace tutti
