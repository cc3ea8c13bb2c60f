// The pairs of ranks between which a message passes no other rank, and the links that it takes: what trees are laid along; or all pairs,
// for rings, which must go on somewhere.
// Threading: immutable once made.
#pragma once

#include <vector>

#include "topology/network.h"

namespace tutti {

class Hops {
 public:
  // O(n^2) routes. `others`: hops that are not direct, too.
  explicit Hops(const Network& network, bool others = false);

  // Whatever is connected at all is so by direct hops: a route falls into them.
  bool has(int from, int to) const { return !links(from, to).empty(); }
  // By number.
  const std::vector<int>& links(int from, int to) const { return links_[static_cast<size_t>(from * n_ + to)]; }

  // Of the links that any hop takes, numbered anew; the fastest has 1, which is unit_bytes_per_us().
  const std::vector<double>& rates() const { return rates_; }
  double unit_bytes_per_us() const { return unit_; }

 private:
  int n_;
  std::vector<std::vector<int>> links_;
  std::vector<double> rates_;
  double unit_ = 0;
};

}  // namespace tutti
