// machine_graph(): a Machine as the graph that the planner sees. All rates here are nominal, and any that is measured replaces them.
#include <algorithm>
#include <map>
#include <set>

#include "topology/machine.h"

namespace tutti {

namespace {

// Latencies are half of shared/facts/systems.md's one-way figures, because every path below crosses two links of its kind: shared
// memory 0.1 us, PCIe 1, InfiniBand 2.5 and 0.3 for a switch, Ethernet 10.
constexpr double kMemoryLatencyUs = 0.05;
constexpr double kPcieLatencyUs = 0.5;
constexpr double kPcieSwitchLatencyUs = 0.1;
constexpr double kInfinibandLatencyUs = 1.4;
constexpr double kEthernetLatencyUs = 5;

// A core copies about 20 GB/s through memory, and about eight of them saturate a node's controllers.
constexpr double kCoreCopyGBps = 20;
constexpr size_t kSaturatingCores = 8;
// Between sockets, one way: UPI and xGMI of servers since 2019 are near this.
constexpr double kInterconnectGBps = 60;
constexpr double kUnknownGpuPcieGBps = 31.5;  // PCIe 4.0 x16
constexpr double kUnknownNicGBps = 1.25;      // 10 Gbit/s, where a virtual machine does not say

void join(Graph& graph, const std::string& a, const std::string& b, double GBps, double latency_us, const std::string& kind) {
  graph.links.push_back({.from = a, .to = b, .GBps = GBps, .latency_us = latency_us, .kind = kind, .count = 1});
  graph.links.push_back({.from = b, .to = a, .GBps = GBps, .latency_us = latency_us, .kind = kind, .count = 1});
}

size_t cores_of(const Machine& machine, const NumaNode& node) {
  return static_cast<size_t>(std::count_if(machine.cores.begin(), machine.cores.end(), [&](const Core& core) {
    return !core.pus.empty() && std::binary_search(node.pus.begin(), node.pus.end(), core.pus.front());
  }));
}

bool usable(const Nic& nic) {
  return nic.state != NicState::kDown;
}

// Physical interfaces that are not down. A container has none, only its end of a veth pair: then that stands for the network.
std::vector<const Nic*> network_nics(const Machine& machine) {
  std::vector<const Nic*> chosen;
  for (const Nic& nic : machine.nics) {
    if (!nic.is_virtual && usable(nic)) chosen.push_back(&nic);
  }
  if (!chosen.empty()) return chosen;
  for (const Nic& nic : machine.nics) {
    if (nic.kind == "veth" && usable(nic)) chosen.push_back(&nic);
  }
  return chosen;
}

double nic_GBps(const Nic& nic) {
  return nic.speed_Mbps == 0 ? kUnknownNicGBps : static_cast<double>(nic.speed_Mbps) / 8000;
}

// Adds root complexes as devices need them, and gives each the room of all that hangs below it: on the die they are no bottleneck.
class RootComplexes {
 public:
  RootComplexes(const Machine& machine, Graph& graph) : machine_(machine), graph_(graph) {
    for (const NumaNode& node : machine.numa_nodes) {
      if (!node.pus.empty()) hosts_.push_back(node.id);
    }
  }

  // Joins `device` below its PCIe switch, if it has one; else below the complex of `numa`; of an unknown node it is the first one's.
  void attach(const std::string& device, const std::string& pci_switch, int numa, double GBps) {
    const std::vector<PciSwitch>& all = machine_.pci_switches;
    const auto found = std::find_if(all.begin(), all.end(), [&](const PciSwitch& each) { return each.pci_id == pci_switch; });
    if (found == all.end()) return attach(device, numa, GBps, kPcieLatencyUs);
    const std::string id = "pcieswitch" + std::to_string(found - all.begin());
    if (switches_.insert(id).second) {
      graph_.switches.push_back({.id = id});
      attach(id, found->numa, found->pcie_GBps > 0 ? found->pcie_GBps : kUnknownGpuPcieGBps, kPcieSwitchLatencyUs);
    }
    join(graph_, id, device, GBps, kPcieLatencyUs, "pcie");
  }

  void attach(const std::string& device, int numa, double GBps, double latency_us) {
    if (std::find(hosts_.begin(), hosts_.end(), numa) == hosts_.end()) numa = hosts_.front();
    below_[numa] += GBps;
    join(graph_, complex_id(numa), device, GBps, latency_us, "pcie");
  }

  void finish() {
    for (const auto& [numa, GBps] : below_) {
      graph_.switches.push_back({.id = complex_id(numa)});
      join(graph_, "numa" + std::to_string(numa), complex_id(numa), GBps, kPcieLatencyUs, "pcie");
    }
  }

 private:
  static std::string complex_id(int numa) { return "pcie" + std::to_string(numa); }

  const Machine& machine_;
  Graph& graph_;
  std::vector<int> hosts_;
  std::set<std::string> switches_;  // that are in the graph
  std::map<int, double> below_;
};

void add_hosts(const Machine& machine, Graph& graph) {
  const auto has_cores = [](const NumaNode& node) { return !node.pus.empty(); };
  const bool several = std::count_if(machine.numa_nodes.begin(), machine.numa_nodes.end(), has_cores) > 1;
  graph.switches.push_back({.id = "memory"});
  for (const NumaNode& node : machine.numa_nodes) {
    if (!has_cores(node)) continue;
    const std::string id = "numa" + std::to_string(node.id);
    graph.endpoints.push_back({.id = id, .device = "host", .vendor = "cpu", .node = machine.host, .rank = -1});
    const double copy = kCoreCopyGBps * static_cast<double>(std::clamp<size_t>(cores_of(machine, node), 1, kSaturatingCores));
    join(graph, id, "memory", several ? std::min(copy, kInterconnectGBps) : copy, kMemoryLatencyUs, "shm");
  }
}

void add_network(const Machine& machine, RootComplexes& complexes, Graph& graph) {
  const std::vector<const Nic*> nics = network_nics(machine);
  if (nics.empty()) return;
  graph.switches.push_back({.id = "network"});
  for (const Nic* nic : nics) {
    const bool infiniband = nic->kind == "infiniband";
    graph.switches.push_back({.id = nic->name});
    complexes.attach(nic->name, nic->pci_switch, nic->numa, nic->pcie_GBps > 0 ? nic->pcie_GBps : nic_GBps(*nic));
    join(graph, nic->name, "network", nic_GBps(*nic), infiniband ? kInfinibandLatencyUs : kEthernetLatencyUs,
         infiniband ? "infiniband" : "ethernet");
  }
}

}  // namespace

Graph machine_graph(const Machine& machine) {
  Graph graph{.name = machine.host, .source = machine.this_system ? "detected" : "declared", .endpoints = {}, .switches = {}, .links = {}};
  add_hosts(machine, graph);
  RootComplexes complexes(machine, graph);
  int number = 0;
  for (const Gpu& gpu : machine.gpus) {
    if (gpu.device.empty()) continue;  // no device of Tutti's could hold a buffer there
    const std::string id = "gpu" + std::to_string(number++);
    graph.endpoints.push_back({.id = id, .device = gpu.device, .vendor = gpu.vendor, .node = machine.host, .rank = -1});
    complexes.attach(id, gpu.pci_switch, gpu.numa, gpu.pcie_GBps > 0 ? gpu.pcie_GBps : kUnknownGpuPcieGBps);
  }
  add_network(machine, complexes, graph);
  complexes.finish();
  return graph;
}

}  // namespace tutti
