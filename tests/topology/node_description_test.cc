// What a node is described by: machines that hwloc imports or makes up, files of /sys that the test writes, and none at all.
#include "topology/node_description.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "fake_root.h"
#include "machine_xml.h"

namespace tutti {
namespace {

NodeDescription described(const MachineSource& source, const std::vector<std::string>& interfaces, std::vector<std::string>& remarks) {
  const Result<Machine> machine = detect_machine(source);
  EXPECT_TRUE(machine.ok()) << machine.status().message();
  if (!machine.ok()) return {};
  NodeDescription node = describe_node(machine.value(), interfaces, remarks);
  EXPECT_EQ(flaw_of(node), "");
  return node;
}

bool any_has(const std::vector<std::string>& sentences, const std::string& part) {
  return std::any_of(sentences.begin(), sentences.end(), [&](const std::string& each) { return each.find(part) != std::string::npos; });
}

TEST(NodeDescription, TwoSocketsOfTwoNumaNodes) {
  std::vector<std::string> remarks;
  const NodeDescription node = described({.synthetic = "pack:2 group:2 [numa(memory=1GB)] core:2 pu:2"}, {}, remarks);
  ASSERT_EQ(node.numa.size(), 4u);
  EXPECT_EQ(node.numa[0].package, node.numa[1].package);
  EXPECT_EQ(node.numa[2].package, node.numa[3].package);
  EXPECT_NE(node.numa[0].package, node.numa[2].package);
  EXPECT_EQ(node.numa[2].cpus, (std::vector<uint16_t>{8, 9, 10, 11}));
  EXPECT_GE(node.numa[3].memory_MiB, 900u);
  EXPECT_TRUE(remarks.empty()) << remarks[0];
  EXPECT_NE(words_for(node).find("2 packages, 4 NUMA nodes"), std::string::npos) << words_for(node);
}

TEST(NodeDescription, EightNumaNodesOfTwoPackages) {
  std::vector<std::string> remarks;
  const NodeDescription node = described({.synthetic = "pack:2 group:4 [numa(memory=32GB)] l3:2 core:4 pu:2"}, {}, remarks);
  ASSERT_EQ(node.numa.size(), 8u);
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(node.numa[i].package, node.numa[i / 4 * 4].package);
    EXPECT_EQ(node.numa[i].cpus.size(), 16u);
  }
}

TEST(NodeDescription, MemoryThatSharesAnothersCoresIsNoPlace) {
  std::vector<std::string> remarks;
  const NodeDescription node = described({.synthetic = "pack:1 [numa(memory=16GB)] [numa(memory=4GB)] core:4 pu:1"}, {}, remarks);
  ASSERT_EQ(node.numa.size(), 1u);
  EXPECT_EQ(node.numa[0].cpus.size(), 4u);
  EXPECT_TRUE(any_has(remarks, "NUMA node 1 has no cores of its own"));
}

TEST(NodeDescription, NumaNodesWithoutCoresOrMemory) {
  Machine machine;
  machine.packages = {{.id = 0, .model = "", .pus = {0, 1}}};
  machine.numa_nodes = {
      {.id = 0, .memory_bytes = 0, .pus = {0}}, {.id = 1, .memory_bytes = 1 << 30, .pus = {1}}, {.id = 2, .memory_bytes = 1 << 30}};
  std::vector<std::string> remarks;
  const NodeDescription node = describe_node(machine, {}, remarks);
  EXPECT_EQ(flaw_of(node), "");
  ASSERT_EQ(node.numa.size(), 2u);  // one without memory is a place all the same: its cores share a way to that of others
  EXPECT_EQ(node.numa[0].memory_MiB, 0u);
  EXPECT_TRUE(any_has(remarks, "NUMA node 2 has no cores"));
}

TEST(NodeDescription, GpusAndNicsOnPciSwitches) {
  const FakeRoot root;
  root.write("/machine.xml", machine_xml({pci_switch(0, 1, 50, {pci_gpu(0, 11), pci_nic(0, 12, "eth0")}) + pci_nic(0, 40, "eth1"),
                                          pci_switch(1, 1, 25, {pci_gpu(1, 11), pci_gpu(1, 12)})}));
  std::vector<std::string> remarks;
  const NodeDescription node = described({.xml = root.path() + "/machine.xml"}, std::vector<std::string>{"eth0", "eth1"}, remarks);
  ASSERT_EQ(node.numa.size(), 2u);
  ASSERT_EQ(node.pci_switches.size(), 2u);
  ASSERT_EQ(node.interfaces.size(), 2u);
  ASSERT_EQ(node.gpus.size(), 3u);
  EXPECT_EQ(node.interfaces[0].name, "eth0");
  ASSERT_GE(node.interfaces[0].pci_switch, 0);
  EXPECT_EQ(node.interfaces[0].pci_switch, node.gpus[0].pci_switch);
  EXPECT_DOUBLE_EQ(node.pci_switches[static_cast<size_t>(node.interfaces[0].pci_switch)].GBps, 50);
  EXPECT_EQ(node.interfaces[1].pci_switch, -1);  // at a root port of its own, or none
  EXPECT_EQ(node.interfaces[1].numa, 0);
  EXPECT_EQ(node.gpus[1].numa, 1);
  EXPECT_EQ(node.gpus[1].pci_switch, node.gpus[2].pci_switch);
  EXPECT_NE(node.gpus[1].pci_switch, node.gpus[0].pci_switch);
  EXPECT_EQ(node.gpus[0].pci_id, "0000:0b:00.0");
  EXPECT_TRUE(any_has(remarks, "eth0 does not tell its speed"));
  // What tutti-topo draws of it.
  const Graph graph = machine_graph(*detect_machine({.xml = root.path() + "/machine.xml"}));
  const auto joins = [&](const std::string& from, const std::string& to) {
    return std::any_of(graph.links.begin(), graph.links.end(), [&](const Link& l) { return l.from == from && l.to == to; });
  };
  EXPECT_TRUE(joins("pcieswitch0", "gpu0") && joins("pcieswitch0", "eth0") && joins("pcie0", "pcieswitch0") && joins("pcie0", "eth1"));
  EXPECT_TRUE(joins("pcieswitch1", "gpu1") && joins("pcieswitch1", "gpu2") && joins("pcie1", "pcieswitch1"));
}

TEST(NodeDescription, WithoutSysThereIsOnePlainNode) {
  const std::vector<std::string> names{"eth0"};
  const NodeDescription node = detect_node(names, "/nonexistent");
  EXPECT_EQ(flaw_of(node), "");
  EXPECT_EQ(node.numa.size(), 1u);
  EXPECT_TRUE(node.interfaces.empty());
  EXPECT_TRUE(node.gpus.empty());
}

void add_interface(const FakeRoot& root, const std::string& name, const std::string& speed, const std::string& state) {
  const std::string folder = "/sys/class/net/" + name;
  root.write(folder + "/operstate", state);
  root.write(folder + "/speed", speed);
  root.link(folder + "/device", "/sys/devices/pci0000:00/0000:00:0" + std::to_string(name.back() - '0') + ".0");
}

TEST(NodeDescription, InterfacesThatDoNotTellTheirSpeed) {
  const FakeRoot root;
  add_interface(root, "eth1", "-1", "up");
  add_interface(root, "eth2", "0", "up");
  add_interface(root, "eth3", "25000", "up");
  add_interface(root, "eth4", "-1", "down");
  const std::vector<std::string> used{"eth3", "eth1", "eth2"};
  const NodeDescription node = detect_node(used, root.path());
  EXPECT_EQ(flaw_of(node), "");
  ASSERT_EQ(node.interfaces.size(), 3u);
  EXPECT_EQ(node.interfaces[0].GBps, 0);
  EXPECT_EQ(node.interfaces[1].GBps, 0);
  EXPECT_DOUBLE_EQ(node.interfaces[2].GBps, 3.125);
}

TEST(NodeDescription, HwlocIsAskedOnlyWhereItMayFindMore) {
  const FakeRoot root;
  EXPECT_FALSE(needs_hwloc(root.path()));
  root.write("/sys/devices/system/node/node0/cpulist", "0-1");
  root.write("/sys/devices/system/node/possible", "0-3");
  EXPECT_FALSE(needs_hwloc(root.path()));
  root.write("/sys/devices/system/node/node1/cpulist", "2-3");
  EXPECT_TRUE(needs_hwloc(root.path()));
  const FakeRoot with_gpus;
  with_gpus.write("/sys/module/nvidia/version", "580");
  EXPECT_TRUE(needs_hwloc(with_gpus.path()));
}

TEST(NodeDescription, EveryFlawIsFound) {
  const NodeDescription good{.numa = {{.id = 0, .cpus = {0, 1}}, {.id = 1, .package = 1, .cpus = {2, 3}}},
                             .pci_switches = {{.numa = 1, .GBps = 30}},
                             .interfaces = {{.name = "eth0", .kind = "ethernet", .numa = 0, .pci_switch = 0, .GBps = 12.5}},
                             .gpus = {{.pci_id = "0000:01:00.0", .numa = 1, .pci_switch = 0, .pcie_GBps = 60}}};
  ASSERT_EQ(flaw_of(good), "");
  const struct {
    const char* says;
    void (*spoil)(NodeDescription&);
  } kFlaws[] = {
      {"no NUMA node", [](NodeDescription& n) { n.numa.clear(); }},
      {"257 NUMA nodes", [](NodeDescription& n) { n.numa.resize(257); }},
      {"NUMA node 0 twice", [](NodeDescription& n) { n.numa[1].id = 0; }},
      {"no CPU in NUMA node 1", [](NodeDescription& n) { n.numa[1].cpus.clear(); }},
      {"in no order",
       [](NodeDescription& n) {
         n.numa[1].cpus = {3, 2};
       }},
      {"CPU 1 twice",
       [](NodeDescription& n) {
         n.numa[1].cpus = {1, 2};
       }},
      {"devices of a kind", [](NodeDescription& n) { n.pci_switches.resize(257); }},
      {"PCI switch into a NUMA node", [](NodeDescription& n) { n.pci_switches[0].numa = 2; }},
      {"PCI switch an impossible rate", [](NodeDescription& n) { n.pci_switches[0].GBps = -1; }},
      {"without a name", [](NodeDescription& n) { n.interfaces[0].name.clear(); }},
      {"without a name", [](NodeDescription& n) { n.interfaces.push_back(n.interfaces[0]); }},
      {"without a name", [](NodeDescription& n) { n.interfaces[0].name = "new\nline"; }},
      {"without a name", [](NodeDescription& n) { n.interfaces[0].name = "eth0+eth1"; }},
      {"eth0 an impossible rate", [](NodeDescription& n) { n.interfaces[0].GBps = std::numeric_limits<double>::infinity(); }},
      {"eth0 an impossible kind", [](NodeDescription& n) { n.interfaces[0].kind.assign(65, 'k'); }},
      {"eth0 into a NUMA node", [](NodeDescription& n) { n.interfaces[0].numa = 2; }},
      {"eth0 below a PCI switch", [](NodeDescription& n) { n.interfaces[0].pci_switch = 1; }},
      {"GPU without a PCI id", [](NodeDescription& n) { n.gpus[0].pci_id = "eth0"; }},
      {"01:00.0 an impossible rate", [](NodeDescription& n) { n.gpus[0].pcie_GBps = std::numeric_limits<double>::quiet_NaN(); }},
  };
  for (const auto& flaw : kFlaws) {
    NodeDescription bad = good;
    flaw.spoil(bad);
    EXPECT_NE(flaw_of(bad).find(flaw.says), std::string::npos) << flaw.says << ": " << flaw_of(bad);
  }
}

}  // namespace
}  // namespace tutti
