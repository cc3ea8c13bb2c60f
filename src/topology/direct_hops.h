// The pairs of ranks between which a message passes no other rank, and the links that it takes: what trees and rings are laid along.
// Threading: immutable once made.
#pragma once

#include <vector>

#include "topology/network.h"

namespace tutti {

class DirectHops {
 public:
  // O(n^2) routes.
  explicit DirectHops(const Network& network);

  // Whatever is connected at all is so by direct hops: a route falls into them.
  bool direct(int from, int to) const { return !links(from, to).empty(); }
  // By number; empty where the hop is not direct.
  const std::vector<int>& links(int from, int to) const { return links_[static_cast<size_t>(from * n_ + to)]; }

  // Of the links that any direct hop takes, numbered anew; the fastest has 1, which is unit_bytes_per_us().
  const std::vector<double>& rates() const { return rates_; }
  double unit_bytes_per_us() const { return unit_; }

 private:
  int n_;
  std::vector<std::vector<int>> links_;
  std::vector<double> rates_;
  double unit_ = 0;
};

}  // namespace tutti
