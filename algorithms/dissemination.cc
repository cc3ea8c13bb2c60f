// Dissemination barrier: in round k every rank signals the rank 2^k after it and waits for the rank 2^k before it. After round k it has
// heard, directly or not, of the 2^(k+1) - 1 ranks before it; after the last, of all.
//
// Steps ceil(log2 n); a rank sends as many tokens. Any n. The input is the token; the output receives the others'.
// Hensgen, Finkel, Manber: "Two algorithms for barrier synchronization", International Journal of Parallel Programming 1988.
#include "algorithms/algorithm.h"
#include "plan/builder.h"

namespace tutti {
namespace {

int max_channels(const PlanRequest& request, const Topology& /*topology*/) {
  return request.collective == Collective::kBarrier ? 1 : 0;
}

Program generate(const PlanRequest& request, const PlanChoice& choice, const Topology& /*topology*/, int rank) {
  ProgramBuilder builder(request, choice, rank);
  const int n = request.nranks;
  auto channel = builder.channel(0);
  for (int hop = 1; hop < n; hop *= 2) {
    channel.send((rank + hop) % n, input(0, 1, 1));
    channel.recv((rank + n - hop) % n, output(0, 1, 1));
  }
  return builder.take();
}

}  // namespace

extern const Algorithm dissemination_algorithm = {
    "dissemination", "a token to the rank 2^k after: ceil(log2 n) steps, as many tokens sent; any n", max_channels, generate};

}  // namespace tutti
