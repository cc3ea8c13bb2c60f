// Pipelined chain: broadcast hands the buffer from rank to rank, away from the root; reduce comes the other way. A program runs once a
// slice, so a rank works on a slice while its neighbour has the one before. Even channels run up the ranks, odd channels down, so both
// directions of every link carry data.
//
// Steps n-1 for the first slice, 1 for every further one; a rank sends at most N bytes, N = bytes of the buffer: the least possible, so
// this wins where slices are many. Any n, any root. A reduce that must keep the order of the ranks goes up to rank 0 on all channels and
// from there to the root: one step more.
// "Pipeline" in Pješivac-Grbović et al.: "Performance analysis of MPI collective operations", Cluster Computing 2007.
#include "algorithms/algorithm.h"
#include "algorithms/channel_share.h"
#include "algorithms/tree.h"
#include "plan/builder.h"

namespace tutti {
namespace {

int max_channels(const PlanRequest& request, const Topology& /*topology*/) {
  return request.collective == Collective::kBroadcast || request.collective == Collective::kReduce ? kMostShares : 0;
}

// `direction` leads away from the root: 1, or nranks - 1 for down the ranks.
TreeNode chain_node(int nranks, int root, int direction, int rank) {
  const int next = (rank + direction) % nranks, previous = (rank + nranks - direction) % nranks;
  TreeNode node;
  if (rank != root) node.parent = previous;
  if (next != root) node.children = {next};
  return node;
}

Program generate(const PlanRequest& request, const PlanChoice& choice, const Topology& /*topology*/, int rank) {
  const int n = request.nranks;
  if (n == 1) return copy_alone(request, choice);
  ProgramBuilder builder(request, choice, rank);
  builder.largest_message(1, static_cast<uint32_t>(choice.channels));
  for (int c = 0; c < choice.channels; ++c) {
    const ChannelShare share{c, choice.channels};
    const int direction = c % 2 == 0 || request.rank_ordered ? 1 : n - 1;
    if (request.collective == Collective::kBroadcast) {
      broadcast_down(builder.channel(c), chain_node(n, request.root, direction, rank), share.of(Buffer::kInput), share.of(Buffer::kOutput));
    } else {
      reduce_to_root(builder, share, request, rank, chain_node(n, reduction_tree_root(request), direction, rank));
    }
  }
  return builder.take();
}

}  // namespace

extern const Algorithm chain_algorithm = {
    "chain", "from neighbour to neighbour, pipelined over slices: n-1 steps for the first, 1 for each further; N bytes sent", max_channels,
    generate};

}  // namespace tutti
