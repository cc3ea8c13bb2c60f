// Bruck's all-gather: in round k a rank sends all blocks that it has, at most 2^k, to the rank 2^k before it. Any n.
//
// Steps ceil(log2 n); a rank sends (n-1)/n N bytes, N = bytes of all blocks, which may be uneven. The original gathers in rotated order, so
// that a round is one message, and rotates at the end; here every block is a message of its own, put where it belongs, so nothing is
// rotated and there is no scratch. It differs from circulant by its distances: powers of two, and a last round that is not full.
// Bruck, Ho, Kipnis, Upfal, Weathersby: "Efficient algorithms for all-to-all communications in multiport message-passing systems",
// IEEE TPDS 1997.
#include <vector>

#include "algorithms/algorithm.h"
#include "algorithms/channel_share.h"
#include "algorithms/rounds.h"

namespace tutti {
namespace {

int max_channels(const PlanRequest& request, const Topology& /*topology*/) {
  return request.collective == Collective::kAllGather ? kMostShares : 0;
}

Program generate(const PlanRequest& request, const PlanChoice& choice, const Topology& /*topology*/, int rank) {
  const int n = request.nranks;
  if (n == 1) return copy_alone(request, choice);
  std::vector<int> distances;
  for (int distance = 1; distance < n; distance *= 2) distances.push_back(distance);
  distances.push_back(n);
  return gather_in_rounds(request, choice, rank, circulant_gather_rounds(n, rank, distances));
}

}  // namespace

extern const Algorithm bruck_all_gather_algorithm = {
    "bruck_all_gather", "all it has to the rank 2^k before: ceil(log2 n) steps, (n-1)/n N bytes sent; any n", max_channels, generate};

}  // namespace tutti
