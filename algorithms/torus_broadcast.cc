// Broadcast on a torus or mesh along trees that share no link, a share of the buffer down each: two trees for each axis where all axes are
// rings, one for each elsewhere. Reduce comes up the same trees.
//
// Think of a rank by its places counted from the root's, and call S the set of axes along which it is not at the root's place. Tree (a, +)
// reaches it along axis f(a), in + direction: f(a) = a where a is not in S, and otherwise the axis of S that follows a, cyclically. f is a
// permutation, so every tree comes by another of the rank's links; and whoever goes back along a tree first leaves the root's place on
// axis a (if he is there), then comes to the root's place on all other axes, and at last on a: he arrives. Tree (a, -) is its
// mirror image. On a line the way is outwards from the root's place, and one step inwards to leave it.
//
// Steps at most sum(k_i-1) + 1 for the first slice, then 1 for each; a link carries N/(2D) bytes on a torus, N/D on a mesh, whose corners
// have D links: both the least possible. N = bytes of the buffer. Any shape, any root; commutative reductions. Where some axes wrap and
// others do not, the wrapping links are used as a line's are, and a cut of more links than D is not exhausted. Every child is served by
// a channel of its own, so that all a rank's links are busy.
// Johnsson, Ho: "Optimum broadcasting and personalized communication in hypercubes", IEEE Transactions on Computers 1989, whose trees of
// the hypercube these are, with its links lengthened into rings and lines.
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

int max_channels(const PlanRequest& request, const Topology& topology) {
  const bool can = request.collective == Collective::kBroadcast || (request.collective == Collective::kReduce && !request.rank_ordered);
  if (!can || !topology.torus()) return 0;
  const TorusAxes axes(topology);
  return std::max(1, std::min(kMostShares, axes.dimensions() * (axes.all_rings() ? 2 : 1)));
}

class TorusTree {
 public:
  TorusTree(const TorusAxes& axes, int root, int number)
      : axes_(axes),
        root_(root),
        rings_(axes.all_rings()),
        axis_(rings_ ? number / 2 : number),
        direction_(rings_ && number % 2 == 1 ? -1 : 1) {}

  TreeNode node(int rank) const {
    TreeNode node{.parent = parent(rank), .children = {}};
    for (int d = 0; d < axes_.dimensions(); ++d) {
      for (const int step : {direction_, -direction_}) {
        if ((rings_ && step != direction_) || !has_neighbour(rank, d, step)) continue;
        const int child = axes_.moved(rank, d, step);
        if (parent(child) == rank) node.children.push_back(child);
      }
    }
    return node;
  }

  // No rank has more.
  int most_children() const { return axes_.dimensions() * (rings_ ? 1 : 2); }

 private:
  bool has_neighbour(int rank, int d, int step) const {
    const int place = axes_.place(rank, d) + step;
    return axes_.ring(d) || (place >= 0 && place < axes_.size(d));
  }

  // From the root's place; a ring that serves as a line is cut opposite the root.
  int offset(int rank, int d) const {
    const int k = axes_.size(d), difference = axes_.place(rank, d) - axes_.place(root_, d);
    return axes_.ring(d) ? (difference + k + k / 2) % k - k / 2 : difference;
  }

  int parent(int rank) const {
    if (rank == root_) return kNoPeer;
    const int dimensions = axes_.dimensions();
    int d = axis_;
    if (offset(rank, axis_) != 0) {
      do d = (d + 1) % dimensions;
      while (offset(rank, d) == 0);
    }
    if (rings_) return axes_.moved(rank, d, -direction_);
    const int away = offset(rank, d);
    if (away != 0) return axes_.moved(rank, d, away > 0 ? -1 : 1);
    return axes_.moved(rank, d, has_neighbour(rank, d, 1) ? 1 : -1);
  }

  const TorusAxes& axes_;
  const int root_;
  const bool rings_;
  const int axis_;
  const int direction_;
};

Program broadcast(const PlanRequest& request, const PlanChoice& choice, const TorusAxes& axes, int rank) {
  const int width = TorusTree(axes, request.root, 0).most_children();
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
    "torus_broadcast", "2D trees on a torus that share no link, D on a mesh: sum(k-1) steps, pipelined; N/(2D) or N/D bytes a link",
    max_channels, generate};

}  // namespace tutti
