// Binomial tree: broadcast and scatter from the root, reduce and gather to it. With ranks counted from the root, the parent of a rank has
// its lowest set bit cleared, so the subtree below a rank with lowest set bit b is at most the b ranks from itself on.
//
// Steps ceil(log2 n); one more for a reduce that must keep the order of the ranks and whose root is not rank 0: it goes to rank 0 first.
// N = bytes of the buffer at the root. Broadcast and reduce: the root sends or receives ceil(log2 n) N bytes. Gather and scatter:
// (n-1)/n N, like linear, but with ceil(log2 n) ranks instead of n-1; an inner rank passes on its subtree's blocks one by one as they
// arrive, through one block of scratch. Any n, any root. Gather and scatter want even blocks: scratch does not know a block's count.
// Johnsson, Ho: "Optimum broadcasting and personalized communication in hypercubes", IEEE Transactions on Computers 1989.
#include <algorithm>
#include <bit>

#include "algorithms/algorithm.h"
#include "algorithms/channel_share.h"
#include "algorithms/tree.h"
#include "plan/builder.h"

namespace tutti {
namespace {

int max_channels(const PlanRequest& request, const Topology& /*topology*/) {
  const bool moves_blocks = request.collective == Collective::kGather || request.collective == Collective::kScatter;
  return has_root(request.collective) && !(moves_blocks && request.uneven) ? kMostShares : 0;
}

// A rank and the ranks below it, all counted from the root: [place, end).
struct Subtree {
  Subtree(const PlanRequest& request, int rank) : nranks(request.nranks), root(request.root), place((rank + nranks - root) % nranks) {
    end = place == 0 ? nranks : std::min(nranks, place + (place & -place));
  }
  int rank_of(int other_place) const { return (other_place + root) % nranks; }
  int parent() const { return rank_of(place & (place - 1)); }
  // The child whose subtree holds a place below this one.
  int child_towards(int below) const { return rank_of(place + static_cast<int>(std::bit_floor(static_cast<unsigned>(below - place)))); }

  int nranks;
  int root;
  int place;
  int end = 0;
};

// A rank hands up its subtree's blocks in the order of their places.
void gather_up(ProgramBuilder::Channel channel, const ChannelShare& share, const Subtree& tree) {
  const bool at_root = tree.place == 0;
  if (at_root) {
    channel.copy(share.of(Buffer::kInput), share.of(Buffer::kOutput, tree.root));
  } else {
    channel.send(tree.parent(), share.of(Buffer::kInput));
  }
  for (int place = tree.place + 1; place < tree.end; ++place) {
    if (at_root) {
      channel.recv(tree.child_towards(place), share.of(Buffer::kOutput, tree.rank_of(place)));
    } else {
      channel.recv_copy_send(tree.child_towards(place), share.of(Buffer::kScratch), tree.parent());
    }
  }
}

// A rank is handed its subtree's blocks in the reverse order: the largest subtree's first, its own last.
void scatter_down(ProgramBuilder::Channel channel, const ChannelShare& share, const Subtree& tree) {
  const bool at_root = tree.place == 0;
  for (int place = tree.end - 1; place > tree.place; --place) {
    if (at_root) {
      channel.send(tree.child_towards(place), share.of(Buffer::kInput, tree.rank_of(place)));
    } else {
      channel.recv_copy_send(tree.parent(), share.of(Buffer::kScratch), tree.child_towards(place));
    }
  }
  if (at_root) {
    channel.copy(share.of(Buffer::kInput, tree.root), share.of(Buffer::kOutput));
  } else {
    channel.recv(tree.parent(), share.of(Buffer::kOutput));
  }
}

void move_blocks(ProgramBuilder& builder, const ChannelShare& share, const PlanRequest& request, int rank) {
  const Subtree tree(request, rank);
  if (tree.place != 0 && tree.end > tree.place + 1) builder.use_scratch(1);
  if (request.collective == Collective::kGather) {
    gather_up(builder.channel(share.index), share, tree);
  } else {
    scatter_down(builder.channel(share.index), share, tree);
  }
}

Program generate(const PlanRequest& request, const PlanChoice& choice, const Topology& /*topology*/, int rank) {
  if (request.nranks == 1) return copy_alone(request, choice);
  ProgramBuilder builder(request, choice, rank);
  builder.largest_message(1, static_cast<uint32_t>(choice.channels));
  for (int c = 0; c < choice.channels; ++c) {
    const ChannelShare share{c, choice.channels};
    if (request.collective == Collective::kBroadcast) {
      broadcast_down(builder.channel(c), k_nomial_node(2, request.nranks, request.root, rank), share.of(Buffer::kInput),
                     share.of(Buffer::kOutput));
    } else if (request.collective == Collective::kReduce) {
      reduce_to_root(builder, share, request, rank, k_nomial_node(2, request.nranks, reduction_tree_root(request), rank));
    } else {
      move_blocks(builder, share, request, rank);
    }
  }
  return builder.take();
}

}  // namespace

extern const Algorithm binomial_algorithm = {
    "binomial", "a binomial tree: ceil(log2 n) steps; the root sends or receives ceil(log2 n) N bytes, gather and scatter (n-1)/n N",
    max_channels, generate};

}  // namespace tutti
