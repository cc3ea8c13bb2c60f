// Two-shot mesh all-reduce: each rank owns 1/n of the elements; everybody sends everybody the part that he owns, the owner reduces
// them, and sends the result to everybody. Optimal on a full mesh, and the default for all but small sizes in shared memory.
//
// Steps 2; a rank sends 2(n-1)/n N bytes and reduces (n-1)/n N, N = bytes of the buffer. Any n, reductions in the order of the ranks.
// An element is reduced by its owner alone and copied from there: the same bits everywhere.
// Rank r begins with rank r+1 in both steps, so that not all go to one rank at once; the owner's last reduction writes the output and
// sends it on while it is in registers. Several channels overlap: while one waits for its owners, another reduces.
// The direct algorithm of Patarasuk, Yuan (JPDC 2009) and Rabenseifner (2004); "two-shot" in Nvidia's and Microsoft's libraries.
#include "algorithms/algorithm.h"
#include "algorithms/channel_share.h"
#include "algorithms/mesh.h"
#include "plan/builder.h"

namespace tutti {
namespace {

int max_channels(const PlanRequest& request, const Topology& /*topology*/) {
  return request.collective == Collective::kAllReduce ? kMostShares : 0;
}

void all_reduce(ProgramBuilder::Channel channel, const ChannelShare& share, int nranks, int rank) {
  const auto owned_by = [&](Buffer buffer, int owner) { return share.chunks_of(buffer, owner, owner + 1, nranks); };
  const auto up = [&](int hop) { return (rank + hop) % nranks; };
  const auto down = [&](int hop) { return (rank + nranks - hop) % nranks; };
  for (int hop = 1; hop < nranks; ++hop) channel.send(up(hop), owned_by(Buffer::kInput, up(hop)));
  fold_outwards(channel, nranks, rank, owned_by(Buffer::kInput, rank), owned_by(Buffer::kOutput, rank), up(1));
  for (int hop = 2; hop < nranks; ++hop) channel.send(up(hop), owned_by(Buffer::kOutput, rank));
  for (int hop = 1; hop < nranks; ++hop) channel.recv(down(hop), owned_by(Buffer::kOutput, down(hop)));
}

Program generate(const PlanRequest& request, const PlanChoice& choice, const Topology& /*topology*/, int rank) {
  if (request.nranks == 1) return copy_alone(request, choice);
  ProgramBuilder builder(request, choice, rank);
  builder.largest_message(1, static_cast<uint32_t>(request.nranks * choice.channels));
  for (int c = 0; c < choice.channels; ++c) all_reduce(builder.channel(c), {c, choice.channels}, request.nranks, rank);
  return builder.take();
}

}  // namespace

extern const Algorithm two_shot_algorithm = {
    "two_shot", "everybody to the owner of each part, and the owner to everybody: 2 steps, 2(n-1)/n N bytes sent", max_channels, generate};

}  // namespace tutti
