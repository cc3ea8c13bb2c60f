// Small machines for tests: every link in both directions, one rate and one latency unless said otherwise.
// Threading: pure functions.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "topology/graph.h"

namespace tutti {

// Appended: g++ 12 warns of `"r" + std::string` where it inlines it (-Wrestrict, GCC bug 105651).
inline std::string numbered(const char* name, int number) {
  std::string text = name;
  text += std::to_string(number);
  return text;
}

inline Graph ranks_without_links(int nranks, bool forward = false) {
  Graph graph{.name = "test", .source = "declared", .endpoints = {}, .switches = {}, .links = {}};
  for (int rank = 0; rank < nranks; ++rank) {
    graph.endpoints.push_back({.id = numbered("r", rank), .device = "host", .vendor = "cpu", .node = "n", .rank = rank});
    graph.endpoints.back().forwards = forward;
  }
  return graph;
}

inline void join(Graph& graph, const std::string& a, const std::string& b, double GBps, double latency_us) {
  graph.links.push_back({.from = a, .to = b, .GBps = GBps, .latency_us = latency_us, .kind = "test"});
  graph.links.push_back({.from = b, .to = a, .GBps = GBps, .latency_us = latency_us, .kind = "test"});
}

inline void join(Graph& graph, int a, int b, double GBps, double latency_us) {
  join(graph, graph.endpoints[static_cast<size_t>(a)].id, graph.endpoints[static_cast<size_t>(b)].id, GBps, latency_us);
}

// Two hops of half the latency.
inline Graph switch_graph(int nranks, double GBps, double latency_us) {
  Graph graph = ranks_without_links(nranks);
  graph.switches = {{.id = "switch"}};
  for (const Endpoint& endpoint : graph.endpoints) join(graph, endpoint.id, "switch", GBps, latency_us / 2);
  return graph;
}

inline Graph mesh_graph(int nranks, double GBps, double latency_us) {
  Graph graph = ranks_without_links(nranks);
  for (int a = 0; a < nranks; ++a) {
    for (int b = a + 1; b < nranks; ++b) join(graph, a, b, GBps, latency_us);
  }
  return graph;
}

// All axes wrap, those of two places by one cable.
inline Graph torus_graph(const std::vector<int>& sizes, double GBps, double latency_us) {
  int nranks = 1;
  for (const int size : sizes) nranks *= size;
  Graph graph = ranks_without_links(nranks, true);
  int stride = nranks;
  for (const int size : sizes) {
    graph.axes.push_back({.size = size, .wrap = true});
    stride /= size;
    for (int rank = 0; rank < nranks; ++rank) {
      const int place = rank / stride % size;
      if (size > 2 || place == 0) join(graph, rank, rank + ((place + 1) % size - place) * stride, GBps, latency_us);
    }
  }
  return graph;
}

// `nodes` switches of `per_node` ranks, whose ranks each have a NIC on a network of their own rail.
inline Graph nodes_graph(int nodes, int per_node, double inside_GBps, double nic_GBps) {
  Graph graph = ranks_without_links(nodes * per_node);
  graph.switches.push_back({.id = "network"});
  for (int node = 0; node < nodes; ++node) {
    const std::string inside = numbered("switch", node);
    graph.switches.push_back({.id = inside});
    for (int i = 0; i < per_node; ++i) {
      Endpoint& endpoint = graph.endpoints[static_cast<size_t>(node * per_node + i)];
      endpoint.node = numbered("node", node);
      const std::string nic = numbered("nic", node * per_node + i);
      graph.switches.push_back({.id = nic});
      join(graph, endpoint.id, inside, inside_GBps, 0.75);
      join(graph, endpoint.id, nic, nic_GBps, 0.5);
      join(graph, nic, "network", nic_GBps, 1.25);
    }
  }
  return graph;
}

// A random tree, and half as many links more; rates of 10 to 100 GB/s. Everybody forwards.
inline Graph random_graph(int nranks, unsigned seed) {
  std::mt19937 random(seed);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  Graph graph = ranks_without_links(nranks, true);
  for (int rank = 1; rank < nranks; ++rank) join(graph, rank, below(rank), 10.0 + 10 * below(10), 0.5 + 0.25 * below(5));
  for (int more = 0; more < nranks / 2; ++more) {
    const int a = below(nranks), b = below(nranks);
    if (a != b) join(graph, a, b, 10.0 + 10 * below(10), 0.5 + 0.25 * below(5));
  }
  return graph;
}

}  // namespace tutti
