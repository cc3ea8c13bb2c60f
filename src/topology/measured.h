// What a probe measured between ranks, as the graph that explains it: ranks joined by their node's memory, nodes by a network, and where
// some nodes reach each other at the full rate of their interfaces and others not, groups of nodes with uplinks.
// Threading: any thread.
#pragma once

#include <span>
#include <vector>

#include "base/status.h"
#include "topology/cluster.h"
#include "topology/graph.h"

namespace tutti {

// Between `size` things, one way, row = from. The diagonal means nothing. Measured one pair at a time: nothing else ran.
class PairMatrix {
 public:
  explicit PairMatrix(int size) : size_(size), values_(static_cast<size_t>(size) * static_cast<size_t>(size), 0) {}
  int size() const { return size_; }
  double& at(int from, int to) { return values_[static_cast<size_t>(from * size_ + to)]; }
  double at(int from, int to) const { return values_[static_cast<size_t>(from * size_ + to)]; }

 private:
  int size_;
  std::vector<double> values_;
};

struct Explained {
  Graph graph;
  // The pair of ranks that the graph explains worst, and the rate there that it predicts over the one measured.
  int worst_from = 0;
  int worst_to = 0;
  double worst_ratio = 1;
};

// GBps and latency_us between all ranks. Between ranks of different nodes the best pair of the two nodes counts.
// Precondition: places.size() == GBps.size() == latency_us.size(), every rate > 0 and every latency >= 0.
Explained explain_measurement(std::span<const RankPlace> places, const PairMatrix& GBps, const PairMatrix& latency_us);

}  // namespace tutti
