#include "topology/packing.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "topology/arborescence.h"
#include "topology/direct_hops.h"
#include "topology/linear_program.h"

namespace tutti {
namespace {

constexpr int64_t kMostWork = 1'500'000'000;
constexpr int kMostRows = 700;
constexpr double kGap = 0.003;  // near enough to what is proved to be the best
constexpr double kRounding = 0.996;
constexpr int kMostMoves = 64;

// A tree, or for all-reduce a pair of them, and how often it uses each link.
struct Candidate {
  int group = 0;  // those that share a block
  int root = 0;
  std::vector<int> down, up;
  std::vector<std::pair<int, double>> uses;
};

class TreePacker {
 public:
  TreePacker(const Network& network, PackingKind kind, int root)
      : hops_(network), n_(network.nranks()), kind_(kind), root_(root), groups_(all_roots() ? n_ : 1) {
    measure_distances();
  }

  TreePacking pack() {
    const auto rows = static_cast<int>(hops_.rates().size()) + groups_;
    TreePacking packing;
    if (rows > kMostRows) {
      warm_up(24);
      std::vector<double> equal(candidates_.size(), 1);
      packing = rounded(equal, {24});
    } else {
      warm_up(kind_ == PackingKind::kAllGather || kind_ == PackingKind::kReduceScatter ? 4 : 12);
      std::vector<double> weights = generate_columns();
      thin_out(weights);
      packing = rounded(weights, {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 12,  14,  15,  16,  18,  20, 21,
                                  24, 30, 32, 36, 42, 48, 60, 64, 72, 96, 120, 180, 240, 360, 480, 720});
    }
    packing.bound_bytes_per_us = bound_ == std::numeric_limits<double>::infinity() ? 0 : bound_ * hops_.unit_bytes_per_us();
    return packing;
  }

 private:
  bool all_roots() const { return kind_ == PackingKind::kAllGather || kind_ == PackingKind::kReduceScatter; }
  bool goes_down() const { return kind_ != PackingKind::kReduce && kind_ != PackingKind::kReduceScatter; }
  bool goes_up() const { return kind_ != PackingKind::kBroadcast && kind_ != PackingKind::kAllGather; }
  size_t at(int u, int v) const { return static_cast<size_t>(u) * static_cast<size_t>(n_) + static_cast<size_t>(v); }

  // In messages, between all ranks.
  void measure_distances() {
    distance_.assign(static_cast<size_t>(n_) * static_cast<size_t>(n_), 0);
    for (int from = 0; from < n_; ++from) {
      std::vector<int> queue{from};
      std::vector<bool> seen(static_cast<size_t>(n_), false);
      seen[static_cast<size_t>(from)] = true;
      for (size_t next = 0; next < queue.size(); ++next) {
        for (int v = 0; v < n_; ++v) {
          if (seen[static_cast<size_t>(v)] || !hops_.direct(queue[next], v)) continue;
          seen[static_cast<size_t>(v)] = true;
          distance_[at(from, v)] = distance_[at(from, queue[next])] + 1;
          queue.push_back(v);
        }
      }
      for (const int d : distance_) farthest_ = std::max(farthest_, d);
    }
  }

  // The cheapest tree at the prices; of those alike one that is not deep. `cost` grows by what it surely costs at least.
  std::vector<int> tree(int root, bool up, const std::vector<double>& pair_cost, double& cost) {
    std::vector<double> costs(pair_cost.size());
    double least = 0;
    for (int v = 0; v < n_; ++v) {
      double best = std::numeric_limits<double>::infinity();
      for (int u = 0; u < n_; ++u) {
        costs[at(u, v)] = up ? pair_cost[at(v, u)] : pair_cost[at(u, v)];
        if (u != v) best = std::min(best, costs[at(u, v)]);
      }
      if (v != root) least += best;
    }
    constexpr double kSway = 1e-3;
    const double step = (kSway * least + 1e-12) / (n_ * farthest_);
    double swayed = 0;
    for (int u = 0; u < n_; ++u) {
      const double depth = step * (up ? distance_[at(u, root)] : distance_[at(root, u)]);
      for (int v = 0; v < n_; ++v) costs[at(u, v)] += depth;
    }
    std::vector<int> parent = cheapest_arborescence(n_, root, costs);
    for (int v = 0; v < n_; ++v) {
      if (v != root) swayed += costs[at(parent[static_cast<size_t>(v)], v)];
    }
    cost += std::max(0.0, swayed - kSway * least - 1e-12);
    work_ += int64_t{8} * n_ * n_;
    return parent;
  }

  void use(std::vector<double>& load, int from, int to) const {
    for (const int link : hops_.links(from, to)) load[static_cast<size_t>(link)] += 1;
  }

  Candidate candidate(int group, int root, const std::vector<double>& pair_cost, double& cost) {
    Candidate made{.group = group, .root = root, .down = {}, .up = {}, .uses = {}};
    if (goes_down()) made.down = tree(root, false, pair_cost, cost);
    if (goes_up()) made.up = tree(root, true, pair_cost, cost);
    std::vector<double> load(hops_.rates().size(), 0);
    for (int v = 0; v < n_; ++v) {
      if (v == root) continue;
      if (goes_down()) use(load, made.down[static_cast<size_t>(v)], v);
      if (goes_up()) use(load, v, made.up[static_cast<size_t>(v)]);
    }
    for (size_t link = 0; link < load.size(); ++link) {
      if (load[link] > 0) made.uses.emplace_back(static_cast<int>(link), load[link]);
    }
    return made;
  }

  // Of every group the cheapest candidate at the links' prices; for all-reduce some of the cheapest. Lowers the bound by what that proves:
  // whatever is packed pays for each unit at least the cheapest, and all room together costs so much.
  std::vector<Candidate> cheapest(const std::vector<double>& prices) {
    std::vector<double> pair_cost(static_cast<size_t>(n_) * static_cast<size_t>(n_), std::numeric_limits<double>::infinity());
    for (int u = 0; u < n_; ++u) {
      for (int v = 0; v < n_; ++v) {
        if (!hops_.direct(u, v)) continue;
        double cost = 0;
        for (const int link : hops_.links(u, v)) cost += prices[static_cast<size_t>(link)];
        pair_cost[at(u, v)] = cost;
      }
    }
    double room_cost = 0, unit_cost = 0;
    for (size_t link = 0; link < prices.size(); ++link) room_cost += prices[link] * hops_.rates()[link];
    std::vector<Candidate> found;
    if (kind_ == PackingKind::kAllReduce) {
      std::vector<std::pair<double, int>> by_cost;
      std::vector<Candidate> all;
      for (int root = 0; root < n_; ++root) {
        double cost = 0;
        all.push_back(candidate(0, root, pair_cost, cost));
        by_cost.emplace_back(cost, root);
      }
      std::sort(by_cost.begin(), by_cost.end());
      unit_cost = by_cost.front().first;
      for (size_t i = 0; i < by_cost.size() && i < 4; ++i) found.push_back(std::move(all[static_cast<size_t>(by_cost[i].second)]));
    } else {
      for (int group = 0; group < groups_; ++group) found.push_back(candidate(group, all_roots() ? group : root_, pair_cost, unit_cost));
    }
    if (unit_cost > 0 && room_cost / unit_cost < bound_) {
      bound_ = room_cost / unit_cost;
      best_prices_ = prices;
      for (double& price : best_prices_) price /= room_cost;
    }
    return found;
  }

  // Whether it is new.
  bool keep(Candidate made) {
    std::vector<int> name{made.root};
    name.insert(name.end(), made.down.begin(), made.down.end());
    name.insert(name.end(), made.up.begin(), made.up.end());
    if (!known_.insert(std::move(name)).second) return false;
    candidates_.push_back(std::move(made));
    return true;
  }

  // A first set of trees: in every round each link's price grows with its use.
  void warm_up(int rounds) {
    const std::vector<double>& rates = hops_.rates();
    std::vector<double> weight(rates.size(), 1), prices(rates.size());
    for (int round = 0; round < rounds; ++round) {
      for (size_t link = 0; link < rates.size(); ++link) prices[link] = weight[link] / rates[link];
      std::vector<double> load(rates.size(), 0);
      double fullest = 0;
      for (Candidate& made : cheapest(prices)) {
        for (const auto& [link, uses] : made.uses) load[static_cast<size_t>(link)] += uses;
        keep(std::move(made));
      }
      for (size_t link = 0; link < rates.size(); ++link) fullest = std::max(fullest, load[link] / rates[link]);
      for (size_t link = 0; link < rates.size(); ++link) weight[link] *= 1 + 0.5 * load[link] / rates[link] / fullest;
    }
  }

  // Rows: the links, then the groups, each of which must be served at the rate of the first column.
  LinearProgram program() const {
    std::vector<double> room = hops_.rates();
    room.resize(room.size() + static_cast<size_t>(groups_), 0);
    LinearProgram lp(room);
    std::vector<std::pair<int, double>> rate;
    for (int group = 0; group < groups_; ++group) rate.emplace_back(group_row(group), 1);
    lp.add(1, std::move(rate));
    return lp;
  }
  int group_row(int group) const { return static_cast<int>(hops_.rates().size()) + group; }
  void add(LinearProgram& lp, const Candidate& made) const {
    std::vector<std::pair<int, double>> entries = made.uses;
    entries.emplace_back(group_row(made.group), -1);
    lp.add(0, std::move(entries));
  }

  // The weights of all candidates, made and known.
  std::vector<double> generate_columns() {
    LinearProgram lp = program();
    size_t added = 0;
    const auto solve = [&] {
      for (; added < candidates_.size(); ++added) add(lp, candidates_[added]);
      lp.solve(5000);
    };
    solve();
    while (lp.value() < bound_ * (1 - kGap) && lp.work() + work_ < kMostWork) {
      // Between the prices of the program and those that proved the most: the former alone swing from one corner to another.
      const std::vector<double> exact(lp.prices().begin(), lp.prices().begin() + static_cast<std::ptrdiff_t>(hops_.rates().size()));
      bool any = false;
      for (const double inward : {0.5, 0.0}) {
        double room_cost = 0;
        for (size_t link = 0; link < exact.size(); ++link) room_cost += std::max(exact[link], 0.0) * hops_.rates()[link];
        std::vector<double> prices(exact.size());
        for (size_t link = 0; link < exact.size(); ++link) {
          prices[link] = (1 - inward) * std::max(exact[link], 0.0) / room_cost + inward * best_prices_[link];
        }
        for (Candidate& made : cheapest(prices)) any = keep(std::move(made)) || any;
        if (any) break;
      }
      if (!any) break;
      solve();
    }
    std::vector<double> weights = lp.solution();
    weights.erase(weights.begin());
    return weights;
  }

  // Leaves out trees of little weight, as long as the others can make up for it.
  void thin_out(std::vector<double>& weights) {
    const double full = rate_of(weights);
    for (const double least : {0.3, 0.2, 0.15, 0.12, 0.08, 0.06, 0.04, 0.03, 0.02, 0.01, 0.005}) {
      std::vector<double> sum(static_cast<size_t>(groups_), 0), most(static_cast<size_t>(groups_), 0);
      for (size_t c = 0; c < weights.size(); ++c) {
        double& group_most = most[static_cast<size_t>(candidates_[c].group)];
        sum[static_cast<size_t>(candidates_[c].group)] += weights[c];
        group_most = std::max(group_most, weights[c]);
      }
      LinearProgram lp = program();
      std::vector<size_t> kept;
      for (size_t c = 0; c < weights.size(); ++c) {
        const auto group = static_cast<size_t>(candidates_[c].group);
        if (weights[c] <= 0 || weights[c] < std::min(least * sum[group], most[group])) continue;
        kept.push_back(c);
        add(lp, candidates_[c]);
      }
      lp.solve(5000);
      const std::vector<double> solution = lp.solution();
      std::vector<double> thinned(weights.size(), 0);
      for (size_t k = 0; k < kept.size(); ++k) thinned[kept[k]] = solution[k + 1];
      if (rate_of(thinned) < 0.99 * full) continue;
      weights = std::move(thinned);
      return;
    }
  }

  // The rate of every group when its block is divided by the weights.
  double rate_of(const std::vector<double>& weights) const {
    std::vector<double> sum(static_cast<size_t>(groups_), 0), load(hops_.rates().size(), 0);
    for (size_t c = 0; c < weights.size(); ++c) sum[static_cast<size_t>(candidates_[c].group)] += weights[c];
    for (const double each : sum) {
      if (each <= 0) return 0;
    }
    for (size_t c = 0; c < weights.size(); ++c) {
      const double share = weights[c] / sum[static_cast<size_t>(candidates_[c].group)];
      for (const auto& [link, uses] : candidates_[c].uses) load[static_cast<size_t>(link)] += share * uses;
    }
    double longest = 0;
    for (size_t link = 0; link < load.size(); ++link) longest = std::max(longest, load[link] / hops_.rates()[link]);
    return 1 / longest;
  }

  // Moves parts of `den`, one at a time, from trees that use the fullest link to others of their group, as long as that helps.
  void even_out(std::vector<double>& parts, uint32_t den) const {
    std::vector<double> load(hops_.rates().size(), 0);
    const auto shift = [&](size_t c, double by) {
      parts[c] += by;
      for (const auto& [link, uses] : candidates_[c].uses) load[static_cast<size_t>(link)] += by * uses / den;
    };
    std::vector<size_t> used;
    for (size_t c = 0; c < parts.size(); ++c) {
      if (parts[c] > 0.5) used.push_back(c), shift(c, std::exchange(parts[c], 0));
    }
    const auto fullest = [&] {
      size_t at = 0;
      for (size_t link = 1; link < load.size(); ++link) {
        if (load[link] / hops_.rates()[link] > load[at] / hops_.rates()[at]) at = link;
      }
      return std::pair(load[at] / hops_.rates()[at], static_cast<int>(at));
    };
    for (int moves = 0; moves < kMostMoves; ++moves) {
      const auto [worst, link] = fullest();
      const auto uses_link = [&, link = link](size_t c) {
        return std::any_of(candidates_[c].uses.begin(), candidates_[c].uses.end(), [&](const auto& use) { return use.first == link; });
      };
      bool moved = false;
      for (const size_t from : used) {
        if (moved || parts[from] < 0.5 || !uses_link(from)) continue;
        for (const size_t to : used) {
          if (candidates_[to].group != candidates_[from].group || uses_link(to)) continue;
          shift(from, -1);
          shift(to, 1);
          if (fullest().first < worst * (1 - 1e-9)) {
            moved = true;
            break;
          }
          shift(from, 1);
          shift(to, -1);
        }
      }
      if (!moved) return;
    }
  }

  // Each group's weights as whole parts of `den`: the largest remainders are rounded up.
  std::vector<double> parts_of(const std::vector<double>& weights, uint32_t den) const {
    std::vector<double> parts(weights.size(), 0);
    for (int group = 0; group < groups_; ++group) {
      double sum = 0;
      std::vector<std::pair<double, size_t>> remainders;
      for (size_t c = 0; c < weights.size(); ++c) sum += candidates_[c].group == group ? weights[c] : 0;
      double left = den;
      for (size_t c = 0; c < weights.size(); ++c) {
        if (candidates_[c].group != group || weights[c] <= 0) continue;
        const double exact = weights[c] / sum * den;
        parts[c] = std::floor(exact + 1e-6);
        left -= parts[c];
        remainders.emplace_back(parts[c] - exact, c);
      }
      std::sort(remainders.begin(), remainders.end());
      for (size_t i = 0; i < remainders.size() && left > 0.5; ++i, left -= 1) parts[remainders[i].second] += 1;
    }
    if (rate_of(parts) < kRounding * rate_of(weights)) even_out(parts, den);
    return parts;
  }

  // With the first denominator that costs next to nothing, or the one that costs least.
  TreePacking rounded(const std::vector<double>& weights, const std::vector<uint32_t>& dens) const {
    const double exact = rate_of(weights);
    std::vector<double> best;
    double best_rate = 0;
    uint32_t best_den = 1;
    for (const uint32_t den : dens) {
      std::vector<double> parts = parts_of(weights, den);
      const double rate = rate_of(parts);
      if (rate > best_rate) best_rate = rate, best_den = den, best = std::move(parts);
      if (best_rate >= kRounding * exact) break;
    }
    TreePacking packing{.den = best_den, .trees = {}, .bytes_per_us = best_rate * hops_.unit_bytes_per_us()};
    for (int group = 0; group < groups_; ++group) {
      uint32_t begin = 0;
      for (size_t c = 0; c < best.size(); ++c) {
        if (candidates_[c].group != group || best[c] < 0.5) continue;
        const auto end = begin + static_cast<uint32_t>(best[c] + 0.5);
        packing.trees.push_back({candidates_[c].root, begin, end, candidates_[c].down, candidates_[c].up});
        begin = end;
      }
    }
    return packing;
  }

  const DirectHops hops_;
  const int n_;
  const PackingKind kind_;
  const int root_;
  const int groups_;
  std::vector<int> distance_;
  int farthest_ = 1;
  std::vector<Candidate> candidates_;
  std::set<std::vector<int>> known_;
  std::vector<double> best_prices_;
  double bound_ = std::numeric_limits<double>::infinity();
  int64_t work_ = 0;
};

}  // namespace

TreePacking pack_trees(const Network& network, PackingKind kind, int root) {
  return TreePacker(network, kind, root).pack();
}

}  // namespace tutti
