#include "topology/cluster.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "topology/host_files.h"

namespace tutti {
namespace {

// shared/facts/systems.md: shared memory 0.1 us one way, PCIe 1, InfiniBand 2.5 and 0.3 a switch, Ethernet 10; a path crosses two links of
// its kind. A core copies about 20 GB/s through memory; PCIe 4.0 x16 carries 31.5.
constexpr double kMemoryGBps = 20, kMemoryLatencyUs = 0.05;
constexpr double kPcieGBps = 31.5, kPcieLatencyUs = 0.5, kPcieSwitchLatencyUs = 0.1;
constexpr double kUnknownNetworkGBps = 1.25, kNetworkLatencyUs = 5, kInfinibandLatencyUs = 1.4;  // 10 Gbit/s
// Between sockets, one way: UPI and xGMI of servers since 2019 are near this; a line from there takes about 0.1 us more. On one package
// the fabric carries what the memory behind it does.
constexpr double kSocketGBps = 60, kSocketLatencyUs = 0.1;
constexpr double kFabricGBps = 100, kFabricLatencyUs = 0.025;

constexpr int kUnknown = -1;

struct Node {
  std::string number;
  const NodeDescription* machine = nullptr;  // nullptr: nobody described it
  std::vector<size_t> ranks;
  std::vector<int> numa_of;  // of each of `ranks`, an index into the description's; kUnknown
  bool has_numa = false;     // its NUMA nodes are drawn
  double network_GBps = 0;   // the least that a rank told; 0: none did

  std::string name() const { return "node" + number; }
};

void join(Graph& graph, const std::string& a, const std::string& b, double GBps, double latency_us, const char* kind) {
  graph.links.push_back({.from = a, .to = b, .GBps = GBps, .latency_us = latency_us, .kind = kind, .count = 1});
  graph.links.push_back({.from = b, .to = a, .GBps = GBps, .latency_us = latency_us, .kind = kind, .count = 1});
}

// The NUMA node that has all of a rank's CPUs.
int numa_of_cpus(const NodeDescription& machine, const std::vector<uint16_t>& cpus) {
  if (machine.numa.size() == 1) return 0;
  for (size_t i = 0; i < machine.numa.size() && !cpus.empty(); ++i) {
    const std::vector<uint16_t>& all = machine.numa[i].cpus;
    if (std::includes(all.begin(), all.end(), cpus.begin(), cpus.end())) return static_cast<int>(i);
  }
  return kUnknown;
}

const NodeDescription::Accelerator* gpu_of(const NodeDescription& machine, const RankPlace& place) {
  const auto found = std::find_if(machine.gpus.begin(), machine.gpus.end(),
                                  [&](const NodeDescription::Accelerator& gpu) { return gpu.pci_id == place.pci_id; });
  return place.pci_id.empty() || found == machine.gpus.end() ? nullptr : &*found;
}

// Draws the graph of one communicator.
class Drawing {
 public:
  Drawing(std::span<const RankPlace> places, const NodeDescriptions& descriptions, std::vector<std::string>* remarks)
      : places_(places), remarks_(remarks), detailed_(places.size() <= kMostDetailedRanks) {
    find_nodes(descriptions);
    graph_.name = several() ? std::to_string(nodes_.size()) + " nodes" : "host";
    graph_.source = "detected";
  }

  Graph take() {
    if (several()) graph_.switches.push_back({.id = "network"});
    for (Node& node : nodes_) {
      place_ranks(node);
      add_memories(node);
      if (several()) add_network(node);
    }
    for (size_t rank = 0; rank < places_.size(); ++rank) add_rank(rank);
    return std::move(graph_);
  }

 private:
  bool several() const { return nodes_.size() > 1; }
  void remark(const std::string& sentence) {
    if (remarks_ != nullptr) remarks_->push_back(sentence);
  }

  void find_nodes(const NodeDescriptions& descriptions) {
    std::map<std::string, size_t> numbers;
    for (size_t rank = 0; rank < places_.size(); ++rank) {
      const RankPlace& place = places_[rank];
      const auto [found, added] = numbers.try_emplace(place.node, nodes_.size());
      if (added) {
        const auto described = descriptions.find(place.node);
        nodes_.push_back(
            {.number = std::to_string(nodes_.size()), .machine = described == descriptions.end() ? nullptr : &described->second});
      }
      Node& node = nodes_[found->second];
      node.ranks.push_back(rank);
      node_of_.push_back(found->second);
      const bool least = node.network_GBps == 0 || place.network_GBps < node.network_GBps;
      if (place.network_GBps > 0 && least) node.network_GBps = place.network_GBps;
    }
  }

  // Whether NUMA nodes can be told apart here: every host rank's is known, and there is more than one to speak of.
  void place_ranks(Node& node) {
    node.numa_of.assign(node.ranks.size(), kUnknown);
    if (node.machine == nullptr || node.machine->numa.size() < 2 || !detailed_) return;
    for (size_t i = 0; i < node.ranks.size(); ++i) {
      const RankPlace& place = places_[node.ranks[i]];
      const NodeDescription::Accelerator* const gpu = gpu_of(*node.machine, place);
      node.numa_of[i] = gpu != nullptr && gpu->numa >= 0 ? gpu->numa : numa_of_cpus(*node.machine, place.cpus);
      if (node.numa_of[i] != kUnknown || place.device != "host") continue;
      remark("rank " + std::to_string(node.ranks[i]) + " may run in more than one of the " + std::to_string(node.machine->numa.size()) +
             " NUMA nodes of " + node.name() +
             ", or on CPUs that no one of them has: its ranks are planned for as in one memory; pin them");
      node.numa_of.assign(node.ranks.size(), kUnknown);
      return;
    }
    node.has_numa = drawn_numa(node).size() > 1;
  }

  // Those that ranks or interfaces are in; ascending.
  std::set<int> drawn_numa(const Node& node) const {
    std::set<int> drawn(node.numa_of.begin(), node.numa_of.end());
    for (const NodeDescription::Interface& nic : node.machine->interfaces) {
      if (several()) drawn.insert(nic.numa);
    }
    drawn.erase(kUnknown);
    return drawn;
  }

  // Of a NUMA node that is not known, the first one's.
  std::string memory(const Node& node, int numa) const {
    if (!node.has_numa) return "memory" + node.number;
    const std::set<int> drawn = drawn_numa(node);
    const int of = drawn.count(numa) > 0 ? numa : *drawn.begin();
    return "memory" + node.number + "." + std::to_string(node.machine->numa[static_cast<size_t>(of)].id);
  }

  // NUMA nodes of a package are joined by its fabric, packages each with each.
  void add_memories(const Node& node) {
    if (!node.has_numa) {
      graph_.switches.push_back({.id = memory(node, kUnknown)});
      return;
    }
    std::map<int, std::vector<std::string>> packages;
    for (const int numa : drawn_numa(node)) {
      packages[node.machine->numa[static_cast<size_t>(numa)].package].push_back(memory(node, numa));
      graph_.switches.push_back({.id = memory(node, numa)});
    }
    std::vector<std::string> tops;
    for (const auto& [package, memories] : packages) {
      tops.push_back(memories.size() == 1 ? memories[0] : "package" + node.number + "." + std::to_string(package));
      if (memories.size() == 1) continue;
      graph_.switches.push_back({.id = tops.back()});
      for (const std::string& each : memories) join(graph_, each, tops.back(), kFabricGBps, kFabricLatencyUs, "fabric");
    }
    for (size_t a = 0; a < tops.size(); ++a) {
      for (size_t b = a + 1; b < tops.size(); ++b) join(graph_, tops[a], tops[b], kSocketGBps, kSocketLatencyUs, "socket");
    }
  }

  // A PCIe switch of the node, which is drawn at its first device; empty where that has none.
  std::string pcie_switch(const Node& node, int index) {
    if (index == kUnknown || !detailed_) return {};
    std::string id = node.name() + "/pcie/switch" + std::to_string(index);
    if (drawn_switches_.insert(id).second) {
      const NodeDescription::Switch& each = node.machine->pci_switches[static_cast<size_t>(index)];
      graph_.switches.push_back({.id = id});
      join(graph_, memory(node, each.numa), id, each.GBps > 0 ? each.GBps : kPcieGBps, kPcieSwitchLatencyUs, "pcie");
    }
    return id;
  }

  // Interfaces of one place and kind are one link of their joint rate: what goes from here to there has one way through the graph, but
  // takes all of them.
  struct Joint {
    std::string name;
    double GBps = 0;
    double pcie_GBps = 0;
    int members = 0;
  };

  void add_network(Node& node) {
    const std::vector<NodeDescription::Interface> none;
    const std::vector<NodeDescription::Interface>& nics = node.machine == nullptr ? none : node.machine->interfaces;
    const auto known = [](const NodeDescription::Interface& nic) { return nic.GBps > 0; };
    const bool guess = std::none_of(nics.begin(), nics.end(), known);
    double sum = 0;
    for (const NodeDescription::Interface& nic : nics) sum += guess ? kUnknownNetworkGBps : nic.GBps;
    // Where a rank told less, it uses fewer of them.
    const bool disagree = node.network_GBps > 0 && node.network_GBps < sum * (1 - 1e-9);
    if (disagree)
      remark("a rank of " + node.name() + " uses fewer network interfaces than its lowest rank: their rate holds for all of it");
    if (nics.empty() || disagree) {
      const double GBps = node.network_GBps > 0 ? node.network_GBps : kUnknownNetworkGBps;
      return join(graph_, memory(node, kUnknown), "network", GBps, kNetworkLatencyUs, "ethernet");
    }
    std::map<std::pair<std::string, bool>, Joint> joints;  // by what they hang below, and whether they are InfiniBand
    for (const NodeDescription::Interface& nic : nics) {
      if (!guess && !known(nic)) continue;
      std::string above = pcie_switch(node, nic.pci_switch);
      if (above.empty()) above = memory(node, nic.numa);
      Joint& joint = joints[{above, nic.kind == "infiniband"}];
      const double GBps = guess ? kUnknownNetworkGBps : nic.GBps;
      joint.name += (joint.members++ == 0 ? node.name() + "/" : "+") + nic.name;
      joint.GBps += GBps;
      joint.pcie_GBps += nic.pcie_GBps > 0 ? nic.pcie_GBps : GBps;
    }
    for (const auto& [place, joint] : joints) {
      const auto& [above, infiniband] = place;
      graph_.switches.push_back({.id = joint.name});
      join(graph_, above, joint.name, joint.pcie_GBps, kPcieLatencyUs, "pcie");
      join(graph_, joint.name, "network", joint.GBps, infiniband ? kInfinibandLatencyUs : kNetworkLatencyUs,
           infiniband ? "infiniband" : "ethernet");
    }
  }

  void add_rank(size_t rank) {
    const RankPlace& place = places_[rank];
    const Node& node = nodes_[node_of_[rank]];
    const auto in_node = static_cast<size_t>(std::lower_bound(node.ranks.begin(), node.ranks.end(), rank) - node.ranks.begin());
    const int numa = node.numa_of[in_node];
    const std::string below = memory(node, numa);
    const bool on_host = place.device == "host";
    std::string island = on_host ? "" : node.name() + " " + place.vendor;
    // Nodes are the islands of several. On one, what is near is a NUMA node.
    if (on_host && node.has_numa && !several()) island = below;
    const std::string id = "rank" + std::to_string(rank);
    graph_.endpoints.push_back({.id = id,
                                .device = place.device,
                                .vendor = place.vendor,
                                .node = node.name(),
                                .rank = static_cast<int>(rank),
                                .island = std::move(island)});
    if (on_host) return join(graph_, id, below, kMemoryGBps, kMemoryLatencyUs, "shm");
    const NodeDescription::Accelerator* const gpu = node.machine == nullptr ? nullptr : gpu_of(*node.machine, place);
    const std::string above = gpu == nullptr ? "" : pcie_switch(node, gpu->pci_switch);
    const double GBps = gpu == nullptr || gpu->pcie_GBps <= 0 ? kPcieGBps : gpu->pcie_GBps;
    join(graph_, id, above.empty() ? below : above, GBps, kPcieLatencyUs, "pcie");
  }

  std::span<const RankPlace> places_;
  std::vector<std::string>* remarks_;
  bool detailed_;
  std::vector<Node> nodes_;
  std::vector<size_t> node_of_;  // by rank
  std::set<std::string> drawn_switches_;
  Graph graph_;
};

}  // namespace

Graph cluster_graph(std::span<const RankPlace> places, const NodeDescriptions& nodes, std::vector<std::string>* remarks) {
  return Drawing(places, nodes, remarks).take();
}

Graph single_host_graph(int nranks) {
  return cluster_graph(std::vector<RankPlace>(static_cast<size_t>(nranks), {.node = "host", .device = "host", .vendor = "cpu"}));
}

double network_GBps(std::span<const std::string> interfaces, const std::string& root) {
  double sum = 0;
  for (const Nic& nic : detect_nics(root)) {
    if (std::find(interfaces.begin(), interfaces.end(), nic.name) != interfaces.end()) sum += static_cast<double>(nic.speed_Mbps) / 8000;
  }
  return sum;
}

}  // namespace tutti
