#include "plan/cuts.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

namespace tutti {
namespace {

// Beyond this, cuts are only those that names and axes tell.
constexpr int kMostForSweeps = 4096;
constexpr int kFiedlerSteps = 200;
constexpr int kMoveRounds = 20;

// How slow an all-to-all the cut allows; what sweeps and moves look for.
double all_to_all_ratio(int ranks_inside, int ranks, double width) {
  return width > 0 ? static_cast<double>(ranks_inside) * (ranks - ranks_inside) / width : 0;
}

// A side that changes by one vertex at a time, with its width kept.
class MovingSide {
 public:
  explicit MovingSide(const Topology& topology) : network_(topology.network()), cut_{Side(static_cast<size_t>(network_.vertices()), 0)} {
    is_rank_.assign(cut_.side.size(), 0);
    for (int rank = 0; rank < network_.nranks(); ++rank) is_rank_[network_.vertex_of_rank(rank)] = 1;
  }

  const Cut& cut() const { return cut_; }
  bool inside(uint32_t v) const { return cut_.side[v] != 0; }
  bool is_rank(uint32_t v) const { return is_rank_[v] != 0; }
  double ratio() const { return all_to_all_ratio(cut_.ranks, network_.nranks(), std::min(cut_.out, cut_.in)); }

  void move(uint32_t v) {
    const double sign = inside(v) ? -1 : 1;
    for (const uint32_t e : network_.out(v)) {
      const Edge& edge = network_.edges()[e];
      (inside(edge.to) ? cut_.in : cut_.out) += (inside(edge.to) ? -sign : sign) * edge.bytes_per_us;
    }
    for (const uint32_t e : network_.in(v)) {
      const Edge& edge = network_.edges()[e];
      (inside(edge.from) ? cut_.out : cut_.in) += (inside(edge.from) ? -sign : sign) * edge.bytes_per_us;
    }
    cut_.ranks += is_rank(v) ? static_cast<int>(sign) : 0;
    cut_.side[v] ^= 1;
  }

  // Moves v, and then its neighbours that are no ranks where that makes the cut no wider, and theirs.
  void move_with_switches(uint32_t v) {
    move(v);
    std::vector<uint32_t> moved{v};
    const auto follow = [&](uint32_t w) {
      if (is_rank(w) || inside(w) == inside(v)) return;
      const double before = cut_.out + cut_.in;
      move(w);
      if (cut_.out + cut_.in > before) {
        move(w);
      } else {
        moved.push_back(w);
      }
    };
    for (size_t i = 0; i < moved.size(); ++i) {
      for (const uint32_t e : network_.out(moved[i])) follow(network_.edges()[e].to);
      for (const uint32_t e : network_.in(moved[i])) follow(network_.edges()[e].from);
    }
  }

 private:
  const Network& network_;
  Cut cut_;
  std::vector<uint8_t> is_rank_;
};

// Adds the best prefix of `order`, by what it allows an all-to-all.
void sweep(const Topology& topology, const std::vector<uint32_t>& order, bool with_switches, std::vector<Cut>& cuts) {
  MovingSide side(topology);
  Cut best;
  double best_ratio = 0;
  for (const uint32_t v : order) {
    if (side.inside(v)) continue;  // a switch that has followed
    with_switches ? side.move_with_switches(v) : side.move(v);
    if (side.ratio() > best_ratio * (1 + 1e-12)) {
      best_ratio = side.ratio();
      best = side.cut();
    }
  }
  if (best_ratio > 0) cuts.push_back(std::move(best));
}

std::vector<uint32_t> order_of_ranks(const Topology& topology) {
  std::vector<uint32_t> order;
  for (int rank = 0; rank < topology.nranks(); ++rank) order.push_back(topology.network().vertex_of_rank(rank));
  return order;
}

std::vector<uint32_t> order_of_distance(const Topology& topology) {
  const Network& network = topology.network();
  std::vector<uint32_t> order{network.vertex_of_rank(0)};
  std::vector<uint8_t> seen(static_cast<size_t>(network.vertices()), 0);
  seen[order[0]] = 1;
  for (size_t head = 0; head < order.size(); ++head) {
    for (const uint32_t e : network.out(order[head])) {
      const uint32_t to = network.edges()[e].to;
      if (seen[to] == 0) order.push_back(to);
      seen[to] = 1;
    }
  }
  return order;
}

// Along the network's softest mode: the second eigenvector of its Laplacian, by power iteration on what a step of diffusion leaves. The
// start is a fixed sequence, so the order is the same on all ranks.
std::vector<uint32_t> order_of_fiedler(const Topology& topology) {
  const Network& network = topology.network();
  const auto n = static_cast<size_t>(network.vertices());
  std::vector<double> degree(n, 0), value(n), next(n);
  for (const Edge& edge : network.edges()) {
    degree[edge.from] += edge.bytes_per_us;
    degree[edge.to] += edge.bytes_per_us;
  }
  const double widest = *std::max_element(degree.begin(), degree.end());
  for (size_t v = 0; v < n; ++v) value[v] = static_cast<double>((v + 1) * 2654435761u % 1000003) / 1000003 - 0.5;
  for (int step = 0; step < kFiedlerSteps; ++step) {
    for (size_t v = 0; v < n; ++v) next[v] = value[v] * (1 - degree[v] / (2 * widest));
    for (const Edge& edge : network.edges()) {
      next[edge.to] += value[edge.from] * edge.bytes_per_us / (2 * widest);
      next[edge.from] += value[edge.to] * edge.bytes_per_us / (2 * widest);
    }
    const double mean = std::accumulate(next.begin(), next.end(), 0.0) / static_cast<double>(n);
    double norm = 0;
    for (double& x : next) {
      x -= mean;
      norm += x * x;
    }
    if (norm < 1e-200) break;
    for (size_t v = 0; v < n; ++v) value[v] = next[v] / std::sqrt(norm);
  }
  std::vector<uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return value[a] < value[b]; });
  return order;
}

// Single vertices change sides as long as that lets the cut bind more.
Cut improved(const Topology& topology, const Cut& cut) {
  MovingSide side(topology);
  for (uint32_t v = 0; v < cut.side.size(); ++v) {
    if (cut.side[v] != 0) side.move(v);
  }
  for (int round = 0; round < kMoveRounds; ++round) {
    bool better = false;
    for (uint32_t v = 0; v < cut.side.size(); ++v) {
      const double before = side.ratio();
      side.move(v);
      if (side.ratio() > before * (1 + 1e-9)) {
        better = true;
      } else {
        side.move(v);
      }
    }
    if (!better) break;
  }
  return side.cut();
}

// Each group alone, and the first 1, 2, 4 ... and half of them together.
void cuts_of_groups(const Topology& topology, const std::vector<int>& group_of_rank, int groups, std::vector<Cut>& cuts) {
  if (groups < 2) return;
  std::vector<int> firsts;
  for (int first = 1; first < groups; first *= 2) firsts.push_back(first);
  firsts.push_back(groups / 2);
  std::vector<uint8_t> member(group_of_rank.size());
  for (const int first : firsts) {
    for (size_t r = 0; r < member.size(); ++r) member[r] = group_of_rank[r] < first;
    cuts.push_back(cut_of_ranks(topology, member));
  }
  if (groups > 64) return;  // beyond, one of each size stands for its equals
  for (int group = 1; group < groups; ++group) {
    for (size_t r = 0; r < member.size(); ++r) member[r] = group_of_rank[r] == group;
    cuts.push_back(cut_of_ranks(topology, member));
  }
}

std::vector<int> nodes_of_ranks(const Topology& topology, int& nodes) {
  std::map<std::string, int> number;
  std::vector<int> node_of;
  for (int rank = 0; rank < topology.nranks(); ++rank) {
    const std::string& node = topology.graph().endpoints[topology.network().vertex_of_rank(rank)].node;
    node_of.push_back(number.emplace(node, static_cast<int>(number.size())).first->second);
  }
  nodes = static_cast<int>(number.size());
  return node_of;
}

std::vector<int> numbers_of_leaves(const Topology& topology, int& leaves) {
  std::map<uint32_t, int> number;
  std::vector<int> leaf_of;
  for (const uint32_t leaf : leaves_of_ranks(topology)) {
    leaf_of.push_back(number.emplace(leaf, static_cast<int>(number.size())).first->second);
  }
  leaves = static_cast<int>(number.size());
  return leaf_of;
}

std::vector<int> islands_of_ranks(const Topology& topology) {
  std::vector<int> island_of;
  for (int rank = 0; rank < topology.nranks(); ++rank) island_of.push_back(topology.island_of(rank));
  return island_of;
}

std::vector<int> places_of_ranks(const Topology& topology, int axis) {
  std::vector<int> place_of;
  for (int rank = 0; rank < topology.nranks(); ++rank) place_of.push_back(topology.torus()->place(rank, axis));
  return place_of;
}

}  // namespace

Cut measure(const Topology& topology, Side side) {
  Cut cut{std::move(side)};
  const Network& network = topology.network();
  for (const Edge& edge : network.edges()) {
    if (cut.side[edge.from] != 0 && cut.side[edge.to] == 0) cut.out += edge.bytes_per_us;
    if (cut.side[edge.from] == 0 && cut.side[edge.to] != 0) cut.in += edge.bytes_per_us;
  }
  for (int rank = 0; rank < network.nranks(); ++rank) cut.ranks += cut.side[network.vertex_of_rank(rank)];
  return cut;
}

Cut cut_of_ranks(const Topology& topology, const std::vector<uint8_t>& member) {
  const Network& network = topology.network();
  MovingSide side(topology);
  for (int rank = 0; rank < network.nranks(); ++rank) {
    if (member[static_cast<size_t>(rank)] != 0) side.move(network.vertex_of_rank(rank));
  }
  // From the endpoints upwards, twice: a switch above switches follows them.
  for (int round = 0; round < 2; ++round) {
    for (uint32_t v = 0; v < side.cut().side.size(); ++v) {
      if (side.is_rank(v)) continue;
      const double before = side.cut().out + side.cut().in;
      side.move(v);
      if (side.cut().out + side.cut().in >= before) side.move(v);
    }
  }
  return side.cut();
}

Partition partition_of(const Topology& topology, const std::vector<int>& group_of_rank, std::string of) {
  constexpr int kBetween = -1;
  const Network& network = topology.network();
  const auto vertices = static_cast<size_t>(network.vertices());
  std::vector<int> group_of(vertices, kBetween);
  std::vector<uint8_t> is_rank(vertices, 0);
  Partition partition{.of = std::move(of)};
  for (int rank = 0; rank < network.nranks(); ++rank) {
    group_of[network.vertex_of_rank(rank)] = group_of_rank[static_cast<size_t>(rank)];
    is_rank[network.vertex_of_rank(rank)] = 1;
    partition.groups = std::max(partition.groups, group_of_rank[static_cast<size_t>(rank)] + 1);
  }
  // A switch that one group sends more to than it sends on to others belongs to that group.
  for (int round = 0; round < 2; ++round) {
    for (uint32_t v = 0; v < vertices; ++v) {
      if (is_rank[v] != 0) continue;
      std::map<int, double> from;
      double onward = 0;
      for (const uint32_t e : network.in(v)) from[group_of[network.edges()[e].from]] += network.edges()[e].bytes_per_us;
      from.erase(kBetween);
      const auto most = std::max_element(from.begin(), from.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
      if (most == from.end()) continue;
      for (const uint32_t e : network.out(v)) {
        if (group_of[network.edges()[e].to] != most->first) onward += network.edges()[e].bytes_per_us;
      }
      group_of[v] = onward < most->second ? most->first : kBetween;
    }
  }
  for (const Edge& edge : network.edges()) {
    if (group_of[edge.from] == group_of[edge.to]) continue;
    if (group_of[edge.from] != kBetween) partition.out += edge.bytes_per_us;
    if (group_of[edge.to] != kBetween) partition.in += edge.bytes_per_us;
  }
  const size_t endpoints = topology.graph().endpoints.size();
  for (size_t s = 0; s < topology.graph().switches.size(); ++s) {
    if (group_of[endpoints + s] != kBetween) continue;
    partition.reduces |= topology.graph().switches[s].reduces;
    partition.multicasts |= topology.graph().switches[s].multicasts;
  }
  return partition;
}

std::vector<uint32_t> leaves_of_ranks(const Topology& topology) {
  constexpr size_t kMostLooks = 64;
  const Network& network = topology.network();
  std::vector<uint32_t> leaf_of;
  for (int rank = 0; rank < topology.nranks(); ++rank) {
    const uint32_t start = network.vertex_of_rank(rank);
    std::vector<uint32_t> reached{start};
    leaf_of.push_back(start);
    for (size_t head = 0; head < reached.size() && leaf_of.back() == start && head < kMostLooks; ++head) {
      for (const uint32_t e : network.out(reached[head])) {
        const uint32_t to = network.edges()[e].to;
        if (static_cast<int>(to) < network.endpoints() || std::find(reached.begin(), reached.end(), to) != reached.end()) continue;
        if (network.out(to).size() > 2 && leaf_of.back() == start) leaf_of.back() = to;
        reached.push_back(to);
      }
    }
  }
  return leaf_of;
}

std::vector<int> kinds_of_ranks(const Topology& topology, int marked) {
  constexpr int kMostRounds = 64;
  const Network& network = topology.network();
  const auto vertices = static_cast<size_t>(network.vertices());
  const auto mix = [](uint64_t h, uint64_t value) {
    h = (h ^ value) * 0x9e3779b97f4a7c15ull;
    return h ^ (h >> 29);
  };
  std::vector<uint64_t> colour(vertices, 1), next(vertices);
  for (int rank = 0; rank < network.nranks(); ++rank) colour[network.vertex_of_rank(rank)] = rank == marked ? 3 : 2;
  std::vector<uint64_t> rate;
  for (const Edge& edge : network.edges()) {
    rate.push_back(mix(static_cast<uint64_t>(edge.bytes_per_us * 1024), static_cast<uint64_t>(edge.latency_us * 1024)));
  }
  size_t kinds = 0;
  for (int round = 0; round < kMostRounds; ++round) {
    for (size_t v = 0; v < vertices; ++v) next[v] = mix(colour[v], 7);
    for (size_t e = 0; e < rate.size(); ++e) {  // sums, so that the order of the edges is of no account
      const Edge& edge = network.edges()[e];
      next[edge.from] += mix(mix(colour[edge.to], rate[e]), 11);
      next[edge.to] += mix(mix(colour[edge.from], rate[e]), 13);
    }
    colour.swap(next);
    std::vector<uint64_t> sorted = colour;
    std::sort(sorted.begin(), sorted.end());
    const auto now = static_cast<size_t>(std::unique(sorted.begin(), sorted.end()) - sorted.begin());
    if (now == kinds) break;
    kinds = now;
  }
  std::map<uint64_t, int> number;
  std::vector<int> kind_of;
  for (int rank = 0; rank < network.nranks(); ++rank) {
    kind_of.push_back(number.emplace(colour[network.vertex_of_rank(rank)], static_cast<int>(number.size())).first->second);
  }
  return kind_of;
}

std::vector<Cut> structured_cuts(const Topology& topology) {
  const int n = topology.nranks();
  std::vector<Cut> cuts;
  std::vector<int> each(static_cast<size_t>(n));
  std::iota(each.begin(), each.end(), 0);
  cuts_of_groups(topology, each, n, cuts);
  if (n > 64) {  // one endpoint of each kind
    const std::vector<int> kinds = kinds_of_ranks(topology, -1);
    std::vector<uint8_t> done(static_cast<size_t>(n), 0);
    for (size_t rank = 0, more = 32; rank < kinds.size() && more > 0; ++rank) {
      uint8_t& one = done[static_cast<size_t>(kinds[rank])];
      if (one != 0) continue;
      one = 1;
      --more;
      std::vector<uint8_t> member(static_cast<size_t>(n), 0);
      member[rank] = 1;
      cuts.push_back(cut_of_ranks(topology, member));
    }
  }
  int nodes = 0;
  const std::vector<int> node_of = nodes_of_ranks(topology, nodes);
  cuts_of_groups(topology, node_of, nodes, cuts);
  int leaves = 0;
  const std::vector<int> leaf_of = numbers_of_leaves(topology, leaves);
  if (leaves < n) cuts_of_groups(topology, leaf_of, leaves, cuts);
  cuts_of_groups(topology, islands_of_ranks(topology), static_cast<int>(topology.islands().size()), cuts);
  for (int axis = 0; topology.torus() && axis < topology.torus()->dimensions(); ++axis) {
    const std::vector<int> place_of = places_of_ranks(topology, axis);
    std::vector<uint8_t> member(static_cast<size_t>(n));
    for (int first = 1; first < topology.torus()->axes()[static_cast<size_t>(axis)].size; ++first) {
      for (size_t rank = 0; rank < member.size(); ++rank) member[rank] = place_of[rank] < first;
      cuts.push_back(cut_of_ranks(topology, member));
    }
  }
  if (n > kMostForSweeps) return cuts;
  sweep(topology, order_of_ranks(topology), true, cuts);
  sweep(topology, order_of_distance(topology), false, cuts);
  sweep(topology, order_of_fiedler(topology), false, cuts);
  const auto best = std::max_element(cuts.begin(), cuts.end(), [&](const Cut& a, const Cut& b) {
    return all_to_all_ratio(a.ranks, n, std::min(a.out, a.in)) < all_to_all_ratio(b.ranks, n, std::min(b.out, b.in));
  });
  if (best != cuts.end()) cuts.push_back(improved(topology, Cut(*best)));
  return cuts;
}

std::vector<Partition> structured_partitions(const Topology& topology) {
  std::vector<int> each(static_cast<size_t>(topology.nranks()));
  std::iota(each.begin(), each.end(), 0);
  int nodes = 0;
  const std::vector<int> node_of = nodes_of_ranks(topology, nodes);
  std::vector<Partition> partitions{partition_of(topology, each, "endpoints'"), partition_of(topology, node_of, "nodes'"),
                                    partition_of(topology, islands_of_ranks(topology), "islands'")};
  int leaves = 0;
  partitions.push_back(partition_of(topology, numbers_of_leaves(topology, leaves), "leaf switches'"));
  for (int axis = 0; topology.torus() && axis < topology.torus()->dimensions(); ++axis) {
    partitions.push_back(partition_of(topology, places_of_ranks(topology, axis), "axis " + std::to_string(axis) + "'s planes'"));
  }
  std::erase_if(partitions, [](const Partition& partition) { return partition.groups < 2 || partition.out <= 0; });
  return partitions;
}

}  // namespace tutti
