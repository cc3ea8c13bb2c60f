// K-nomial tree: broadcast, reduce, and all-reduce as a reduce to rank 0 and a broadcast from it. A rank's children are k-1 at each level,
// served one after another: fewer levels than a binomial tree, for more messages of one rank. That wins where messages to several ranks
// overlap: tiny N, shared memory. The parameter is the radix k, from 2 on; by default 4.
//
// Levels L = ceil(log_k n), steps at most (k-1) L; all-reduce twice; one more for a reduce that must keep the order of the ranks and whose
// root is not rank 0. A rank sends at most (k-1) L N bytes, N = bytes of the buffer. Any n, any root. An all-reduce's elements are reduced
// at rank 0 and copied from there: the same bits everywhere.
// Wilkins et al.: "Generalized collective algorithms for the exascale era", IEEE Cluster 2023.
#include <algorithm>

#include "algorithms/algorithm.h"
#include "algorithms/channel_share.h"
#include "algorithms/tree.h"
#include "plan/builder.h"

namespace tutti {
namespace {

constexpr int kDefaultRadix = 4;

int max_channels(const PlanRequest& request, const Topology& /*topology*/) {
  switch (request.collective) {
    case Collective::kAllReduce:
    case Collective::kBroadcast:
    case Collective::kReduce: return kMostShares;
    default: return 0;
  }
}

Program generate(const PlanRequest& request, const PlanChoice& choice, const Topology& /*topology*/, int rank) {
  if (request.nranks == 1) return copy_alone(request, choice);
  ProgramBuilder builder(request, choice, rank);
  builder.largest_message(1, static_cast<uint32_t>(choice.channels));
  const int radix = choice.parameter < 2 ? kDefaultRadix : std::min(choice.parameter, request.nranks);
  const auto node = [&](int root) { return k_nomial_node(radix, request.nranks, root, rank); };
  for (int c = 0; c < choice.channels; ++c) {
    const ChannelShare share{c, choice.channels};
    const Region in = share.of(Buffer::kInput), out = share.of(Buffer::kOutput);
    if (request.collective == Collective::kBroadcast) {
      broadcast_down(builder.channel(c), node(request.root), in, out);
    } else if (request.collective == Collective::kReduce) {
      reduce_to_root(builder, share, request, rank, node(reduction_tree_root(request)));
    } else {
      reduce_up(builder.channel(c), node(0), in, out, rank == 0);
      broadcast_down(builder.channel(c), node(0), out, out);
    }
  }
  return builder.take();
}

}  // namespace

extern const Algorithm k_nomial_algorithm = {
    "k_nomial", "a tree of radix k, the parameter (4): at most (k-1) ceil(log_k n) steps, as many times N bytes sent; all-reduce twice",
    max_channels, generate,
    {8, 16}};

}  // namespace tutti
