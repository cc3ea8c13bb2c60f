// transfer_bound(). Everything is sought as the least time per byte of N; a set of ranks that is found anywhere gives a bound that holds,
// so all finds go into one maximum, and the searches differ only in how sure they are to find the greatest.
#include "plan/bound.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "plan/cuts.h"

namespace tutti {
namespace {

constexpr int kMostVerticesForFlows = 3072;
constexpr int kMostRanksForAllFlows = 64;
constexpr size_t kMostKinds = 64;
constexpr int kMostRanksForAllSets = 12;
constexpr double kUnlimited = std::numeric_limits<double>::infinity();

bool mirrored(Collective collective) {
  return collective == Collective::kReduceScatter || collective == Collective::kReduce || collective == Collective::kScatter;
}

// What has to cross the two ways of a cut with k of n ranks on one side, as a part of N; `root_inside`: the root is on that side.
struct Crossing {
  double out = 0;
  double in = 0;
};
Crossing must_cross(Collective collective, int k, int n, bool root_inside) {
  const double inside = static_cast<double>(k) / n, outside = static_cast<double>(n - k) / n;
  if (k == 0 || k == n) return {};
  switch (collective) {
    case Collective::kAllReduce: return {1, 1};
    case Collective::kAllGather: return {inside, outside};
    case Collective::kReduceScatter: return {outside, inside};  // a block of each rank on the other side, reduced on this one
    case Collective::kBroadcast: return root_inside ? Crossing{1, 0} : Crossing{0, 1};
    case Collective::kReduce: return root_inside ? Crossing{0, 1} : Crossing{1, 0};
    case Collective::kGather: return root_inside ? Crossing{0, outside} : Crossing{inside, 0};
    case Collective::kScatter: return root_inside ? Crossing{outside, 0} : Crossing{0, inside};
    case Collective::kAllToAll: return {inside * (n - k), inside * (n - k)};
    case Collective::kBarrier:
    case Collective::kSendRecv: return {};
  }
  return {};
}

class Search {
 public:
  Search(const Topology& topology, Collective collective, int root)
      : topology_(topology), network_(topology.network()), collective_(collective), root_(root), n_(topology.nranks()) {}

  TransferBound run(bool structured) {
    if (n_ < 2 || collective_ == Collective::kBarrier || collective_ == Collective::kSendRecv) return {};
    for (const Cut& cut : structured_cuts(topology_)) offer(cut);
    for (const Partition& partition : structured_partitions(topology_)) offer(partition);
    const bool by_flows = collective_ == Collective::kGather || collective_ == Collective::kScatter;
    if (structured) {
      result_.search = "structured cuts";
    } else if (n_ <= kMostRanksForAllSets && !by_flows) {
      search_all_sets();
      result_.search = "exact: every set of ranks";
    } else if (network_.vertices() > kMostVerticesForFlows) {
      result_.search = "structured cuts";
    } else {
      search_by_flows();
    }
    if (partition_.groups == 0) {
      result_.cut = cut_in_words(topology_, cut_, outward_);
    } else {
      result_.cut = "all " + partition_.of + " links " + (outward_ ? "outward" : "inward") + " together (" +
                    GBps_in_words(outward_ ? partition_.out : partition_.in) + ")";
    }
    return result_;
  }

 private:
  void offer(const Cut& cut) {
    const bool root_inside = cut.side[network_.vertex_of_rank(root_)] != 0;
    const Crossing part = must_cross(collective_, cut.ranks, n_, root_inside);
    const double out = part.out > 0 && cut.out > 0 ? part.out / cut.out : 0, in = part.in > 0 && cut.in > 0 ? part.in / cut.in : 0;
    // Among equals the first, which is the simplest.
    if (std::max(out, in) <= result_.us_per_byte * (1 + 1e-9)) return;
    result_.us_per_byte = std::max(out, in);
    cut_ = cut;
    outward_ = out >= in;
    partition_ = {};
  }

  // How often N must pass for every group but one: of what leaves the groups, and of what enters them. A message that enters one has left
  // another, but where a switch makes one of several, or several of one.
  Crossing must_pass(const Partition& partition) const {
    switch (collective_) {
      case Collective::kAllReduce: return partition.reduces || partition.multicasts ? Crossing{} : Crossing{2, 2};
      case Collective::kAllGather:
      case Collective::kBroadcast: return {partition.multicasts ? 0.0 : 1.0, 1};
      case Collective::kReduceScatter:
      case Collective::kReduce: return {1, partition.reduces ? 0.0 : 1.0};
      default: return {};
    }
  }

  void offer(const Partition& partition) {
    const Crossing part = must_pass(partition);
    const double out = partition.out > 0 ? part.out * (partition.groups - 1) / partition.out : 0;
    const double in = partition.in > 0 ? part.in * (partition.groups - 1) / partition.in : 0;
    if (std::max(out, in) <= result_.us_per_byte * (1 + 1e-9)) return;
    result_.us_per_byte = std::max(out, in);
    outward_ = out >= in;
    partition_ = partition;
  }

  // Ranks of which a flow to (or from) one is tried: all of few, one of each kind of many.
  std::vector<int> flow_ranks(int marked) {
    std::vector<int> ranks;
    if (n_ <= kMostRanksForAllFlows) {
      for (int rank = 0; rank < n_; ++rank) ranks.push_back(rank);
      result_.search = "exact: a flow for each rank";
      return ranks;
    }
    const std::vector<int> kinds = kinds_of_ranks(topology_, marked);
    std::vector<uint8_t> seen(static_cast<size_t>(n_), 0);
    for (int rank = 0; rank < n_; ++rank) {
      uint8_t& one = seen[static_cast<size_t>(kinds[static_cast<size_t>(rank)])];
      if (one == 0) ranks.push_back(rank);
      one = 1;
    }
    result_.search = "a flow for each of " + std::to_string(ranks.size()) + " kinds of ranks";
    if (ranks.size() > kMostKinds) {
      result_.search = "a flow for " + std::to_string(kMostKinds) + " of " + std::to_string(ranks.size()) + " kinds of ranks";
      for (size_t i = 0; i < kMostKinds; ++i) ranks[i] = ranks[i * ranks.size() / kMostKinds];
      ranks.resize(kMostKinds);
    }
    return ranks;
  }

  void search_by_flows() {
    const bool reversed = mirrored(collective_);
    switch (collective_) {
      case Collective::kAllGather:
      case Collective::kReduceScatter: gather_by_flows(reversed, flow_ranks(-1)); return;
      case Collective::kGather:
      case Collective::kScatter:
        gather_by_flows(reversed, {root_});
        result_.search = "exact: flows";
        return;
      case Collective::kBroadcast:
      case Collective::kReduce: narrowest_by_flows(reversed, root_); return;
      case Collective::kAllReduce:
        narrowest_by_flows(false, 0);
        narrowest_by_flows(true, 0);
        result_.search += ", and structured partitions";
        return;
      default: result_.search = "structured cuts"; return;
    }
  }

  // The set S that every rank of `sinks` in turn is not in, with the most |S| / B(S): every rank sends at rate x to the sink; where x is
  // too much, the minimum cut is a set that allows less, and its own rate is the next x (Newton's method; it ends because each set is met
  // once).
  void gather_by_flows(bool reversed, const std::vector<int>& sinks) {
    Flow flow(network_, reversed);
    const auto vertices = static_cast<size_t>(network_.vertices());
    std::vector<double> source(vertices, 0);
    std::vector<uint8_t> sink(vertices, 0);
    for (const int rank : sinks) {
      sink[network_.vertex_of_rank(rank)] = 1;
      for (int step = 0; step < 1000; ++step) {
        const double x = 1 / (result_.us_per_byte * n_);
        for (int r = 0; r < n_; ++r) source[network_.vertex_of_rank(r)] = x;
        if (flow.run(source, sink) >= n_ * x * (1 - 1e-9)) break;
        const double before = result_.us_per_byte;
        offer(measure(topology_, flow.source_side()));
        if (!(result_.us_per_byte > before)) break;  // within the tolerance
      }
      sink[network_.vertex_of_rank(rank)] = 0;
    }
  }

  // The narrowest cut between `from` and any other rank.
  void narrowest_by_flows(bool reversed, int from) {
    Flow flow(network_, reversed);
    const auto vertices = static_cast<size_t>(network_.vertices());
    std::vector<double> source(vertices, 0);
    std::vector<uint8_t> sink(vertices, 0);
    source[network_.vertex_of_rank(from)] = kUnlimited;
    for (const int rank : flow_ranks(from)) {
      if (rank == from) continue;
      sink[network_.vertex_of_rank(rank)] = 1;
      flow.run(source, sink);
      offer(measure(topology_, flow.source_side()));
      sink[network_.vertex_of_rank(rank)] = 0;
    }
  }

  // The narrowest cut around every set of ranks, and the partition of them that has the least room: the least sum of (B(group) - x) over
  // all partitions by a table over sets, with Newton's method for the x at which (groups - 1) x is what leaves (or enters) them.
  void search_all_sets() {
    const uint32_t sets = 1u << n_;
    std::vector<double> width(sets, 0);
    Flow flow(network_, false);
    const auto vertices = static_cast<size_t>(network_.vertices());
    std::vector<double> source(vertices, 0);
    std::vector<uint8_t> sink(vertices, 0);
    bool replicates = false;
    for (const Switch& each : topology_.graph().switches) replicates |= each.reduces || each.multicasts;
    for (uint32_t set = 1; set + 1 < sets; ++set) {
      for (int rank = 0; rank < n_; ++rank) {
        const bool inside = (set >> rank & 1) != 0;
        source[network_.vertex_of_rank(rank)] = inside ? kUnlimited : 0;
        sink[network_.vertex_of_rank(rank)] = inside ? 0 : 1;
      }
      flow.run(source, sink);
      const Cut cut = measure(topology_, flow.source_side());
      width[set] = cut.out;
      offer(cut);
    }
    if (replicates) return;
    search_all_partitions(width, &Crossing::out, &Partition::out);
    // What enters a set leaves all others.
    std::reverse(width.begin(), width.end());
    search_all_partitions(width, &Crossing::in, &Partition::in);
  }

  void search_all_partitions(const std::vector<double>& width, double Crossing::*need, double Partition::*room) {
    const double part = must_pass({}).*need;
    if (part == 0) return;
    const uint32_t all = static_cast<uint32_t>(width.size()) - 1;
    std::vector<double> least(width.size(), 0);
    std::vector<uint32_t> group(width.size(), 0);  // of the least sum's partition of the set: the group with its lowest rank
    for (int step = 0; step < 1000; ++step) {
      const double x = part / result_.us_per_byte;
      for (uint32_t set = 1; set <= all; ++set) {
        const uint32_t lowest = set & -set, others = set ^ lowest;
        least[set] = kUnlimited;
        for (uint32_t with = others;; with = (with - 1) & others) {
          if ((with | lowest) != all) {
            const double sum = width[with | lowest] - x + least[others ^ with];
            if (sum < least[set]) {
              least[set] = sum;
              group[set] = with | lowest;
            }
          }
          if (with == 0) break;
        }
      }
      Partition partition{.of = "groups'"};
      for (uint32_t rest = all; rest != 0; rest ^= group[rest]) {
        ++partition.groups;
        partition.*room += width[group[rest]];
      }
      const double before = result_.us_per_byte;
      offer(partition);
      if (!(result_.us_per_byte > before)) return;
    }
  }

  const Topology& topology_;
  const Network& network_;
  Collective collective_;
  int root_;
  int n_;
  TransferBound result_;
  Cut cut_;
  bool outward_ = true;
  Partition partition_;  // binds, where it has groups
};

}  // namespace

TransferBound transfer_bound(const Topology& topology, Collective collective, int root) {
  return Search(topology, collective, root).run(false);
}

TransferBound structured_bound(const Topology& topology, Collective collective, int root) {
  return Search(topology, collective, root).run(true);
}

uint64_t block_bytes(Collective collective, int nranks, uint64_t bytes) {
  return bytes / std::max(input_blocks(collective, nranks), output_blocks(collective, nranks));
}

}  // namespace tutti
