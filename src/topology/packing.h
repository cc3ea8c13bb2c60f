// Trees packed into a graph, so that together they fill what binds: what a collective can be done along at (nearly) the rate of the
// tightest cut, on any graph. Endpoints alone relay; a message from one to another takes Network::route.
//
// The best weights of all trees are a linear program of few rows (a link's rate; a root's share) and of very many columns (the trees). They
// are made one by one: the rows' prices say which tree is the cheapest, it becomes a column, the program is solved again, until the
// cheapest trees prove that nothing better exists (Dantzig, Wolfe 1960; the trees by Chu, Liu 1965 and Edmonds 1967). By Edmonds' theorem
// on disjoint branchings (1973) the optimum is the cut bound where there are no switches, and by ForestColl's (Zhao et al., arXiv
// 2402.06787) also where there are and routes do not bind. A basic solution has no more trees than rows; those of little weight are
// dropped, and weights are rounded to a common denominator.
//
// Work is bounded by a count of operations, never by time, so the result is the same everywhere; what is best when it is used up is the
// result. Where the program would have too many rows, each root's trees are made one after another round the links that are full
// so far (multiplicative weights), with equal weights.
// Threading: pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "topology/network.h"

namespace tutti {

enum class PackingKind : uint8_t {
  kBroadcast,      // from one root down
  kReduce,         // up to one root
  kAllGather,      // from every rank down, a block each
  kReduceScatter,  // up to every rank, a block each
  kAllReduce,      // up to some rank and from there down, wherever is best
};

struct PackedTree {
  int root = 0;
  // The part of the root's block that takes this tree, in 1/den; for all-reduce of the one block. Disjoint, together the whole.
  uint32_t begin = 0;
  uint32_t end = 0;
  // Each rank's parent, -1 at the root: on the way down, on the way up; empty where the kind has no such way.
  std::vector<int> down;
  std::vector<int> up;
};

struct TreePacking {
  uint32_t den = 1;
  std::vector<PackedTree> trees;  // by root
  double bytes_per_us = 0;        // of a block: its size by the time that the fullest link takes
  double bound_bytes_per_us = 0;  // proved for all trees on these routes; 0 where nothing was proved
};

// The most ranks for which it is worth its while (a second or two): beyond, machines are regular.
inline constexpr int kMostPackedRanks = 64;

// `root` matters for kBroadcast and kReduce. Precondition: 2 <= network.nranks() <= kMostPackedRanks. At 16 ranks some milliseconds to
// tenths of a second.
TreePacking pack_trees(const Network& network, PackingKind kind, int root);

}  // namespace tutti
