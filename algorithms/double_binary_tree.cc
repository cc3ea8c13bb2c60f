// Double binary tree all-reduce: a share is reduced up a binary tree and broadcast down it. Even channels take one tree, odd channels
// another, in which (nearly) every inner rank of the first is a leaf: so every rank sends and receives about as much as any other.
//
// Steps about 2 log2 n, pipelined over slices: a share's way up and its way down are two channels, joined by `after`, so that later slices
// go up while earlier ones come down. A rank sends at most 2 N bytes over two channels, N = bytes of the buffer; one channel is one tree.
// Any n. Both trees are in order (a subtree is a range of ranks), the second is the first mirrored, or for odd n shifted by one rank.
// Shifted it is not in the order of the ranks; where that matters the second is mirrored for odd n too, at the cost of balance.
// An element is reduced by one tree and copied from its root: the same bits everywhere.
// Sanders, Speck, Träff: "Two-tree algorithms for full bandwidth broadcast, reduction and scan", Parallel Computing 2009.
#include <vector>

#include "algorithms/algorithm.h"
#include "algorithms/channel_share.h"
#include "plan/builder.h"

namespace tutti {
namespace {

int max_channels(const PlanRequest& request, const Topology& /*topology*/) {
  return request.collective == Collective::kAllReduce ? kMostShares : 0;
}

// One rank's place in a tree: `left` leads to the ranks before it, `right` to those after it. kNoPeer where there is none.
struct Place {
  int parent = kNoPeer;
  int left = kNoPeer;
  int right = kNoPeer;
};

// The in-order tree of n > 1 nodes. Node 0 is the root, with one child; the subtree of a node v > 0 whose lowest bit is b lies between
// v - b and v + b.
Place place_of_node(int nnodes, int node) {
  Place place;
  int below = 1;  // the distance to the children, at most
  if (node == 0) {
    while (2 * below < nnodes) below *= 2;
  } else {
    const int bit = node & -node;
    const int higher = (node ^ bit) | 2 * bit;
    place.parent = higher < nnodes ? higher : node ^ bit;
    below = bit / 2;
    if (below > 0) place.left = node - below;
  }
  while (below > 0 && node + below >= nnodes) below /= 2;
  if (below > 0) place.right = node + below;
  return place;
}

Place place_of_rank(const PlanRequest& request, int channel, int rank) {
  const int n = request.nranks;
  if (channel % 2 == 0) return place_of_node(n, rank);
  const bool mirrored = n % 2 == 0 || request.rank_ordered;
  const Place place = place_of_node(n, mirrored ? n - 1 - rank : (rank + n - 1) % n);
  const auto rank_of = [&](int node) { return node == kNoPeer ? kNoPeer : mirrored ? n - 1 - node : (node + 1) % n; };
  if (mirrored) return {rank_of(place.parent), rank_of(place.right), rank_of(place.left)};
  return {rank_of(place.parent), rank_of(place.left), rank_of(place.right)};
}

// Reduces towards the root, which sends the result back at once.
void reduce_up(ProgramBuilder::Channel channel, const ChannelShare& share, const Place& place) {
  const Region in = share.of(Buffer::kInput), out = share.of(Buffer::kOutput);
  if (place.left == kNoPeer && place.right == kNoPeer) {
    channel.send(place.parent, in);
    return;
  }
  const bool two_children = place.left != kNoPeer && place.right != kNoPeer;
  if (two_children) channel.recv_reduce_copy(place.left, in, out);
  const int from = place.right != kNoPeer ? place.right : place.left;
  const Region held = two_children ? out : in;
  if (place.parent == kNoPeer) {
    channel.recv_reduce_copy_send(from, held, out, from).completes();
  } else {
    channel.recv_reduce_send(from, held, place.parent);
  }
  if (from == place.right) channel.src_first();
}

// Every rank but the root takes the result and hands it to its children.
void broadcast_down(ProgramBuilder::Channel channel, const ChannelShare& share, const Place& place) {
  if (place.parent == kNoPeer) return;
  const Region out = share.of(Buffer::kOutput);
  const int first = place.right != kNoPeer ? place.right : place.left;
  channel.recv_copy_send(place.parent, out, first);
  if (place.left != kNoPeer && place.left != first) channel.send(place.left, out);
}

Program generate(const PlanRequest& request, const PlanChoice& choice, const Topology& /*topology*/, int rank) {
  if (request.nranks == 1) return copy_alone(request, choice);
  ProgramBuilder builder = two_channels_a_share(request, choice, rank);
  builder.largest_message(1, static_cast<uint32_t>(choice.channels));
  for (int c = 0; c < choice.channels; ++c) {
    const ChannelShare share{c, choice.channels};
    const Place place = place_of_rank(request, c, rank);
    reduce_up(builder.channel(c), share, place);
    broadcast_down(builder.channel(choice.channels + c), share, place);
  }
  Program program = builder.take();
  for (int c = 0; c < choice.channels; ++c) {
    // The output may be the input, and holds partial results: it is free when this rank has sent its slice up.
    auto& down = program.channels[static_cast<size_t>(choice.channels + c)];
    if (down.empty()) continue;
    down.front().after_channel = c;
    down.front().after_index = static_cast<int>(program.channels[static_cast<size_t>(c)].size()) - 1;
  }
  return program;
}

}  // namespace

extern const Algorithm double_binary_tree_algorithm = {
    "double_binary_tree", "up and down two binary trees, pipelined: about 2 log2 n steps, at most 2 N bytes sent", max_channels, generate};

}  // namespace tutti
