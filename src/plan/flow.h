// Maximum flows on a network's edges, for the bounds. Internal to plan/.
// Threading: one thread uses a Flow at a time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "topology/network.h"

namespace tutti {

// One side of a cut: of each vertex, whether it is on the source's.
using Side = std::vector<uint8_t>;

class Flow {
 public:
  // `reversed`: every edge turned round.
  Flow(const Network& network, bool reversed);

  // The most bytes/us from sources to sinks at once, where source_rate[v] limits what vertex v sends (infinite: no limit; 0: none) and
  // every vertex with is_sink takes all that it gets. Dinic's algorithm, with the tolerance of doubles.
  double run(std::span<const double> source_rate, std::span<const uint8_t> is_sink);

  // After run(): the vertices that sources can still reach, the least of the minimum cuts.
  const Side& source_side() const { return side_; }

 private:
  struct Arc {
    uint32_t to;
    double room;
    double capacity;
  };

  void add_arc(uint32_t from, uint32_t to, double capacity);
  bool layer();
  double push(uint32_t vertex, double most);

  uint32_t vertices_;      // and two more: source and sink
  std::vector<Arc> arcs_;  // arc i's opposite is i ^ 1
  std::vector<std::vector<uint32_t>> leaving_;
  std::vector<uint32_t> source_arc_, sink_arc_;  // of each vertex
  std::vector<int> level_;
  std::vector<uint32_t> next_;
  std::vector<uint32_t> queue_;
  double tolerance_ = 0;
  Side side_;
};

}  // namespace tutti
