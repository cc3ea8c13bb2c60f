// Broadcast on a torus or mesh along trees that share no link, a share of the buffer down each: two trees for each axis that is a ring, one
// for each other. Reduce comes up the same trees.
//
// Think of a rank by its offsets from the root, each the shorter way, and call S the set of axes along which it has one. Of an axis in S
// one link arrives from nearer the root, and on a ring another from farther. Tree (a, +) reaches a rank
//   whose offset along a is 0: from the place after the root's, along a;
//   whose offset along a is above 0: from nearer along f(a), the axis of S that follows a, cyclically (a itself, if it is alone). f is a
//   permutation of S, so every tree comes by another link;
//   whose offset along a is below 0: from farther along a.
// Whoever goes back along the tree so first comes round to the side above, then to the root's place on all other axes, and at last on a: he
// arrives. Tree (a, -) is its mirror image. On a line, both sides are the one tree's, which reaches each from nearer.
//
// Steps: at most sum floor(k_i/2) + k/2 of the longest ring for the first slice (mesh: sum(k_i-1) + 1), then 1 for each; with e links of
// the rank that has fewest, 2D on a torus, D on a mesh, a link carries N/e bytes: the least possible where links are alike. N = bytes of
// the buffer. Any shape, any root; commutative reductions. Every child is served by a channel of its own, so that all a rank's links are
// busy.
//
// Johnsson, Ho: "Optimum broadcasting and personalized communication in hypercubes", IEEE Transactions on Computers 1989, whose trees of
// the hypercube these are, with its links lengthened into lines; derived here from them: the rings, which are gone round half by half.
#include <algorithm>
#include <vector>

#include "algorithms/algorithm.h"
#include "algorithms/channel_share.h"
#include "algorithms/strands.h"
#include "algorithms/torus_axes.h"
#include "algorithms/tree.h"
#include "plan/builder.h"

namespace tutti {
namespace {

// Trees of an axis.
int ways(const TorusAxes& axes, int d) {
  return axes.ring(d) ? 2 : 1;
}

int max_channels(const PlanRequest& request, const Topology& topology) {
  const bool can = request.collective == Collective::kBroadcast || (request.collective == Collective::kReduce && !request.rank_ordered);
  if (!can || !topology.torus()) return 0;
  const TorusAxes axes(topology);
  int trees = 0;
  for (int d = 0; d < axes.dimensions(); ++d) trees += ways(axes, d);
  return std::clamp(trees, 1, kMostShares);
}

class TorusTree {
 public:
  TorusTree(const TorusAxes& axes, int root, int number) : axes_(axes), root_(root) {
    for (; number >= ways(axes, axis_); ++axis_) number -= ways(axes, axis_);
    direction_ = number == 0 ? 1 : -1;
  }

  // The children's subtrees are the deeper, the earlier they come.
  TreeNode node(int rank) const {
    TreeNode node{.parent = parent(rank), .children = {}};
    const int dimensions = axes_.dimensions();
    for (int i = 0; i < dimensions; ++i) {
      const int d = (axis_ + dimensions - i) % dimensions;
      for (const int step : {direction_, -direction_}) {
        if (!has_neighbour(rank, d, step)) continue;
        const int child = axes_.moved(rank, d, step);
        if (parent(child) == rank) node.children.push_back(child);
      }
    }
    return node;
  }

 private:
  bool has_neighbour(int rank, int d, int step) const {
    const int place = axes_.place(rank, d) + step;
    return axes_.ring(d) || (place >= 0 && place < axes_.size(d));
  }

  // From the root's place, the shorter way.
  int offset(int rank, int d) const {
    const int k = axes_.size(d), difference = axes_.place(rank, d) - axes_.place(root_, d);
    return axes_.ring(d) ? (difference + k + k / 2) % k - k / 2 : difference;
  }

  int parent(int rank) const {
    if (rank == root_) return kNoPeer;
    const int away = offset(rank, axis_);
    if (away == 0) return axes_.moved(rank, axis_, has_neighbour(rank, axis_, direction_) ? direction_ : -direction_);
    if (axes_.ring(axis_) && (away > 0) != (direction_ > 0)) return axes_.moved(rank, axis_, -direction_);
    int d = axis_;
    do d = (d + 1) % axes_.dimensions();
    while (offset(rank, d) == 0);
    return axes_.moved(rank, d, offset(rank, d) > 0 ? -1 : 1);
  }

  const TorusAxes& axes_;
  const int root_;
  int axis_ = 0;
  int direction_ = 1;
};

Program broadcast(const PlanRequest& request, const PlanChoice& choice, const TorusAxes& axes, int rank) {
  const int width = std::max(2, 2 * axes.dimensions() - 1);  // no rank has more children: the root at most two
  PlanChoice all = choice;
  all.channels = choice.channels * width;
  ProgramBuilder builder(request, all, rank);
  builder.largest_message(1, static_cast<uint32_t>(choice.channels));
  // The children are different peers: they share FIFOs, of channels whose indices are below 8.
  for (int c = 0; c < all.channels; ++c) builder.use_fifos(c, c / width);
  Strands strands(builder.take());
  for (int tree = 0; tree < choice.channels; ++tree) {
    const TreeNode node = TorusTree(axes, request.root, tree).node(rank);
    const ChannelShare share{tree, choice.channels};
    const Region out = share.of(Buffer::kOutput);
    Instruction first{.recv_peer = node.parent, .dst = out};
    if (!node.children.empty()) first.send_peer = node.children.front();
    if (node.parent == kNoPeer) first.src = share.of(Buffer::kInput);
    const StepRef arrived = strands.add(tree * width, first);
    for (size_t child = 1; child < node.children.size(); ++child) {
      strands.add(tree * width + static_cast<int>(child), {.send_peer = node.children[child], .src = out}, {arrived});
    }
  }
  return strands.take();
}

Program generate(const PlanRequest& request, const PlanChoice& choice, const Topology& topology, int rank) {
  if (request.nranks == 1) return copy_alone(request, choice);
  const TorusAxes axes(topology);
  if (request.collective == Collective::kBroadcast) return broadcast(request, choice, axes, rank);
  ProgramBuilder builder(request, choice, rank);
  builder.largest_message(1, static_cast<uint32_t>(choice.channels));
  for (int tree = 0; tree < choice.channels; ++tree) {
    reduce_to_root(builder, {tree, choice.channels}, request, rank, TorusTree(axes, request.root, tree).node(rank));
  }
  return builder.take();
}

}  // namespace

extern const Algorithm torus_broadcast_algorithm = {
    "torus_broadcast",
    "trees that share no link, 2D on a torus, D on a mesh: half a ring's steps more than across, pipelined; N/(2D) or N/D bytes a link",
    max_channels, generate};

}  // namespace tutti
