// Cuts of a network, and partitions of its ranks, that may bind a collective. A cut is a set of vertices, switches among them, on whichever
// side makes it narrow; every set gives a bound that holds, so a search may be incomplete and is never wrong. Internal to plan/.
// Threading: pure functions; a Cut is a value.
#pragma once

#include <string>
#include <vector>

#include "plan/flow.h"
#include "topology/topology.h"

namespace tutti {

struct Cut {
  Side side;
  int ranks = 0;   // on that side
  double out = 0;  // bytes/us that leave the side, and that enter it
  double in = 0;
};

Cut measure(const Topology& topology, Side side);

// The side with all ranks for which member[rank], and each switch where it makes the cut narrow: where most of its links lead.
Cut cut_of_ranks(const Topology& topology, const std::vector<uint8_t>& member);

// Groups of ranks, all ranks in one each, and what leaves and what enters each of them.
struct Partition {
  std::string of;  // "endpoints'", "nodes'", "islands'", "leaf switches'", "axis 1's planes'", "groups'"
  int groups = 0;
  double out = 0;  // bytes/us, all groups together; 0: not known, and likewise `in`
  double in = 0;
  // Whether a switch between the groups reduces, or sends on one message to several: then what leaves the groups may be less than what
  // arrives.
  bool reduces = false;
  bool multicasts = false;
};
Partition partition_of(const Topology& topology, const std::vector<int>& group_of_rank, std::string of);

// Of each rank the first switch that joins more than two vertices on its way up: a leaf switch, an NVSwitch; its own vertex where there is
// none.
std::vector<uint32_t> leaves_of_ranks(const Topology& topology);

// The ranks' kinds by colour refinement: two ranks that a symmetry of the network exchanges have one kind (the opposite need not hold).
// `marked` (a rank, or -1) is of a kind of its own.
std::vector<int> kinds_of_ranks(const Topology& topology, int marked);

// Endpoints, nodes, islands, what hangs below one switch, halves and prefixes of these, axes; where the network is not too large (4,096
// endpoints) also sweeps in the order of the ranks, of the distance and of the Fiedler vector, and the best of all for an all-to-all
// improved by single moves.
std::vector<Cut> structured_cuts(const Topology& topology);
std::vector<Partition> structured_partitions(const Topology& topology);

// What a person calls the cut: "any one endpoint's links (450 GB/s)", "node dgx-h100-0's NICs (400 GB/s)", "the 128 links across axis 2,
// ...". `outward`: what leaves the side binds, else what enters it.
std::string GBps_in_words(double bytes_per_us);
std::string cut_in_words(const Topology& topology, const Cut& cut, bool outward);

}  // namespace tutti
