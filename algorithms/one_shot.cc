// One-shot mesh: every rank sends straight to every other what that one needs. The least latency where everybody reaches everybody; for
// all-gather and reduce-scatter also the fewest bytes, and the default in shared memory.
//
// Steps 1, any n, reductions in the order of the ranks. A rank sends
//   all-reduce: its whole input to everybody, (n-1) N bytes, and folds all inputs from left to right, as every other rank does: same bits;
//   all-gather: its block to everybody, (n-1)/n N bytes, N = bytes of all blocks; blocks may be uneven;
//   reduce-scatter: block j to rank j, (n-1)/n N bytes; blocks may be uneven.
// Rank r begins with rank r+1 and expects rank r-1 first, so that not all go to one rank at once.
// Known as "flat tree" or "one-shot"; e.g. Thakur, Rabenseifner, Gropp: "Optimization of collective communication operations in
// MPICH", 2005 (all-to-all based all-reduce for tiny messages; pairwise exchange).
#include "algorithms/algorithm.h"
#include "algorithms/channel_share.h"
#include "algorithms/mesh.h"
#include "plan/builder.h"

namespace tutti {
namespace {

int max_channels(const PlanRequest& request, const Topology& /*topology*/) {
  switch (request.collective) {
    case Collective::kAllReduce:
    case Collective::kAllGather:
    case Collective::kReduceScatter: return kMostShares;
    default: return 0;
  }
}

// Folds the ranks' inputs from left to right. What comes before this rank's own input is held in scratch until it is used, because the
// output may be the input.
void reduce_in_rank_order(ProgramBuilder::Channel channel, const ChannelShare& share, int nranks, int rank) {
  const Region in = share.of(Buffer::kInput), out = share.of(Buffer::kOutput), prefix = share.of(Buffer::kScratch);
  const int last = nranks - 1;
  if (rank == 1) {
    channel.recv_reduce_copy(0, in, out).completes(nranks == 2);
  } else if (rank >= 2) {
    channel.recv(0, prefix);
    for (int from = 1; from < rank; ++from) channel.recv_reduce_copy(from, prefix, prefix).src_first();
    channel.reduce(in, prefix).completes(rank == last);
    if (rank == last) channel.copy(prefix, out);
  }
  for (int from = rank + 1; from <= last; ++from) {
    const Region held = from > rank + 1 || rank == 1 ? out : rank == 0 ? in : prefix;
    channel.recv_reduce_copy(from, held, out).src_first().completes(from == last);
  }
}

void all_reduce(ProgramBuilder::Channel channel, const ChannelShare& share, int nranks, int rank) {
  for (int hop = 1; hop < nranks; ++hop) channel.send((rank + hop) % nranks, share.of(Buffer::kInput));
  reduce_in_rank_order(channel, share, nranks, rank);
}

void all_gather(ProgramBuilder::Channel channel, const ChannelShare& share, int nranks, int rank) {
  const Region in = share.of(Buffer::kInput);
  channel.copy_send(in, share.of(Buffer::kOutput, rank), (rank + 1) % nranks);
  for (int hop = 2; hop < nranks; ++hop) channel.send((rank + hop) % nranks, in);
  for (int hop = 1; hop < nranks; ++hop) {
    const int from = (rank + nranks - hop) % nranks;
    channel.recv(from, share.of(Buffer::kOutput, from));
  }
}

void reduce_scatter(ProgramBuilder::Channel channel, const ChannelShare& share, int nranks, int rank) {
  for (int hop = 1; hop < nranks; ++hop) {
    const int to = (rank + hop) % nranks;
    channel.send(to, share.of(Buffer::kInput, to));
  }
  fold_outwards(channel, nranks, rank, share.of(Buffer::kInput, rank), share.of(Buffer::kOutput), kNoPeer);
}

Program generate(const PlanRequest& request, const PlanChoice& choice, const Topology& /*topology*/, int rank) {
  const int n = request.nranks;
  if (n == 1) return copy_alone(request, choice);
  ProgramBuilder builder(request, choice, rank);
  builder.largest_message(1, static_cast<uint32_t>(choice.channels));
  for (int c = 0; c < choice.channels; ++c) {
    const ChannelShare share{c, choice.channels};
    switch (request.collective) {
      case Collective::kAllGather: all_gather(builder.channel(c), share, n, rank); break;
      case Collective::kReduceScatter: reduce_scatter(builder.channel(c), share, n, rank); break;
      default: all_reduce(builder.channel(c), share, n, rank); break;
    }
  }
  if (request.collective == Collective::kAllReduce && rank >= 2) builder.use_scratch(1);
  return builder.take();
}

}  // namespace

extern const Algorithm one_shot_algorithm = {
    "one_shot", "everybody straight to everybody: 1 step; all_reduce (n-1) N bytes sent, else (n-1)/n N", max_channels, generate};

}  // namespace tutti
