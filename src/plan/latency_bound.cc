// The latencies of a network that bind however few the bytes.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <queue>

#include "plan/bound.h"
#include "plan/cuts.h"

namespace tutti {
namespace {

constexpr int kMostForAllPairs = 64;

// Latencies from a vertex to all (or, turned round, from all to it). With `nearest`, only as far as the first other rank.
class Distances {
 public:
  explicit Distances(const Topology& topology) : network_(topology.network()), is_rank_(static_cast<size_t>(network_.vertices()), 0) {
    for (int rank = 0; rank < network_.nranks(); ++rank) is_rank_[network_.vertex_of_rank(rank)] = 1;
  }

  double farthest(int rank, bool turned) const {
    double most = 0;
    walk(rank, turned, [&](uint32_t, double us) {
      most = us;  // ranks come in the order of their distance
      return true;
    });
    return most;
  }
  double nearest(int rank) const {
    double least = std::numeric_limits<double>::infinity();
    walk(rank, false, [&](uint32_t, double us) {
      least = us;
      return false;
    });
    return least;
  }

 private:
  template <class Visit>
  void walk(int rank, bool turned, Visit visit) const {
    const uint32_t start = network_.vertex_of_rank(rank);
    std::vector<double> us(is_rank_.size(), std::numeric_limits<double>::infinity());
    using Entry = std::pair<double, uint32_t>;
    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> frontier;
    us[start] = 0;
    frontier.push({0, start});
    while (!frontier.empty()) {
      const auto [at, vertex] = frontier.top();
      frontier.pop();
      if (at > us[vertex]) continue;
      if (vertex != start && is_rank_[vertex] != 0 && !visit(vertex, at)) return;
      for (const uint32_t e : turned ? network_.in(vertex) : network_.out(vertex)) {
        const Edge& edge = network_.edges()[e];
        const uint32_t to = turned ? edge.from : edge.to;
        if (at + edge.latency_us >= us[to]) continue;
        us[to] = at + edge.latency_us;
        frontier.push({us[to], to});
      }
    }
  }

  const Network& network_;
  std::vector<uint8_t> is_rank_;
};

struct Latencies {
  double nearest = 0;   // of all pairs
  double farthest = 0;  // of all pairs
};

// Of many ranks, one of each kind: ranks of one kind see equal distances.
Latencies latencies(const Topology& topology) {
  const int n = topology.nranks();
  Latencies result;
  if (n < 2) return result;
  const Distances distances(topology);
  std::vector<int> ranks;
  if (n <= kMostForAllPairs) {
    for (int rank = 0; rank < n; ++rank) ranks.push_back(rank);
  } else {
    const std::vector<int> kinds = kinds_of_ranks(topology, -1);
    std::vector<uint8_t> seen(static_cast<size_t>(n), 0);
    for (int rank = 0; rank < n; ++rank) {
      uint8_t& one = seen[static_cast<size_t>(kinds[static_cast<size_t>(rank)])];
      if (one == 0) ranks.push_back(rank);
      one = 1;
    }
  }
  result.nearest = std::numeric_limits<double>::infinity();
  for (const int rank : ranks) result.nearest = std::min(result.nearest, distances.nearest(rank));
  // The farthest of some is a bound as well; of a mesh the corners, which are kinds of their own, come first and last.
  constexpr size_t kMostSearches = 512;
  for (size_t i = 0; i < ranks.size(); i += 1 + ranks.size() / kMostSearches) {
    result.farthest = std::max(result.farthest, distances.farthest(ranks[i], false));
  }
  return result;
}

// When the last of n ranks can know what one knew at first: each that knows tells another every kInjectionUs, which takes `latency`.
double spreading_us(int n, double latency) {
  std::map<double, double> arriving{{0, 1}};  // when, how many
  double know = 0;
  for (;;) {
    const auto [now, count] = *arriving.begin();
    arriving.erase(arriving.begin());
    know += count;
    if (know >= n) return now;
    // To the nanosecond, downwards: equal times fall together.
    const auto at = [](double us) { return std::floor(us * 1000 + 1e-6) / 1000; };
    arriving[at(now + latency)] += count;                    // the newly told begin
    if (now > 0) arriving[at(now + kInjectionUs)] += count;  // those who told them go on
  }
}

}  // namespace

double latency_yardstick_us(const Topology& topology) {
  const int n = topology.nranks();
  if (n < 2) return 0;
  const Latencies pairs = latencies(topology);
  int ports = 1;
  for (int rank = 0; rank < n; ++rank) {
    int links = 0;
    for (const uint32_t e : topology.network().out(topology.network().vertex_of_rank(rank))) links += topology.graph().links[e].count;
    ports = std::max(ports, links);
  }
  int rounds = 0;
  for (int64_t reached = 1; reached < n; reached *= ports + 1) ++rounds;
  return std::max(rounds * pairs.nearest, pairs.farthest);
}

namespace {

double bound_of(const Topology& topology, Collective collective, int root, const Latencies& pairs) {
  const int n = topology.nranks();
  switch (collective) {
    case Collective::kSendRecv: return 0;
    case Collective::kReduce:
    case Collective::kGather: return Distances(topology).farthest(root, true);
    case Collective::kBroadcast:
    case Collective::kScatter: return std::max(Distances(topology).farthest(root, false), spreading_us(n, pairs.nearest));
    default: return std::max(pairs.farthest, spreading_us(n, pairs.nearest));
  }
}

}  // namespace

double latency_bound_us(const Topology& topology, Collective collective, int root) {
  if (topology.nranks() < 2) return 0;
  return bound_of(topology, collective, root, latencies(topology));
}

Bound lower_bound(const Topology& topology, Collective collective, double bytes, int root) {
  Bound bound;
  if (topology.nranks() < 2 || collective == Collective::kSendRecv) return bound;
  if (bytes <= 0 && collective != Collective::kBarrier) return bound;
  const Latencies pairs = latencies(topology);
  const TransferBound transfer = transfer_bound(topology, collective, root);
  bound.latency_us = bound_of(topology, collective, root, pairs);
  bound.first_us = pairs.nearest;
  bound.transfer_us = transfer.us_per_byte * bytes;
  bound.search = transfer.search;
  bound.time_us = std::max(bound.latency_us, bound.first_us + bound.transfer_us);
  bound.cut = bound.latency_us > bound.first_us + bound.transfer_us ? "latency" : transfer.cut;
  return bound;
}

}  // namespace tutti
