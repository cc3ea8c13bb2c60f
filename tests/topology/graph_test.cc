// machine_graph() and graph_to_json(): who is an endpoint, what joins what, and the keys that others parse.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "topology/graph_json.h"
#include "topology/machine.h"

namespace tutti {
namespace {

Machine two_nodes() {
  Machine machine;
  machine.host = "node";
  machine.packages = {{.id = 0, .pus = {0, 1}}, {.id = 1, .pus = {2, 3}}};
  machine.numa_nodes = {
      {.id = 0, .memory_bytes = 1, .pus = {0, 1}}, {.id = 1, .memory_bytes = 1, .pus = {2, 3}}, {.id = 2, .memory_bytes = 1}};
  machine.cores = {{{0}}, {{1}}, {{2}}, {{3}}};
  machine.allowed_pus = {0, 1, 2, 3};
  return machine;
}

Nic nic(const std::string& name, bool is_virtual, NicState state, uint64_t Mbps, int numa = -1) {
  return {
      .name = name, .kind = is_virtual ? "veth" : "ethernet", .is_virtual = is_virtual, .state = state, .speed_Mbps = Mbps, .numa = numa};
}

const Link* link(const Graph& graph, const std::string& from, const std::string& to) {
  const auto found = std::find_if(graph.links.begin(), graph.links.end(), [&](const Link& l) { return l.from == from && l.to == to; });
  return found == graph.links.end() ? nullptr : &*found;
}

bool has_switch(const Graph& graph, const std::string& id) {
  return std::any_of(graph.switches.begin(), graph.switches.end(), [&](const Switch& s) { return s.id == id; });
}

// Every end of a link exists, ids are unique, each link has its reverse, and rates and latencies are positive.
void expect_sound(const Graph& graph) {
  std::set<std::string> ids;
  for (const Endpoint& endpoint : graph.endpoints) EXPECT_TRUE(ids.insert(endpoint.id).second) << endpoint.id;
  for (const Switch& s : graph.switches) EXPECT_TRUE(ids.insert(s.id).second) << s.id;
  for (const Link& l : graph.links) {
    EXPECT_EQ(ids.count(l.from) + ids.count(l.to), 2U) << l.from << " -> " << l.to;
    EXPECT_NE(link(graph, l.to, l.from), nullptr) << l.from << " -> " << l.to;
    EXPECT_GT(l.GBps, 0) << l.from << " -> " << l.to;
    EXPECT_GT(l.latency_us, 0) << l.from << " -> " << l.to;
    EXPECT_GE(l.count, 1);
  }
}

TEST(MachineGraph, OneHostEndpointForEveryNumaNodeWithCores) {
  const Graph graph = machine_graph(two_nodes());
  expect_sound(graph);
  EXPECT_EQ(graph.name, "node");
  EXPECT_EQ(graph.source, "detected");
  ASSERT_EQ(graph.endpoints.size(), 2U);
  EXPECT_EQ(graph.endpoints[1], (Endpoint{.id = "numa1", .device = "host", .vendor = "cpu", .node = "node", .rank = -1}));
  EXPECT_NE(link(graph, "numa0", "memory"), nullptr);
  EXPECT_FALSE(has_switch(graph, "network"));
}

TEST(MachineGraph, GpusAreEndpointsBelowTheirRootComplex) {
  Machine machine = two_nodes();
  machine.gpus = {{.pci_id = "a", .vendor = "nvidia", .device = "cuda", .numa = 1, .pcie_GBps = 31.5},
                  {.pci_id = "b", .vendor = "intel", .device = "", .numa = 0},
                  {.pci_id = "c", .vendor = "amd", .device = "hip", .numa = 1}};
  const Graph graph = machine_graph(machine);
  expect_sound(graph);
  ASSERT_EQ(graph.endpoints.size(), 4U);
  EXPECT_EQ(graph.endpoints[2].device, "cuda");
  EXPECT_EQ(graph.endpoints[3].device, "hip");
  ASSERT_NE(link(graph, "gpu0", "pcie1"), nullptr);
  EXPECT_DOUBLE_EQ(link(graph, "gpu0", "pcie1")->GBps, 31.5);
  ASSERT_NE(link(graph, "pcie1", "numa1"), nullptr);
  EXPECT_GE(link(graph, "pcie1", "numa1")->GBps, 2 * 31.5) << "the complex must not be narrower than its devices";
  EXPECT_FALSE(has_switch(graph, "pcie0"));
}

TEST(MachineGraph, NicsThatAreUpReachTheNetwork) {
  Machine machine = two_nodes();
  machine.nics = {nic("eth0", false, NicState::kUp, 100000, 1), nic("eth1", false, NicState::kDown, 100000),
                  nic("veth1", true, NicState::kUp, 10000)};
  const Graph graph = machine_graph(machine);
  expect_sound(graph);
  ASSERT_NE(link(graph, "eth0", "network"), nullptr);
  EXPECT_DOUBLE_EQ(link(graph, "eth0", "network")->GBps, 12.5);
  EXPECT_EQ(link(graph, "eth0", "network")->kind, "ethernet");
  EXPECT_NE(link(graph, "eth0", "pcie1"), nullptr);
  EXPECT_FALSE(has_switch(graph, "eth1"));
  EXPECT_FALSE(has_switch(graph, "veth1"));
}

TEST(MachineGraph, AContainersVethStandsForTheNetwork) {
  Machine machine = two_nodes();
  machine.nics = {nic("eth0", true, NicState::kUp, 10000)};
  const Graph graph = machine_graph(machine);
  expect_sound(graph);
  EXPECT_NE(link(graph, "eth0", "network"), nullptr);
}

TEST(MachineGraph, SoundForThisMachine) {
  const Result<Machine> machine = detect_machine();
  ASSERT_TRUE(machine.ok());
  const Graph graph = machine_graph(machine.value());
  expect_sound(graph);
  EXPECT_GE(graph.endpoints.size(), 1U);
}

std::set<std::string> keys(const nlohmann::json& object) {
  std::set<std::string> result;
  for (const auto& [key, value] : object.items()) result.insert(key);
  return result;
}

// Exactly these: a reader refuses keys that it does not know.
TEST(GraphJson, HoldsTheContractsKeysAndNoOthers) {
  Machine machine = two_nodes();
  machine.nics = {nic("eth0", false, NicState::kUp, 25000)};
  const nlohmann::json json = nlohmann::json::parse(graph_to_json(machine_graph(machine)));
  EXPECT_EQ(keys(json), (std::set<std::string>{"name", "source", "endpoints", "switches", "links"}));
  EXPECT_EQ(keys(json["endpoints"].at(0)), (std::set<std::string>{"id", "device", "vendor", "node", "rank"}));
  EXPECT_EQ(keys(json["switches"].at(0)), (std::set<std::string>{"id", "reduces", "multicasts"}));
  EXPECT_EQ(keys(json["links"].at(0)), (std::set<std::string>{"from", "to", "GBps", "latency_us", "kind", "count"}));
  EXPECT_EQ(json["switches"].at(0)["reduces"], false);
}

TEST(GraphJson, EmptyAndUnprintableNamesAreStillJson) {
  EXPECT_EQ(nlohmann::json::parse(graph_to_json({}))["links"].size(), 0U);
  const std::string text = graph_to_json({.name = "bad \xff byte"});
  EXPECT_TRUE(nlohmann::json::accept(text)) << text;
}

}  // namespace
}  // namespace tutti
