// Internal to the verifier: the values of the symbolic check, hash-consed, so that two values are equal in every bit if (and, short of
// identities of the reduction, only if) they are one node. A node is a leaf, one block of one rank's input; the reduction of two nodes; or
// a reduction that an instruction has marked as complete.
//
// Where the reduction commutes, a + b and b + a are one node. Rank-ordered they are not, and only neighbours reduce: the left operand holds
// the ranks up to where the right begins, so that whatever holds all ranks is their fold from left to right.
// Threading: one thread an object.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plan/flat_map.h"
#include "plan/resolved_plan.h"

namespace tutti::verifier {

class Expressions {
 public:
  Expressions(uint32_t nranks, uint32_t input_blocks, bool rank_ordered);

  uint32_t leaf(uint32_t rank, uint32_t block) const { return rank * input_blocks_ + block; }
  // Which block of the inputs it is made of.
  uint32_t block(uint32_t node) const { return is_leaf(node) ? node % input_blocks_ : inner(node).block; }

  // Drops all but the leaves.
  void clear();

  // The reduction of two nodes, or kNoIndex where it would mix blocks, count a rank twice, or break the order of the ranks.
  uint32_t reduce(uint32_t left, uint32_t right);

  // The node marked as complete. Preconditions: it is not, and lacks no rank.
  uint32_t complete(uint32_t node);
  bool completed(uint32_t node) const { return !is_leaf(node) && inner(node).left == inner(node).right; }

  // A rank whose input is in both, or kNoIndex.
  uint32_t common_rank(uint32_t a, uint32_t b) const;
  // The first rank whose input is not in it, or kNoIndex.
  uint32_t lacked_rank(uint32_t node) const;

  // "(0 + 1) + 2", ranks for leaves; what is too long to read is "...".
  std::string text(uint32_t node, int depth = 0) const;

 private:
  // left == right, which no reduction has: that node, complete.
  struct Inner {
    uint32_t left = 0;
    uint32_t right = 0;
    uint32_t block = 0;
    uint32_t first = 0;  // rank-ordered: it holds the ranks from first to last
    uint32_t last = 0;
  };

  bool is_leaf(uint32_t node) const { return node < nleaves_; }
  const Inner& inner(uint32_t node) const { return inner_[node - nleaves_]; }
  uint32_t first(uint32_t node) const { return is_leaf(node) ? node / input_blocks_ : inner(node).first; }
  uint32_t last(uint32_t node) const { return is_leaf(node) ? node / input_blocks_ : inner(node).last; }
  // A 64-rank word of the set of ranks whose inputs are in the node. Leaves need no memory for theirs: an all-to-all has n^2 of them.
  uint64_t contributors(uint32_t node, uint32_t word) const;
  uint32_t intern(uint32_t left, uint32_t right);

  const uint32_t nranks_;
  const uint32_t words_;
  const uint32_t input_blocks_;
  const uint32_t nleaves_;
  const bool rank_ordered_;
  std::vector<Inner> inner_;
  std::vector<uint64_t> contributors_;  // of each inner node
  FlatMap known_;
};

}  // namespace tutti::verifier
