// Rings laid over the graph: as ring.cc, but neighbours are close to each other on the machine, and there are as many rings, with parts of
// the data in proportion to what their links give, as it takes to fill the links (topology/ring_packing.h): the edge-disjoint rings
// of a full mesh, rings that enter and leave every island by another NIC, rings along the axes of a torus that nobody declared.
//
// All-reduce: steps 2(n-1); a rank sends 2(n-1)/n N bytes, N = bytes of the buffer. All-gather, reduce-scatter: steps n-1, (n-1)/n N bytes,
// N = bytes of all blocks; blocks may be uneven. Any n; commutative reductions. Every chunk is summed once, by one chain of ranks, and
// copied from there: the same bits everywhere.
// `channels`: lanes of every ring, which carry equal parts; a slice of one is under way while another's waits for its neighbour.
// Patarasuk, Yuan: "Bandwidth optimal all-reduce algorithms for clusters of workstations", JPDC 2009; Lucas, Récréations mathématiques II,
// 1883 (Walecki's rings of a full mesh, which the packing finds for itself).
#include <algorithm>
#include <vector>

#include "algorithms/algorithm.h"
#include "algorithms/channel_share.h"
#include "algorithms/ring_steps.h"
#include "plan/builder.h"

namespace tutti {
namespace {

int max_channels(const PlanRequest& request, const Topology& topology) {
  switch (request.collective) {
    case Collective::kAllReduce:
    case Collective::kReduceScatter:
      if (request.rank_ordered) return 0;
      break;
    case Collective::kAllGather: break;
    default: return 0;
  }
  if (topology.nranks() != request.nranks) return 0;
  return request.nranks == 1 ? 1 : Topology::kMostRingFifos / topology.rings().fifos;
}

// One rank's view of one lane of one ring.
struct LaidRing {
  const PackedRing& ring;
  uint32_t den;  // of the ring's parts
  uint32_t lane;
  uint32_t lanes;
  int nranks;
  int place;  // of this rank

  int upstream(int steps) const { return ring.order[static_cast<size_t>((place + 2 * nranks - steps) % nranks)]; }
  int next() const { return upstream(nranks - 1); }
  int previous() const { return upstream(1); }
  uint32_t width() const { return ring.end - ring.begin; }
  Region of(Buffer buffer, int block = 0) const {
    const uint32_t begin = (static_cast<uint32_t>(block) * den + ring.begin) * lanes + lane * width();
    return {buffer, begin, begin + width(), den * lanes};
  }
  Region chunk(Buffer buffer, int k) const {
    const auto chunks = static_cast<uint32_t>(nranks);
    const uint32_t begin = (ring.begin * lanes + lane * width()) * chunks + static_cast<uint32_t>(k) * width();
    return {buffer, begin, begin + width(), den * lanes * chunks};
  }
};

Program generate(const PlanRequest& request, const PlanChoice& choice, const Topology& topology, int rank) {
  const int n = request.nranks;
  if (n == 1) return copy_alone(request, choice);
  const RingPacking& packing = topology.rings();
  const int lanes = choice.channels;
  PlanChoice all = choice;
  all.channels = std::max(kMostShares, static_cast<int>(packing.rings.size()) * lanes);
  ProgramBuilder builder(request, all, rank);
  const uint32_t chunks = request.collective == Collective::kAllReduce ? static_cast<uint32_t>(n) : 1;
  uint32_t widest = 1;
  int channel = 0;
  for (const PackedRing& ring : packing.rings) {
    const auto place = std::find(ring.order.begin(), ring.order.end(), rank) - ring.order.begin();
    for (int lane = 0; lane < lanes; ++lane, ++channel) {
      builder.use_fifos(channel, ring.fifo * lanes + lane);
      const LaidRing laid{ring, packing.den, static_cast<uint32_t>(lane), static_cast<uint32_t>(lanes), n, static_cast<int>(place)};
      go_round(builder.channel(channel), request.collective, laid);
    }
    widest = std::max(widest, ring.end - ring.begin);
  }
  for (; channel < all.channels; ++channel) builder.use_fifos(channel, 0);
  builder.largest_message(widest, packing.den * static_cast<uint32_t>(lanes) * chunks);
  return builder.take();
}

}  // namespace

extern const Algorithm graph_ring_algorithm = {
    "graph_ring", "around rings laid over the graph, weighted by what their links give: steps and bytes of a ring", max_channels, generate,
    {}, true};

}  // namespace tutti
