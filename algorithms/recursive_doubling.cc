// Recursive doubling: in round k a rank exchanges all that it has with the rank at distance 2^k, so that what it has doubles.
//
// All-reduce: log2 n steps; a rank sends and reduces log2 n N bytes, N = bytes of the buffer. Where n is no power of two, neighbours are
// paired first: 2 steps more, of N bytes. Any n, reductions in the order of the ranks: what a rank has is the reduction of a range of
// ranks, and both partners reduce the same two operands in the same order: the same bits.
// All-gather: log2 n steps, (n-1)/n N bytes sent, N = bytes of all blocks, which may be uneven; n a power of two (bruck_all_gather and
// circulant do any).
// Thakur, Rabenseifner, Gropp: "Optimization of collective communication operations in MPICH", IJHPCA 2005.
#include <utility>
#include <vector>

#include "algorithms/algorithm.h"
#include "algorithms/channel_share.h"
#include "algorithms/power_of_two.h"
#include "algorithms/rounds.h"
#include "plan/builder.h"

namespace tutti {
namespace {

int max_channels(const PlanRequest& request, const Topology& /*topology*/) {
  switch (request.collective) {
    case Collective::kAllReduce: return kMostShares;
    case Collective::kAllGather: return is_power_of_two(request.nranks) ? kMostShares : 0;
    default: return 0;
  }
}

// Each reduction's result goes straight to the next partner, the last to the rank that this one stands in for.
void all_reduce(ProgramBuilder::Channel channel, const ChannelShare& share, int nranks, int rank) {
  const PowerOfTwoFold fold(nranks, rank);
  const Region in = share.of(Buffer::kInput), out = share.of(Buffer::kOutput);
  if (fold.sits_out) {
    channel.send(rank + 1, in).recv(rank + 1, out);
    return;
  }
  const auto partner = [&](int distance) {
    if (distance == fold.size) return fold.stands_in ? rank - 1 : kNoPeer;
    return fold.rank_of(fold.index ^ distance);
  };
  if (fold.stands_in) {
    channel.recv_reduce_copy_send(rank - 1, in, out, partner(1));
  } else {
    channel.send(partner(1), in);
  }
  for (int distance = 1; distance < fold.size; distance *= 2) {
    const Region held = distance == 1 && !fold.stands_in ? in : out;
    channel.recv_reduce_copy_send(partner(distance), held, out, partner(2 * distance)).completes(2 * distance == fold.size);
    if ((fold.index & distance) == 0) channel.src_first();
  }
}

std::vector<Round> gather_rounds(int nranks, int rank) {
  std::vector<Round> rounds;
  for (int distance = 1; distance < nranks; distance *= 2) {
    const int partner = rank ^ distance;
    Round round{.to = partner, .from = partner};
    for (int i = 0; i < distance; ++i) {
      round.sent.push_back(rank ^ i);
      round.received.push_back(partner ^ i);
    }
    rounds.push_back(std::move(round));
  }
  return rounds;
}

Program generate(const PlanRequest& request, const PlanChoice& choice, const Topology& /*topology*/, int rank) {
  const int n = request.nranks;
  if (n == 1) return copy_alone(request, choice);
  if (request.collective == Collective::kAllGather) return gather_in_rounds(request, choice, rank, gather_rounds(n, rank));
  ProgramBuilder builder(request, choice, rank);
  builder.largest_message(1, static_cast<uint32_t>(choice.channels));
  for (int c = 0; c < choice.channels; ++c) all_reduce(builder.channel(c), {c, choice.channels}, n, rank);
  return builder.take();
}

}  // namespace

extern const Algorithm recursive_doubling_algorithm = {
    "recursive_doubling", "exchange at doubling distances: log2 n steps (+2 to fold); all_reduce log2 n N bytes sent, all_gather (n-1)/n N",
    max_channels, generate};

}  // namespace tutti
