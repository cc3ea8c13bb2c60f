#include "topology/measured.h"

#include <algorithm>
#include <limits>
#include <map>
#include <string>

#include "topology/network.h"

namespace tutti {
namespace {

// A pair that gets this part of what both its ends can do is held back by nothing between them. Probes repeat within some percent.
constexpr double kFullRate = 0.85;
// Shorter than anything that a message can cross.
constexpr double kLeastLatencyUs = 0.01;

// What each can send and receive, and how far it is from the middle, if all are joined by one switch.
struct Star {
  std::vector<double> up, down, latency_us;
};

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// The best that it ever did is what a thing can do. latency(i, j) = l(i) + l(j): so l(i) is half of latency(i, j) + latency(i, k) -
// latency(j, k), whichever j and k.
Star fit_star(const PairMatrix& GBps, const PairMatrix& latency_us) {
  const int n = GBps.size();
  Star star;
  for (int i = 0; i < n; ++i) {
    double up = 0, down = 0;
    std::vector<double> halves;
    const auto both_ways = [&](int a, int b) { return (latency_us.at(a, b) + latency_us.at(b, a)) / 2; };
    for (int j = 0; j < n; ++j) {
      if (j == i) continue;
      up = std::max(up, GBps.at(i, j));
      down = std::max(down, GBps.at(j, i));
      if (n == 2) halves.push_back(both_ways(i, j) / 2);
      for (int k = j + 1; k < n; ++k) {
        if (k != i) halves.push_back((both_ways(i, j) + both_ways(i, k) - both_ways(j, k)) / 2);
      }
    }
    star.up.push_back(up);
    star.down.push_back(down);
    star.latency_us.push_back(std::max(kLeastLatencyUs, halves.empty() ? 0 : median(std::move(halves))));
  }
  return star;
}

// Things that reach each other at their full rates, directly or in a chain, numbered by their first.
std::vector<int> group(const PairMatrix& GBps, const Star& star) {
  const int n = GBps.size();
  const auto full = [&](int from, int to) {
    const auto i = static_cast<size_t>(from), j = static_cast<size_t>(to);
    return GBps.at(from, to) >= kFullRate * std::min(star.up[i], star.down[j]);
  };
  std::vector<int> number(static_cast<size_t>(n), -1);
  int groups = 0;
  for (int start = 0; start < n; ++start) {
    if (number[static_cast<size_t>(start)] >= 0) continue;
    std::vector<int> stack{start};
    number[static_cast<size_t>(start)] = groups;
    while (!stack.empty()) {
      const int i = stack.back();
      stack.pop_back();
      for (int j = 0; j < n; ++j) {
        if (number[static_cast<size_t>(j)] >= 0 || !full(i, j) || !full(j, i)) continue;
        number[static_cast<size_t>(j)] = groups;
        stack.push_back(j);
      }
    }
    ++groups;
  }
  return number;
}

// The best between the members of each two groups.
PairMatrix best_between(const PairMatrix& of_members, const std::vector<int>& group_of, int groups, bool larger_is_better) {
  PairMatrix best(groups);
  for (int i = 0; i < of_members.size(); ++i) {
    for (int j = 0; j < of_members.size(); ++j) {
      const int a = group_of[static_cast<size_t>(i)], b = group_of[static_cast<size_t>(j)];
      if (a == b) continue;
      double& value = best.at(a, b);
      const double other = of_members.at(i, j);
      if (value == 0 || (larger_is_better ? other > value : other < value)) value = other;
    }
  }
  return best;
}

PairMatrix part_of(const PairMatrix& all, const std::vector<int>& members) {
  PairMatrix part(static_cast<int>(members.size()));
  for (int i = 0; i < part.size(); ++i) {
    for (int j = 0; j < part.size(); ++j) part.at(i, j) = all.at(members[static_cast<size_t>(i)], members[static_cast<size_t>(j)]);
  }
  return part;
}

class Explanation {
 public:
  Explanation(std::span<const RankPlace> places, const PairMatrix& GBps, const PairMatrix& latency_us)
      : places_(places), GBps_(GBps), latency_us_(latency_us) {
    explained_.graph.source = "measured";
  }

  Explained take() {
    find_nodes();
    explained_.graph.name = nodes_.size() > 1 ? std::to_string(nodes_.size()) + " nodes, probed" : "host, probed";
    for (size_t node = 0; node < nodes_.size(); ++node) add_node(node);
    if (nodes_.size() > 1) add_network();
    judge();
    return std::move(explained_);
  }

 private:
  void find_nodes() {
    std::map<std::string, int> numbers;
    for (size_t rank = 0; rank < places_.size(); ++rank) {
      const int node = numbers.emplace(places_[rank].node, static_cast<int>(numbers.size())).first->second;
      if (node == static_cast<int>(nodes_.size())) nodes_.emplace_back();
      nodes_[static_cast<size_t>(node)].push_back(static_cast<int>(rank));
      node_of_.push_back(node);
    }
  }

  void link(const std::string& from, const std::string& to, double GBps, double latency_us, const char* kind) {
    explained_.graph.links.push_back({.from = from, .to = to, .GBps = GBps, .latency_us = latency_us, .kind = kind, .count = 1});
  }

  // A rank alone on its node was measured with none beside it: it is taken to be as fast as its network.
  void add_node(size_t node) {
    const std::vector<int>& ranks = nodes_[node];
    const std::string memory = "memory" + std::to_string(node);
    explained_.graph.switches.push_back({.id = memory});
    Star star = fit_star(part_of(GBps_, ranks), part_of(latency_us_, ranks));
    for (size_t i = 0; i < ranks.size(); ++i) {
      const int rank = ranks[i];
      const RankPlace& place = places_[static_cast<size_t>(rank)];
      if (ranks.size() == 1) star = alone(rank);
      const std::string id = "rank" + std::to_string(rank);
      const char* const kind = place.device == "host" ? "shm" : "pcie";
      explained_.graph.endpoints.push_back(
          {.id = id, .device = place.device, .vendor = place.vendor, .node = "node" + std::to_string(node), .rank = rank});
      link(id, memory, star.up[i], star.latency_us[i], kind);
      link(memory, id, star.down[i], star.latency_us[i], kind);
    }
  }

  Star alone(int rank) const {
    double fastest = 0;
    for (int other = 0; other < GBps_.size(); ++other) {
      if (other != rank) fastest = std::max({fastest, GBps_.at(rank, other), GBps_.at(other, rank)});
    }
    return {{fastest}, {fastest}, {kLeastLatencyUs}};
  }

  void add_network() {
    const int n = static_cast<int>(nodes_.size());
    const PairMatrix GBps = best_between(GBps_, node_of_, n, true), latency = best_between(latency_us_, node_of_, n, false);
    const Star star = fit_star(GBps, latency);
    const std::vector<int> group_of = group(GBps, star);
    const int groups = *std::max_element(group_of.begin(), group_of.end()) + 1;
    explained_.graph.switches.push_back({.id = "network"});
    for (int node = 0; node < n; ++node) {
      const auto i = static_cast<size_t>(node);
      const std::string above = groups > 1 ? "group" + std::to_string(group_of[i]) : "network";
      const std::string memory = "memory" + std::to_string(node);
      link(memory, above, star.up[i], star.latency_us[i], "network");
      link(above, memory, star.down[i], star.latency_us[i], "network");
    }
    if (groups == 1) return;
    const PairMatrix between = best_between(GBps, group_of, groups, true);
    const Star uplinks = fit_star(between, PairMatrix(groups));
    for (int g = 0; g < groups; ++g) {
      const std::string id = "group" + std::to_string(g);
      explained_.graph.switches.push_back({.id = id});
      link(id, "network", uplinks.up[static_cast<size_t>(g)], 0, "uplink");
      link("network", id, uplinks.down[static_cast<size_t>(g)], 0, "uplink");
    }
    for (Endpoint& endpoint : explained_.graph.endpoints) {
      const auto node = static_cast<size_t>(node_of_[static_cast<size_t>(endpoint.rank)]);
      endpoint.island = "group" + std::to_string(group_of[node]);
    }
  }

  // How far the graph is from what was measured.
  void judge() {
    Result<Network> network = Network::create(explained_.graph);
    if (!network.ok()) return;  // not made by us
    for (int from = 0; from < GBps_.size(); ++from) {
      for (int to = 0; to < GBps_.size(); ++to) {
        if (from == to) continue;
        double predicted = std::numeric_limits<double>::infinity();
        for (const uint32_t edge : network->route(from, to)) predicted = std::min(predicted, network->edges()[edge].bytes_per_us / 1000);
        const double ratio = predicted / GBps_.at(from, to);
        const auto badness = [](double r) { return std::max(r, 1 / r); };
        if (badness(ratio) <= badness(explained_.worst_ratio)) continue;
        explained_.worst_ratio = ratio;
        explained_.worst_from = from;
        explained_.worst_to = to;
      }
    }
  }

  std::span<const RankPlace> places_;
  const PairMatrix& GBps_;
  const PairMatrix& latency_us_;
  std::vector<std::vector<int>> nodes_;  // their ranks
  std::vector<int> node_of_;
  Explained explained_;
};

}  // namespace

Explained explain_measurement(std::span<const RankPlace> places, const PairMatrix& GBps, const PairMatrix& latency_us) {
  return Explanation(places, GBps, latency_us).take();
}

}  // namespace tutti
