// Pairwise all-to-all: in step s every rank sends a block to the rank s after it and receives one from the rank s before it, so that
// in each step every rank is sender and receiver once. A share's sends and its receives are two channels on the same FIFOs: neither
// direction waits for the other, and a step for a slow rank delays others only once its FIFO is full.
//
// Steps n-1; a rank sends (n-1)/n N bytes, N = bytes of its input: the least possible. Any n; uneven blocks too: there is no scratch.
// Thakur, Rabenseifner, Gropp: "Optimization of collective communication operations in MPICH", 2005.
#include "algorithms/algorithm.h"
#include "algorithms/channel_share.h"
#include "plan/builder.h"

namespace tutti {
namespace {

int max_channels(const PlanRequest& request, const Topology& /*topology*/) {
  return request.collective == Collective::kAllToAll ? kMostShares : 0;
}

Program generate(const PlanRequest& request, const PlanChoice& choice, const Topology& /*topology*/, int rank) {
  const int n = request.nranks;
  if (n == 1) return copy_alone(request, choice);
  ProgramBuilder builder = two_channels_a_share(request, choice, rank);
  builder.largest_message(1, static_cast<uint32_t>(choice.channels));
  for (int c = 0; c < choice.channels; ++c) {
    const ChannelShare share{c, choice.channels};
    auto sends = builder.channel(c), receives = builder.channel(choice.channels + c);
    for (int step = 1; step < n; ++step) {
      const int to = (rank + step) % n, from = (rank + n - step) % n;
      sends.send(to, share.of(Buffer::kInput, to));
      receives.recv(from, share.of(Buffer::kOutput, from));
    }
    sends.copy(share.of(Buffer::kInput, rank), share.of(Buffer::kOutput, rank));
  }
  return builder.take();
}

}  // namespace

extern const Algorithm pairwise_algorithm = {
    "pairwise", "a block to the rank s after, one from the rank s before: n-1 steps, (n-1)/n N bytes sent", max_channels, generate};

}  // namespace tutti
