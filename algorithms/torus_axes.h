// A rank's view of the torus or mesh that the ranks form, without the axes that have one place.
//
// An axis that wraps and has three places or more is a ring: a rank has a neighbour on each side, and messages run round it both ways. All
// others are lines. Two places are a line even where two cables join them: there is one neighbour, and the cables are one link of their
// joint rate.
// Threading: pure functions.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "algorithms/algorithm.h"

namespace tutti {

class TorusAxes {
 public:
  // Precondition: topology.torus() has a value.
  explicit TorusAxes(const Topology& topology) : topology_(topology), torus_(*topology.torus()) {
    for (int axis = 0; axis < torus_.dimensions(); ++axis) {
      if (torus_.axes()[static_cast<size_t>(axis)].size > 1) axes_.push_back(axis);
    }
  }

  // 0 where there is one rank.
  int dimensions() const { return static_cast<int>(axes_.size()); }
  int nranks() const { return torus_.size(); }
  int size(int d) const { return axis(d).size; }
  bool ring(int d) const { return axis(d).wrap && axis(d).size > 2; }
  bool any_ring() const {
    for (int d = 0; d < dimensions(); ++d) {
      if (ring(d)) return true;
    }
    return false;
  }

  int place(int rank, int d) const { return torus_.place(rank, axes_[static_cast<size_t>(d)]); }
  int with_place(int rank, int d, int place) const { return torus_.with_place(rank, axes_[static_cast<size_t>(d)], place); }
  // `steps` places on, round the axis.
  int moved(int rank, int d, int steps) const {
    const int k = size(d);
    return with_place(rank, d, ((place(rank, d) + steps) % k + k) % k);
  }

  // Of an axis's places seen from one: the n-th nearest, 0 itself; of two as near, the one backwards first.
  int nth_nearest(int own, int d, int n) const {
    const int k = size(d), both_sides = ring(d) ? k - 1 : 2 * std::min(own, k - 1 - own);
    if (n <= both_sides) return (own + (n % 2 == 1 ? k - (n + 1) / 2 : n / 2)) % k;
    return own < k - 1 - own ? n : k - 1 - n;
  }

  // Bytes per us from a place to the next; 1 where the graph has no link there. All links of an axis are taken to be alike.
  double rate(int d) const {
    const Network& network = topology_.network();
    const uint32_t from = network.vertex_of_rank(0), to = network.vertex_of_rank(moved(0, d, 1));
    double sum = 0;
    for (const uint32_t e : network.out(from)) {
      if (network.edges()[e].to == to) sum += network.edges()[e].bytes_per_us;
    }
    return sum > 0 ? sum : 1;
  }

 private:
  const Axis& axis(int d) const { return torus_.axes()[static_cast<size_t>(axes_[static_cast<size_t>(d)])]; }

  const Topology& topology_;
  const Torus& torus_;
  std::vector<int> axes_;
};

}  // namespace tutti
