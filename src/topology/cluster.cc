#include "topology/cluster.h"

#include <algorithm>
#include <map>
#include <vector>

#include "topology/host_files.h"

namespace tutti {
namespace {

// shared/facts/systems.md: shared memory 0.1 us one way, PCIe 1, Ethernet 10; a path crosses two links of its kind. A core copies about
// 20 GB/s through memory; PCIe 4.0 x16 carries 31.5.
constexpr double kMemoryGBps = 20, kMemoryLatencyUs = 0.05;
constexpr double kPcieGBps = 31.5, kPcieLatencyUs = 0.5;
constexpr double kUnknownNetworkGBps = 1.25, kNetworkLatencyUs = 5;  // 10 Gbit/s

struct Node {
  std::string name;
  std::string memory;
  double network_GBps = 0;
};

void join(Graph& graph, const std::string& a, const std::string& b, double GBps, double latency_us, const char* kind) {
  graph.links.push_back({.from = a, .to = b, .GBps = GBps, .latency_us = latency_us, .kind = kind, .count = 1});
  graph.links.push_back({.from = b, .to = a, .GBps = GBps, .latency_us = latency_us, .kind = kind, .count = 1});
}

std::map<std::string, Node> number_nodes(std::span<const RankPlace> places) {
  std::map<std::string, Node> nodes;
  for (const RankPlace& place : places) {
    const auto [found, added] = nodes.try_emplace(place.node);
    Node& node = found->second;
    const std::string number = std::to_string(nodes.size() - 1);
    if (added) node = {.name = "node" + number, .memory = "memory" + number};
    if (place.network_GBps > 0 && (node.network_GBps == 0 || place.network_GBps < node.network_GBps))
      node.network_GBps = place.network_GBps;
  }
  return nodes;
}

}  // namespace

Graph cluster_graph(std::span<const RankPlace> places) {
  const std::map<std::string, Node> nodes = number_nodes(places);
  Graph graph{.name = nodes.size() > 1 ? std::to_string(nodes.size()) + " nodes" : "host",
              .source = "detected",
              .endpoints = {},
              .switches = {},
              .links = {}};
  if (nodes.size() > 1) graph.switches.push_back({.id = "network"});
  std::map<std::string, bool> joined;
  for (size_t rank = 0; rank < places.size(); ++rank) {
    const RankPlace& place = places[rank];
    const Node& node = nodes.at(place.node);
    if (!joined[node.name]) {
      joined[node.name] = true;
      graph.switches.push_back({.id = node.memory});
      const double GBps = node.network_GBps > 0 ? node.network_GBps : kUnknownNetworkGBps;
      if (nodes.size() > 1) join(graph, node.memory, "network", GBps, kNetworkLatencyUs, "ethernet");
    }
    const std::string id = "rank" + std::to_string(rank);
    const bool on_host = place.device == "host";
    graph.endpoints.push_back({.id = id,
                               .device = place.device,
                               .vendor = place.vendor,
                               .node = node.name,
                               .rank = static_cast<int>(rank),
                               .island = on_host ? "" : node.name + " " + place.vendor});
    join(graph, id, node.memory, on_host ? kMemoryGBps : kPcieGBps, on_host ? kMemoryLatencyUs : kPcieLatencyUs, on_host ? "shm" : "pcie");
  }
  return graph;
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
