// Graphs for the tests of algorithms that ask the machine: islands, tori, meshes, and random ones.
// Threading: pure functions.
#pragma once

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "topology/topology.h"

namespace tutti {

template <class Number>
std::string numbered(const char* name, Number number) {
  return std::string(name).append(std::to_string(number));
}

class GraphMaker {
 public:
  // Adds the next rank; its id is "r" and its number.
  std::string rank(const std::string& node = "", bool forwards = false) {
    const int number = static_cast<int>(graph_.endpoints.size());
    const std::string id = numbered("r", number);
    graph_.endpoints.push_back({.id = id,
                                .device = "cuda",
                                .vendor = "v",
                                .node = node.empty() ? numbered("node", number) : node,
                                .rank = number,
                                .forwards = forwards});
    return id;
  }
  void add_switch(const std::string& id) { graph_.switches.push_back({.id = id}); }
  void link(const std::string& from, const std::string& to, double GBps, double latency_us = 1) {
    graph_.links.push_back({.from = from, .to = to, .GBps = GBps, .latency_us = latency_us, .kind = "wire"});
  }
  void join(const std::string& a, const std::string& b, double GBps, double latency_us = 1) {
    link(a, b, GBps, latency_us);
    link(b, a, GBps, latency_us);
  }
  std::unique_ptr<const Topology> topology() const { return std::move(*Topology::create(graph_)); }

 private:
  Graph graph_;
};

// Islands on switches of `inside` GB/s; where there are several, every rank has a NIC on one network, rank r of nics[r mod their number]
// GB/s.
inline std::unique_ptr<const Topology> islands_topology(const std::vector<int>& sizes, double inside = 450,
                                                        const std::vector<double>& nics = {50}) {
  GraphMaker make;
  if (sizes.size() > 1) make.add_switch("network");
  size_t next = 0;
  for (size_t island = 0; island < sizes.size(); ++island) {
    const std::string hub = numbered("switch", island);
    make.add_switch(hub);
    for (int i = 0; i < sizes[island]; ++i) {
      const std::string id = make.rank(numbered("island", island));
      make.join(id, hub, inside);
      if (sizes.size() > 1) make.join(id, "network", nics[next++ % nics.size()], 1.4);
    }
  }
  return make.topology();
}

// A full mesh of links.
inline std::unique_ptr<const Topology> mesh_topology(int nranks, double GBps) {
  GraphMaker make;
  std::vector<std::string> ids;
  for (int r = 0; r < nranks; ++r) {
    ids.push_back(make.rank("node"));
    for (int other = 0; other < r; ++other) make.join(ids.back(), ids[static_cast<size_t>(other)], GBps);
  }
  return make.topology();
}

// A torus that does not declare its axes; one link of it may be missing.
inline std::unique_ptr<const Topology> torus_topology(int rows, int columns, bool broken) {
  GraphMaker make;
  for (int r = 0; r < rows * columns; ++r) make.rank("", true);
  const auto id = [&](int row, int column) { return numbered("r", row % rows * columns + column % columns); };
  for (int row = 0; row < rows; ++row) {
    for (int column = 0; column < columns; ++column) {
      if (rows > 2 || row == 0) {
        if (!broken || row != 0 || column != 0) make.join(id(row, column), id(row + 1, column), 50);
      }
      if (columns > 2 || column == 0) make.join(id(row, column), id(row, column + 1), 50);
    }
  }
  return make.topology();
}

// 4 to 16 ranks and up to three switches, joined by a random tree and some more links of different rates; odd seeds: of a different rate
// in each direction.
inline std::unique_ptr<const Topology> random_topology(uint32_t seed) {
  std::mt19937 random(seed);
  const auto below = [&](size_t limit) { return static_cast<size_t>(random() % limit); };
  GraphMaker make;
  std::vector<std::string> ids;
  for (size_t r = 4 + below(13); r > 0; --r) ids.push_back(make.rank());
  for (size_t s = below(4); s > 0; --s) {
    ids.push_back(numbered("s", s));
    make.add_switch(ids.back());
  }
  for (size_t i = ids.size() - 1; i > 0; --i) std::swap(ids[i], ids[below(i + 1)]);
  std::vector<bool> joined(ids.size() * ids.size(), false);
  const double rates[] = {25, 50, 100, 200, 450};
  const auto join = [&](size_t a, size_t b) {
    if (a == b || joined[a * ids.size() + b]) return;
    joined[a * ids.size() + b] = joined[b * ids.size() + a] = true;
    const double rate = rates[below(5)], latency = static_cast<double>(1 + below(3));
    make.link(ids[a], ids[b], rate, latency);
    make.link(ids[b], ids[a], seed % 2 == 0 ? rate : rates[below(5)], latency);
  };
  for (size_t i = 1; i < ids.size(); ++i) join(i, below(i));
  for (size_t more = below(2 * ids.size()); more > 0; --more) join(below(ids.size()), below(ids.size()));
  return make.topology();
}

}  // namespace tutti
