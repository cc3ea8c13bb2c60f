// Linear (flat): the root exchanges with every other rank itself. The least latency for few ranks, or where everybody reaches everybody
// and the messages are tiny; beyond, the root is the bottleneck.
//
// Steps 1, of n-1 messages that the root handles one after another; N = bytes of the buffer at the root. Broadcast and
// reduce: the root sends or receives (n-1) N bytes; gather and scatter: (n-1)/n N, which is the least possible.
// Any n, any root. The root reduces from its own rank outwards, always a range of neighbours: good where the order of the ranks matters.
// Gather and scatter take uneven blocks: there is no scratch.
// "Flat tree" in Pješivac-Grbović et al.: "Performance analysis of MPI collective operations", Cluster Computing 2007.
#include "algorithms/algorithm.h"
#include "algorithms/channel_share.h"
#include "algorithms/mesh.h"
#include "plan/builder.h"

namespace tutti {
namespace {

int max_channels(const PlanRequest& request, const Topology& /*topology*/) {
  return has_root(request.collective) ? kMostShares : 0;
}

// The others in turn from the root's next neighbour, so that roots that follow each other do not all begin with rank 0.
void at_root(ProgramBuilder::Channel channel, const ChannelShare& share, const PlanRequest& request) {
  const int n = request.nranks, root = request.root;
  const Region in = share.of(Buffer::kInput), out = share.of(Buffer::kOutput);
  const auto peer = [&](int i) { return (root + i) % n; };
  switch (request.collective) {
    case Collective::kBroadcast:
      for (int i = 1; i < n; ++i) channel.send(peer(i), in);
      channel.copy(in, out);
      break;
    case Collective::kReduce: fold_outwards(channel, n, root, in, out, kNoPeer); break;
    case Collective::kGather:
      channel.copy(in, share.of(Buffer::kOutput, root));
      for (int i = 1; i < n; ++i) channel.recv(peer(i), share.of(Buffer::kOutput, peer(i)));
      break;
    case Collective::kScatter:
      for (int i = 1; i < n; ++i) channel.send(peer(i), share.of(Buffer::kInput, peer(i)));
      channel.copy(share.of(Buffer::kInput, root), out);
      break;
    default: break;
  }
}

Program generate(const PlanRequest& request, const PlanChoice& choice, const Topology& /*topology*/, int rank) {
  if (request.nranks == 1) return copy_alone(request, choice);
  ProgramBuilder builder(request, choice, rank);
  builder.largest_message(1, static_cast<uint32_t>(choice.channels));
  const bool root_sends = request.collective == Collective::kBroadcast || request.collective == Collective::kScatter;
  for (int c = 0; c < choice.channels; ++c) {
    const ChannelShare share{c, choice.channels};
    auto channel = builder.channel(c);
    if (rank == request.root) {
      at_root(channel, share, request);
    } else if (root_sends) {
      channel.recv(request.root, share.of(Buffer::kOutput));
    } else {
      channel.send(request.root, share.of(Buffer::kInput));
    }
  }
  return builder.take();
}

}  // namespace

extern const Algorithm linear_algorithm = {
    "linear", "the root with each of the others: 1 step; the root sends or receives (n-1) N bytes, gather and scatter (n-1)/n N",
    max_channels, generate};

}  // namespace tutti
