// Trees of ranks, and what is done along them: broadcast down, reduction up. A tree is given by each rank's own place in it.
// Counted from the tree's root, every subtree is a range of ranks, and a node's children follow it in the order of their ranges. So a
// reduction always joins neighbouring ranges, left before right; in the order of the ranks if the tree's root is rank 0.
// Threading: pure functions.
#pragma once

#include <vector>

#include "algorithms/channel_share.h"
#include "plan/builder.h"

namespace tutti {

struct TreeNode {
  int parent = kNoPeer;
  std::vector<int> children;
};

// The k-nomial tree: with ranks counted from the root and written in base `radix`, the parent has the lowest digit that is not 0 made 0.
inline TreeNode k_nomial_node(int radix, int nranks, int root, int rank) {
  const int place = (rank + nranks - root) % nranks;
  const auto rank_of = [&](int other) { return (other + root) % nranks; };
  TreeNode node;
  int weight = 1;
  for (; weight < nranks && place % (weight * radix) == 0; weight *= radix) {
    for (int child = place + weight; child < place + weight * radix && child < nranks; child += weight) {
      node.children.push_back(rank_of(child));
    }
  }
  if (place != 0) node.parent = rank_of(place - place % (weight * radix));
  return node;
}

// The farthest child first: it heads the largest subtree. `source` is what the root sends: its input, or its output.
inline void broadcast_down(ProgramBuilder::Channel channel, const TreeNode& node, Region source, Region out) {
  const bool at_root = node.parent == kNoPeer;
  bool first = true;
  for (auto child = node.children.rbegin(); child != node.children.rend(); ++child) {
    if (first && !at_root) {
      channel.recv_copy_send(node.parent, out, *child);
    } else if (first && !(source == out)) {
      channel.copy_send(source, out, *child);
    } else {
      channel.send(*child, out);
    }
    first = false;
  }
  if (node.children.empty()) channel.recv(node.parent, out);
}

// Reduces this rank's `in` with what its children send, one after another, and hands the sum to the parent; without a parent it ends in
// `partial`, which may lie over `in`. The node that stands over all others completes. Precondition: more than one rank.
inline void reduce_up(ProgramBuilder::Channel channel, const TreeNode& node, Region in, Region partial, bool over_all) {
  if (node.children.empty()) {
    channel.send(node.parent, in);
    return;
  }
  Region held = in;
  for (const int child : node.children) {
    const bool last = child == node.children.back();
    if (last && node.parent != kNoPeer) {
      channel.recv_reduce_send(child, held, node.parent);
    } else {
      channel.recv_reduce_copy(child, held, partial);
    }
    channel.src_first().completes(last && over_all);
    held = partial;
  }
}

// The root of the tree that a reduction goes up: where the order of the ranks matters rank 0, which hands the result on.
inline int reduction_tree_root(const PlanRequest& request) {
  return request.rank_ordered ? 0 : request.root;
}

// Reduces one share to request.root, along the tree whose root is reduction_tree_root.
inline void reduce_to_root(ProgramBuilder& builder, const ChannelShare& share, const PlanRequest& request, int rank, TreeNode node) {
  const int top = reduction_tree_root(request);
  if (rank == top && top != request.root) node.parent = request.root;
  const bool has_output = rank == request.root;
  if (!has_output && node.children.size() > 1) builder.use_scratch(1);
  auto channel = builder.channel(share.index);
  reduce_up(channel, node, share.of(Buffer::kInput), share.of(has_output ? Buffer::kOutput : Buffer::kScratch), rank == top);
  if (has_output && rank != top) channel.recv(top, share.of(Buffer::kOutput));
}

}  // namespace tutti
