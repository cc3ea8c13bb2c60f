// The graph of a communicator's ranks, from where each of them told it is and what one rank of each node told of its machine: ranks below
// the memory of their NUMA node, NUMA nodes joined inside their package and packages by their link, network interfaces and GPUs below their
// NUMA node or PCIe switch, nodes joined by the network at their interfaces' rates. Rates that nothing tells are nominal until they are
// measured. Equal places and descriptions make equal graphs, so all ranks hold the same one.
// Threading: any thread.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "topology/graph.h"
#include "topology/node_description.h"

namespace tutti {

struct RankPlace {
  std::string node;    // ranks of equal node share memory
  std::string device;  // "host", ...
  std::string vendor;
  double network_GBps = 0;          // of the node's interfaces together, one way; 0: unknown
  std::vector<uint16_t> cpus = {};  // that it may run on, ascending
  std::string pci_id = {};          // of its device; empty: not known
};

// By node.
using NodeDescriptions = std::map<std::string, NodeDescription>;

// What lies inside of nodes is drawn up to so many ranks. A ring through two NUMA nodes does not look the same from every rank, so a search
// has to simulate all ranks, and beyond this its budget would leave out what needs many steps.
inline constexpr size_t kMostDetailedRanks = 32;

// Endpoints "rank0" ... in order, nodes named "node0" ... by their lowest ranks, islands by node and vendor. A network joins them if there
// are several; a node's rate there is that of its interfaces, or the lowest that its ranks told if that is less.
// A node has one memory, "memory0", unless it is known of each of its host ranks in which one of several NUMA nodes it runs: then these,
// "memory0.1", and on a single node each is an island. What a node's ranks do not know of each other's machine is said in `remarks`, unless
// that is null. Precondition: the descriptions are sound.
Graph cluster_graph(std::span<const RankPlace> places, const NodeDescriptions& nodes = {}, std::vector<std::string>* remarks = nullptr);

// `nranks` host ranks of one node.
Graph single_host_graph(int nranks);

// What the network interfaces of these names carry together, one way, in 10^9 bytes/s, as /sys under `root` tells; 0: not one does.
double network_GBps(std::span<const std::string> interfaces, const std::string& root = "");

}  // namespace tutti
