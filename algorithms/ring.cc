// Ring: every rank receives from one neighbour and sends to the other. All-reduce is reduce-scatter around the ring, then all-gather around
// it, fused so that a rank that completes a chunk's sum writes and forwards it in one step. Even channels run up the ranks, odd channels
// down, so both directions of every link carry data.
//
// All-reduce: steps 2(n-1); a rank sends 2(n-1)/n N bytes, N = bytes of the buffer. All-gather, reduce-scatter: steps n-1, (n-1)/n N bytes,
// N = bytes of all blocks; blocks may be uneven. Any n; commutative reductions. Every chunk is summed once, by one chain of ranks, and
// copied from there: the same bits everywhere.
// Patarasuk, Yuan: "Bandwidth optimal all-reduce algorithms for clusters of workstations", JPDC 2009.
#include "algorithms/algorithm.h"
#include "algorithms/channel_share.h"
#include "algorithms/ring_steps.h"
#include "plan/builder.h"

namespace tutti {
namespace {

int max_channels(const PlanRequest& request, const Topology& /*topology*/) {
  switch (request.collective) {
    case Collective::kAllReduce:
    case Collective::kReduceScatter: return request.rank_ordered ? 0 : kMostShares;
    case Collective::kAllGather: return kMostShares;
    default: return 0;
  }
}

// One rank's view of one ring.
struct Ring {
  ChannelShare share;
  int nranks;
  int rank;
  int direction;  // 1, or nranks - 1 for a ring that runs down the ranks

  int next() const { return (rank + direction) % nranks; }
  int upstream(int steps) const { return (rank + (nranks - direction) * (steps % nranks)) % nranks; }
  int previous() const { return upstream(1); }
  Region chunk(Buffer buffer, int k) const { return share.chunks_of(buffer, k, k + 1, nranks); }
  Region of(Buffer buffer, int block = 0) const { return share.of(buffer, block); }
};

Program generate(const PlanRequest& request, const PlanChoice& choice, const Topology& /*topology*/, int rank) {
  const int n = request.nranks;
  if (n == 1) return copy_alone(request, choice);
  ProgramBuilder builder(request, choice, rank);
  const bool chunked = request.collective == Collective::kAllReduce;
  builder.largest_message(1, static_cast<uint32_t>(chunked ? n * choice.channels : choice.channels));
  for (int c = 0; c < choice.channels; ++c) {
    const Ring ring{{c, choice.channels}, n, rank, c % 2 == 0 ? 1 : n - 1};
    go_round(builder.channel(c), request.collective, ring);
  }
  return builder.take();
}

}  // namespace

extern const Algorithm ring_algorithm = {
    "ring", "around rings, both ways: n-1 steps, all_reduce 2(n-1); (n-1)/n N bytes sent, all_reduce 2(n-1)/n N", max_channels, generate};

}  // namespace tutti
