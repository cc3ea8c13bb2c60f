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
};

// Chunk k starts at rank k and is complete at the rank before it.
void all_reduce(ProgramBuilder::Channel channel, const Ring& ring) {
  const int n = ring.nranks, next = ring.next(), previous = ring.previous();
  const auto chunk = [&](Buffer buffer, int steps) {
    const int k = ring.upstream(steps);
    return ring.share.chunks_of(buffer, k, k + 1, n);
  };
  channel.send(next, chunk(Buffer::kInput, 0));
  for (int step = 1; step < n - 1; ++step) channel.recv_reduce_send(previous, chunk(Buffer::kInput, step), next);
  channel.recv_reduce_copy_send(previous, chunk(Buffer::kInput, n - 1), chunk(Buffer::kOutput, n - 1), next).completes();
  for (int step = 0; step < n - 2; ++step) channel.recv_copy_send(previous, chunk(Buffer::kOutput, step), next);
  channel.recv(previous, chunk(Buffer::kOutput, n - 2));
}

void all_gather(ProgramBuilder::Channel channel, const Ring& ring) {
  const int n = ring.nranks, next = ring.next(), previous = ring.previous();
  const auto block = [&](int steps) { return ring.share.of(Buffer::kOutput, ring.upstream(steps)); };
  channel.copy_send(ring.share.of(Buffer::kInput), block(0), next);
  for (int step = 1; step < n - 1; ++step) channel.recv_copy_send(previous, block(step), next);
  channel.recv(previous, block(n - 1));
}

// Block k starts at the rank after rank k and is complete at rank k.
void reduce_scatter(ProgramBuilder::Channel channel, const Ring& ring) {
  const int n = ring.nranks, next = ring.next(), previous = ring.previous();
  const auto block = [&](int steps) { return ring.share.of(Buffer::kInput, ring.upstream(steps)); };
  channel.send(next, block(1));
  for (int step = 2; step < n; ++step) channel.recv_reduce_send(previous, block(step), next);
  channel.recv_reduce_copy(previous, block(n), ring.share.of(Buffer::kOutput)).completes();
}

Program generate(const PlanRequest& request, const PlanChoice& choice, const Topology& /*topology*/, int rank) {
  const int n = request.nranks;
  if (n == 1) return copy_alone(request, choice);
  ProgramBuilder builder(request, choice, rank);
  const bool chunked = request.collective == Collective::kAllReduce;
  builder.largest_message(1, static_cast<uint32_t>(chunked ? n * choice.channels : choice.channels));
  for (int c = 0; c < choice.channels; ++c) {
    const Ring ring{{c, choice.channels}, n, rank, c % 2 == 0 ? 1 : n - 1};
    switch (request.collective) {
      case Collective::kAllGather: all_gather(builder.channel(c), ring); break;
      case Collective::kReduceScatter: reduce_scatter(builder.channel(c), ring); break;
      default: all_reduce(builder.channel(c), ring); break;
    }
  }
  return builder.take();
}

}  // namespace

extern const Algorithm ring_algorithm = {
    "ring", "around rings, both ways: n-1 steps, all_reduce 2(n-1); (n-1)/n N bytes sent, all_reduce 2(n-1)/n N", max_channels, generate};

}  // namespace tutti
