#include "topology/ring_packing.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <utility>

#include "topology/hops.h"
#include "topology/linear_program.h"
#include "topology/packing.h"

namespace tutti {
namespace {

constexpr int kRounds = 80;
constexpr int kPasses = 60;

class RingPacker {
 public:
  RingPacker(const Network& network, std::vector<int> first, int most_fifos)
      : hops_(network, true), n_(static_cast<int>(first.size())), most_fifos_(most_fifos) {
    first_ = std::move(first);
  }

  RingPacking pack() {
    keep(first_);
    keep(reversed(first_));
    generate_columns();
    choose();
    return rounded();
  }

 private:
  using Order = std::vector<int>;

  static Order reversed(Order order) {
    std::reverse(order.begin(), order.end());
    return order;
  }
  double cost(int from, int to) const { return costs_[static_cast<size_t>(from * n_ + to)]; }
  int at(const Order& order, int i) const { return order[static_cast<size_t>((i + n_) % n_)]; }
  double length(const Order& order) const {
    double sum = 0;
    for (int i = 0; i < n_; ++i) sum += cost(at(order, i), at(order, i + 1));
    return sum;
  }

  bool keep(Order order) {
    // From rank 0 on, so that a ring has one name.
    std::rotate(order.begin(), std::find(order.begin(), order.end(), 0), order.end());
    if (!known_.insert(order).second) return false;
    rings_.push_back(std::move(order));
    return true;
  }

  std::vector<std::pair<int, double>> uses(const Order& order) const {
    std::vector<double> load(hops_.rates().size(), 0);
    for (int i = 0; i < n_; ++i) {
      for (const int link : hops_.links(at(order, i), at(order, i + 1))) load[static_cast<size_t>(link)] += 1;
    }
    std::vector<std::pair<int, double>> used;
    for (size_t link = 0; link < load.size(); ++link) {
      if (load[link] > 0) used.emplace_back(static_cast<int>(link), load[link]);
    }
    return used;
  }

  Order nearest_neighbours(int start) const {
    Order order{start};
    std::vector<bool> taken(static_cast<size_t>(n_), false);
    taken[static_cast<size_t>(start)] = true;
    while (static_cast<int>(order.size()) < n_) {
      int next = -1;
      for (int rank = 0; rank < n_; ++rank) {
        if (!taken[static_cast<size_t>(rank)] && (next < 0 || cost(order.back(), rank) < cost(order.back(), next))) next = rank;
      }
      taken[static_cast<size_t>(next)] = true;
      order.push_back(next);
    }
    return order;
  }

  // Moves the segment [begin, begin + size) behind place `to`, or turns [begin, begin + size) round, wherever that is shorter.
  void improve(Order& order) const {
    for (int pass = 0; pass < kPasses; ++pass) {
      if (!move_segment(order) && !turn_segment(order)) return;
    }
  }
  bool move_segment(Order& order) const {
    for (int size = 1; size <= n_ / 2; ++size) {
      for (int begin = 0; begin < n_; ++begin) {
        const int before = at(order, begin - 1), head = at(order, begin), tail = at(order, begin + size - 1),
                  after = at(order, begin + size);
        const double saved = cost(before, head) + cost(tail, after) - cost(before, after);
        for (int to = begin + size; to < begin + n_ - 1; ++to) {
          const int left = at(order, to), right = at(order, to + 1);
          if (cost(left, head) + cost(tail, right) - cost(left, right) >= saved * (1 - 1e-9) - 1e-15) continue;
          std::rotate(order.begin(), order.begin() + begin, order.end());
          std::rotate(order.begin(), order.begin() + size, order.begin() + (to - begin) + 1);
          return true;
        }
      }
    }
    return false;
  }
  bool turn_segment(Order& order) const {
    for (int begin = 0; begin < n_; ++begin) {
      double forward = 0, backward = 0;
      const int before = at(order, begin - 1), head = at(order, begin);
      for (int size = 2; size < n_ - 1; ++size) {
        const int previous = at(order, begin + size - 2), tail = at(order, begin + size - 1), after = at(order, begin + size);
        forward += cost(previous, tail);
        backward += cost(tail, previous);
        const double now = cost(before, head) + forward + cost(tail, after), then = cost(before, tail) + backward + cost(head, after);
        if (then >= now * (1 - 1e-9) - 1e-15) continue;
        std::rotate(order.begin(), order.begin() + begin, order.end());
        std::reverse(order.begin(), order.begin() + size);
        return true;
      }
    }
    return false;
  }

  void set_costs(const std::vector<double>& prices) {
    costs_.assign(static_cast<size_t>(n_ * n_), std::numeric_limits<double>::max() / n_);
    for (int from = 0; from < n_; ++from) {
      for (int to = 0; to < n_; ++to) {
        if (from == to) continue;
        double& sum = costs_[static_cast<size_t>(from * n_ + to)] = 0;
        for (const int link : hops_.links(from, to)) sum += std::max(prices[static_cast<size_t>(link)], 0.0) + 1e-7;
      }
    }
  }

  // Whether a ring was found that the program does not have and that is shorter than it pays for.
  bool add_shorter(double limit) {
    bool any = false;
    const int starts = std::min(n_, 4);
    for (int start = 0; start < starts; ++start) {
      Order order = nearest_neighbours((start * n_ / starts + static_cast<int>(rings_.size())) % n_);
      improve(order);
      if (length(order) < limit) any = keep(order) || any;
    }
    Order again = rings_.back();
    improve(again);
    if (length(again) < limit) any = keep(again) || any;
    return any;
  }

  void generate_columns() {
    LinearProgram lp(hops_.rates());
    size_t added = 0;
    for (int round = 0; round < kRounds; ++round) {
      for (; added < rings_.size(); ++added) lp.add(1, uses(rings_[added]));
      lp.solve(2000);
      set_costs(lp.prices());
      if (!add_shorter(1 - 1e-3)) break;
    }
    weights_ = lp.solution();
    weights_.resize(rings_.size(), 0);
  }

  // The heaviest rings, as many as the FIFOs allow, weighed anew.
  void choose() {
    std::vector<size_t> heaviest(rings_.size());
    std::iota(heaviest.begin(), heaviest.end(), size_t{0});
    std::stable_sort(heaviest.begin(), heaviest.end(), [&](size_t a, size_t b) { return weights_[a] > weights_[b]; });
    std::vector<uint32_t> taken(static_cast<size_t>(n_ * n_), 0);
    LinearProgram lp(hops_.rates());
    for (const size_t ring : heaviest) {
      if (weights_[ring] < 0.02 * weights_[heaviest.front()]) break;
      uint32_t clashes = 0;
      for (int i = 0; i < n_; ++i) clashes |= taken[hop(rings_[ring], i)];
      int fifo = 0;
      while ((clashes >> fifo & 1) != 0) ++fifo;
      if (fifo >= most_fifos_) continue;
      for (int i = 0; i < n_; ++i) taken[hop(rings_[ring], i)] |= 1u << fifo;
      lp.add(1, uses(rings_[ring]));
      chosen_.push_back({.fifo = fifo, .order = rings_[ring]});
    }
    lp.solve(2000);
    weights_ = lp.solution();
  }
  size_t hop(const Order& order, int i) const { return static_cast<size_t>(at(order, i) * n_ + at(order, i + 1)); }

  RingPacking rounded() const {
    constexpr uint32_t kDen = 240;
    const double sum = std::accumulate(weights_.begin(), weights_.end(), 0.0);
    RingPacking packing{.den = kDen, .fifos = 1, .rings = {}};
    double before = 0;
    for (size_t r = 0; r < chosen_.size(); ++r) {
      PackedRing ring = chosen_[r];
      ring.begin = static_cast<uint32_t>(std::floor(before / sum * kDen + 0.5));
      before += weights_[r];
      ring.end = r + 1 == chosen_.size() ? kDen : static_cast<uint32_t>(std::floor(before / sum * kDen + 0.5));
      if (ring.begin == ring.end) continue;
      packing.fifos = std::max(packing.fifos, ring.fifo + 1);
      packing.rings.push_back(std::move(ring));
    }
    reduce_den(packing);
    return packing;
  }

  static void reduce_den(RingPacking& packing) {
    uint32_t common = packing.den;
    for (const PackedRing& ring : packing.rings) common = std::gcd(common, ring.begin);
    packing.den /= common;
    for (PackedRing& ring : packing.rings) ring.begin /= common, ring.end /= common;
  }

  const Hops hops_;
  const int n_;
  const int most_fifos_;
  Order first_;
  std::vector<Order> rings_;
  std::set<Order> known_;
  std::vector<double> costs_, weights_;
  std::vector<PackedRing> chosen_;
};

}  // namespace

RingPacking pack_rings(const Network& network, std::vector<int> first, int most_fifos) {
  if (static_cast<int>(first.size()) > kMostPackedRanks || first.size() < 3) {
    RingPacking packing{.den = 2, .fifos = 1, .rings = {{.begin = 0, .end = 1, .fifo = 0, .order = first}}};
    std::reverse(first.begin(), first.end());
    packing.rings.push_back({.begin = 1, .end = 2, .fifo = 0, .order = std::move(first)});
    if (packing.rings[0].order.size() == 2) packing.rings.pop_back(), packing.den = 1;
    return packing;
  }
  return RingPacker(network, std::move(first), most_fifos).pack();
}

}  // namespace tutti
