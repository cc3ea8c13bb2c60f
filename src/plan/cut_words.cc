// cut_in_words(): a cut by the name that a person has for it.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <set>
#include <string_view>

#include "plan/cuts.h"

namespace tutti {
namespace {

// The links that cross in the direction that binds.
struct Crossing {
  int count = 0;
  bool only_nics = true;
};

Crossing crossing(const Topology& topology, const Cut& cut, bool outward) {
  Crossing result;
  const auto edges = topology.network().edges();
  for (size_t e = 0; e < edges.size(); ++e) {
    const bool from = cut.side[edges[e].from] != 0, to = cut.side[edges[e].to] != 0;
    if (from == to || from != outward) continue;
    const Link& link = topology.graph().links[e];
    result.count += link.count;
    const std::string_view kind = link.kind;
    result.only_nics &= kind == "pcie" || kind == "infiniband" || kind == "roce" || kind == "efa" || kind == "ethernet";
  }
  return result;
}

// The ranks of the smaller side.
std::vector<int> smaller_side(const Topology& topology, const Cut& cut) {
  const bool inside = 2 * cut.ranks <= topology.nranks();
  std::vector<int> ranks;
  for (int rank = 0; rank < topology.nranks(); ++rank) {
    if ((cut.side[topology.network().vertex_of_rank(rank)] != 0) == inside) ranks.push_back(rank);
  }
  return ranks;
}

const Endpoint& endpoint(const Topology& topology, int rank) {
  return topology.graph().endpoints[topology.network().vertex_of_rank(rank)];
}

std::string places(int begin, int end) {
  return begin + 1 == end ? std::to_string(begin) : std::to_string(begin) + "-" + std::to_string(end - 1);
}

// "axis 2, between places 0-3 and 4-7": where the ranks are a slab of the torus that starts at place 0 of an axis.
std::string as_slab(const Topology& topology, const std::vector<int>& ranks) {
  if (!topology.torus()) return "";
  const Torus& torus = *topology.torus();
  for (int axis = 0; axis < torus.dimensions(); ++axis) {
    const int size = torus.axes()[static_cast<size_t>(axis)].size;
    std::vector<int> filled(static_cast<size_t>(size), 0);
    for (const int rank : ranks) ++filled[static_cast<size_t>(torus.place(rank, axis))];
    const int full = torus.size() / size;
    if (std::any_of(filled.begin(), filled.end(), [&](int f) { return f != 0 && f != full; })) continue;
    const int first = filled[0] != 0 ? full : 0;
    const int turn = static_cast<int>(std::find(filled.begin(), filled.end(), full - first) - filled.begin());
    if (std::any_of(filled.begin() + turn, filled.end(), [&](int f) { return f == first; })) continue;
    return "axis " + std::to_string(axis) + ", between places " + places(0, turn) + " and " + places(turn, size);
  }
  return "";
}

// Whether every endpoint has as much as any other.
bool all_endpoints_alike(const Topology& topology) {
  const Network& network = topology.network();
  const auto room = [&](int rank, std::span<const uint32_t> (Network::*edges_of)(uint32_t) const) {
    double sum = 0;
    for (const uint32_t e : (network.*edges_of)(network.vertex_of_rank(rank))) sum += network.edges()[e].bytes_per_us;
    return sum;
  };
  for (int rank = 1; rank < topology.nranks(); ++rank) {
    for (const auto edges_of : {&Network::out, &Network::in}) {
      if (std::abs(room(rank, edges_of) / room(0, edges_of) - 1) > 1e-9) return false;
    }
  }
  return true;
}

// Whether all groups of that kind have as many endpoints.
bool all_groups_alike(const Topology& topology, std::string Endpoint::*name) {
  std::map<std::string, int> ranks;
  for (const Endpoint& e : topology.graph().endpoints) {
    if (e.rank >= 0) ++ranks[e.*name];
  }
  return std::all_of(ranks.begin(), ranks.end(), [&](const auto& group) { return group.second == ranks.begin()->second; });
}

// The node or island that the ranks are; empty: they are none.
std::string as_group(const Topology& topology, const std::vector<int>& ranks) {
  const Endpoint& first = endpoint(topology, ranks.front());
  size_t node = 0, island = 0;
  for (const Endpoint& e : topology.graph().endpoints) {
    if (e.rank < 0) continue;
    node += e.node == first.node;
    island += e.island == first.island;
  }
  const auto all = [&](std::string Endpoint::*name) {
    return std::all_of(ranks.begin(), ranks.end(), [&](int rank) { return endpoint(topology, rank).*name == first.*name; });
  };
  const bool alike = all_endpoints_alike(topology);
  if (node == ranks.size() && all(&Endpoint::node)) {
    return alike && all_groups_alike(topology, &Endpoint::node) ? "any one node" : "node " + first.node;
  }
  if (!first.island.empty() && island == ranks.size() && all(&Endpoint::island)) {
    return alike && all_groups_alike(topology, &Endpoint::island) ? "any one island" : "island " + first.island;
  }
  return "";
}

// "3 of the 8 nodes": where the ranks are whole nodes or islands.
std::string as_groups(const Topology& topology, const std::vector<int>& ranks) {
  const auto count = [&](auto name_of) -> std::string {
    std::set<std::string> inside, outside;
    std::vector<uint8_t> member(static_cast<size_t>(topology.nranks()), 0);
    for (const int rank : ranks) member[static_cast<size_t>(rank)] = 1;
    for (int rank = 0; rank < topology.nranks(); ++rank) {
      (member[static_cast<size_t>(rank)] != 0 ? inside : outside).insert(name_of(endpoint(topology, rank)));
    }
    if (std::any_of(inside.begin(), inside.end(), [&](const std::string& name) { return outside.count(name) > 0; })) return "";
    if (inside.size() == ranks.size()) return "";  // every one alone: that says nothing
    return std::to_string(inside.size()) + " of the " + std::to_string(inside.size() + outside.size());
  };
  const std::string islands = count([](const Endpoint& e) { return e.island.empty() ? e.node : e.island; });
  if (!islands.empty()) return islands + " islands";
  const std::string nodes = count([](const Endpoint& e) { return e.node; });
  return nodes.empty() ? "" : nodes + " nodes";
}

// "switch cs3-0/swarmx1.0": where the ranks are all that hang below one.
std::string as_leaf(const Topology& topology, const std::vector<int>& ranks) {
  const std::vector<uint32_t> leaf_of = leaves_of_ranks(topology);
  const uint32_t leaf = leaf_of[static_cast<size_t>(ranks.front())];
  if (static_cast<int>(leaf) < topology.network().endpoints()) return "";
  if (static_cast<size_t>(std::count(leaf_of.begin(), leaf_of.end(), leaf)) != ranks.size()) return "";
  if (std::any_of(ranks.begin(), ranks.end(), [&](int rank) { return leaf_of[static_cast<size_t>(rank)] != leaf; })) return "";
  return "switch " + topology.graph().switches[leaf - topology.graph().endpoints.size()].id;
}

}  // namespace

std::string GBps_in_words(double bytes_per_us) {
  const double GBps = bytes_per_us / 1000;
  char text[64];
  std::snprintf(text, sizeof text, GBps >= 1000 ? "%.0f GB/s" : "%.4g GB/s", GBps);
  return text;
}

std::string cut_in_words(const Topology& topology, const Cut& cut, bool outward) {
  const std::vector<int> ranks = smaller_side(topology, cut);
  const Crossing links = crossing(topology, cut, outward);
  const std::string speed = " (" + GBps_in_words(outward ? cut.out : cut.in) + ")";
  const char* const what = links.only_nics ? "NICs" : "links";
  if (ranks.empty()) return "no cut";
  if (ranks.size() == 1) {
    if (all_endpoints_alike(topology)) return "any one endpoint's " + std::string(what) + speed;
    return "endpoint " + endpoint(topology, ranks[0]).id + "'s " + what + speed;
  }
  const std::string number = "the " + std::to_string(links.count) + (links.count == 1 ? " link" : " links");
  if (const std::string slab = as_slab(topology, ranks); !slab.empty()) return number + " across " + slab + speed;
  if (const std::string group = as_group(topology, ranks); !group.empty()) return group + "'s " + what + speed;
  if (const std::string leaf = as_leaf(topology, ranks); !leaf.empty()) return leaf + "'s links to the others" + speed;
  if (const std::string groups = as_groups(topology, ranks); !groups.empty())
    return number + " between " + groups + " and the others" + speed;
  std::string names;
  for (size_t i = 0; i < std::min<size_t>(ranks.size(), 4); ++i) names += (i == 0 ? "" : ", ") + endpoint(topology, ranks[i]).id;
  if (ranks.size() > 4) names += " and " + std::to_string(ranks.size() - 4) + " more";
  return number + " between {" + names + "} and the rest" + speed;
}

}  // namespace tutti
