// Rings of all ranks laid over a graph, with weights, so that together they fill the links as well as rings can: neighbours are close,
// islands are passed through one after another, and where links are left over, another ring takes them.
//
// As with trees (packing.h) the weights are a linear program over the links, and rings are added that are the shortest at its prices;
// but the shortest ring is only looked for (nearest neighbours, then segments moved and turned round), so nothing is proved.
// Threading: pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "topology/network.h"

namespace tutti {

struct PackedRing {
  uint32_t begin = 0;  // the part of each block that goes round it, in 1/den
  uint32_t end = 0;
  int fifo = 0;            // rings that share a hop have different ones
  std::vector<int> order;  // of the ranks: each sends to the next, the last to the first
};

struct RingPacking {
  uint32_t den = 1;
  int fifos = 1;  // that the rings need between two ranks
  std::vector<PackedRing> rings;
};

// `first` is a ring to begin with, such as the islands one after another. At most `most_fifos` rings share a hop. With more ranks than
// kMostPackedRanks (packing.h) just that ring, both ways. Precondition: first holds 2 or more ranks, each once.
RingPacking pack_rings(const Network& network, std::vector<int> first, int most_fifos);

}  // namespace tutti
