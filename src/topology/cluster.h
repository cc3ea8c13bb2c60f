// The graph of a communicator's ranks as each of them told where it is: ranks of one node joined by its memory, nodes by their network
// interfaces. Rates are nominal until they are measured. Equal places make equal graphs, so all ranks hold the same one.
// Threading: any thread.
#pragma once

#include <span>
#include <string>

#include "topology/graph.h"

namespace tutti {

struct RankPlace {
  std::string node;    // ranks of equal node share memory
  std::string device;  // "host", ...
  std::string vendor;
  double network_GBps = 0;  // of the node's interfaces together, one way; 0: unknown
};

// Endpoints "rank0" ... in order, nodes named "node0" ... by their lowest ranks, islands by node and vendor. A network joins them if there
// are several; a node's rate there is the lowest that its ranks told.
Graph cluster_graph(std::span<const RankPlace> places);

// `nranks` host ranks of one node.
Graph single_host_graph(int nranks);

// What the network interfaces of these names carry together, one way, in 10^9 bytes/s, as /sys under `root` tells; 0: not one does.
double network_GBps(std::span<const std::string> interfaces, const std::string& root = "");

}  // namespace tutti
