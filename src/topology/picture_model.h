// What belongs together in a graph, before anything has a place: clusters of endpoints with the switches that are theirs, and the levels of
// switches above them. Internal to topology/. Threading: pure functions.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "topology/graph.h"

namespace tutti::picture {

// A node, or an island whose endpoints are joined directly or by one switch.
struct Cluster {
  std::string name = {};
  std::vector<uint32_t> endpoints = {};
  std::vector<std::vector<uint32_t>> nodes = {};  // the endpoints again
  std::vector<uint32_t> ports = {};               // switches with a link that leaves the cluster: NICs
  std::vector<uint32_t> between = {};             // its other switches that are joined to a port by PCIe
  std::vector<uint32_t> inside = {};              // the others
  std::string island = {};                        // whose part it is; empty: none's but its own
  std::string kind = {};                          // equal for clusters that look alike
};

struct Model {
  const Graph* graph = nullptr;
  uint32_t endpoints = 0;
  uint32_t vertices = 0;                          // endpoints first, then switches
  std::vector<uint32_t> from, to;                 // vertices of each link; kNone where it names nobody
  std::vector<std::vector<uint32_t>> neighbours;  // of each vertex, each once, ascending
  std::vector<int> cluster_of;                    // of each vertex; -1: a switch above the clusters
  std::vector<Cluster> clusters;                  // in the order of their first endpoints
  std::vector<std::vector<uint32_t>> levels;      // switches next to clusters, those next to these, ...

  bool is_endpoint(uint32_t vertex) const { return vertex < endpoints; }
  const std::string& id(uint32_t vertex) const;
};

// Borrows the graph.
Model model_of(const Graph& graph);

// Which of `count` things in a row are shown: of each run of more than `keep` + 1 things of one kind, the first ones and the last, `keep`
// together; of the others one range.
struct Shown {
  uint32_t first = 0;
  uint32_t count = 1;  // more than 1: these stand together
};
std::vector<Shown> collapse(uint32_t count, uint32_t keep, const std::function<std::string(uint32_t)>& kind);

}  // namespace tutti::picture
