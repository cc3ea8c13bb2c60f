// Tori and meshes as graphs, for tests: a chip a rank, a link each way between neighbours.
// Threading: pure functions.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "topology/topology.h"

namespace tutti {

// An axis of two places that wraps has two cables.
inline Graph torus_graph(const std::vector<Axis>& axes, double GBps = 50, double latency_us = 1) {
  Graph graph{.name = "torus", .source = "declared", .axes = axes, .endpoints = {}, .switches = {}, .links = {}};
  const Torus torus(axes);
  const auto id = [](int rank) { return "chip" + std::to_string(rank); };
  for (int rank = 0; rank < torus.size(); ++rank) {
    graph.endpoints.push_back(
        {.id = id(rank), .device = "host", .vendor = "test", .node = "torus", .rank = rank, .island = "", .forwards = true});
    for (int axis = 0; axis < torus.dimensions(); ++axis) {
      const Axis& along = axes[static_cast<size_t>(axis)];
      const int place = torus.place(rank, axis);
      if (along.size < 2 || (place + 1 == along.size && (!along.wrap || along.size == 2))) continue;
      const int next = torus.with_place(rank, axis, (place + 1) % along.size);
      const int cables = along.size == 2 && along.wrap ? 2 : 1;
      graph.links.push_back({.from = id(rank), .to = id(next), .GBps = GBps, .latency_us = latency_us, .kind = "ici", .count = cables});
      graph.links.push_back({.from = id(next), .to = id(rank), .GBps = GBps, .latency_us = latency_us, .kind = "ici", .count = cables});
    }
  }
  return graph;
}

inline std::unique_ptr<const Topology> torus_topology(const std::vector<Axis>& axes) {
  return std::move(*Topology::create(torus_graph(axes)));
}

// "2x3w": a w behind an axis that wraps.
inline std::string torus_name(const std::vector<Axis>& axes) {
  std::string name;
  for (const Axis& axis : axes) {
    if (!name.empty()) name += 'x';
    name += std::to_string(axis.size);
    if (axis.wrap) name += 'w';
  }
  return name;
}

}  // namespace tutti
