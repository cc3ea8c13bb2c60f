#include "topology/network.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <queue>
#include <string>
#include <tuple>
#include <unordered_map>

namespace tutti {
namespace {

Status malformed(const std::string& what) {
  return {Code::kInvalidArgument, "topology: " + what};
}

// Numbers the edges by one of their ends.
void index(const std::vector<Edge>& edges, uint32_t Edge::*end, size_t vertices, std::vector<uint32_t>& list,
           std::vector<uint32_t>& begin) {
  begin.assign(vertices + 1, 0);
  for (const Edge& edge : edges) ++begin[edge.*end + 1];
  for (size_t v = 0; v < vertices; ++v) begin[v + 1] += begin[v];
  list.resize(edges.size());
  std::vector<uint32_t> next(begin.begin(), begin.end() - 1);
  for (uint32_t e = 0; e < edges.size(); ++e) list[next[edges[e].*end]++] = e;
}

Status number_ranks(const Graph& graph, std::vector<uint32_t>& vertex_of_rank) {
  constexpr uint32_t kNobody = std::numeric_limits<uint32_t>::max();
  const auto ranks = std::count_if(graph.endpoints.begin(), graph.endpoints.end(), [](const Endpoint& e) { return e.rank >= 0; });
  vertex_of_rank.assign(static_cast<size_t>(ranks), kNobody);
  for (uint32_t v = 0; v < graph.endpoints.size(); ++v) {
    const Endpoint& endpoint = graph.endpoints[v];
    if (endpoint.rank < 0) continue;
    if (endpoint.rank >= ranks) {
      return malformed("endpoint '" + endpoint.id + "' has rank " + std::to_string(endpoint.rank) + ", but only " + std::to_string(ranks) +
                       " endpoints have one: number them from 0");
    }
    uint32_t& holder = vertex_of_rank[static_cast<size_t>(endpoint.rank)];
    if (holder != kNobody) {
      return malformed("endpoints '" + graph.endpoints[holder].id + "' and '" + endpoint.id + "' both have rank " +
                       std::to_string(endpoint.rank));
    }
    holder = v;
  }
  return {};
}

}  // namespace

Result<Network> Network::create(const Graph& graph) {
  Network network;
  std::unordered_map<std::string, uint32_t> vertices;
  const auto add = [&](const std::string& id, bool forwards) {
    network.forwards_.push_back(forwards);
    return vertices.emplace(id, static_cast<uint32_t>(vertices.size())).second;
  };
  for (const Endpoint& endpoint : graph.endpoints) {
    if (!add(endpoint.id, endpoint.forwards)) return malformed("there are two vertices '" + endpoint.id + "'");
  }
  for (const Switch& each : graph.switches) {
    if (!add(each.id, true)) return malformed("there are two vertices '" + each.id + "'");
  }
  network.endpoints_ = static_cast<int>(graph.endpoints.size());
  if (Status status = number_ranks(graph, network.vertex_of_rank_); !status.ok()) return status;
  for (const Link& link : graph.links) {
    const auto wrong = [&](const std::string& what) { return malformed("the link from '" + link.from + "' to '" + link.to + "'" + what); };
    const auto from = vertices.find(link.from), to = vertices.find(link.to);
    if (from == vertices.end() || to == vertices.end()) {
      return wrong(": there is no endpoint or switch '" + (from == vertices.end() ? link.from : link.to) + "'");
    }
    if (from == to) return wrong(" joins a vertex to itself");
    if (!(link.GBps > 0) || !std::isfinite(link.GBps)) return wrong(" must have a GBps above 0, has " + std::to_string(link.GBps));
    if (!(link.latency_us >= 0) || !std::isfinite(link.latency_us)) {
      return wrong(" must have a latency_us of 0 or more, has " + std::to_string(link.latency_us));
    }
    if (link.count < 1) return wrong(" must have a count of 1 or more, has " + std::to_string(link.count));
    network.edges_.push_back({from->second, to->second, link.GBps * 1000 * link.count, link.latency_us});
  }
  index(network.edges_, &Edge::from, vertices.size(), network.out_, network.out_begin_);
  index(network.edges_, &Edge::to, vertices.size(), network.in_, network.in_begin_);
  if (network.nranks() > 0) {
    // All that rank 0 reaches and that reach it, reach each other through it.
    const uint32_t start = network.vertex_of_rank(0);
    const std::vector<bool> reached = network.reach(start, &Network::out, &Edge::to),
                            reaching = network.reach(start, &Network::in, &Edge::from);
    for (const uint32_t vertex : network.vertex_of_rank_) {
      if (reached[vertex] && reaching[vertex]) continue;
      return malformed("no links lead from '" + graph.endpoints[start].id + "' to '" + graph.endpoints[vertex].id +
                       "' and back: the graph is disconnected");
    }
  }
  return network;
}

std::vector<bool> Network::reach(uint32_t start, std::span<const uint32_t> (Network::*edges_of)(uint32_t) const,
                                 uint32_t Edge::*far) const {
  std::vector<bool> seen(out_begin_.size() - 1, false);
  std::vector<uint32_t> stack{start};
  seen[start] = true;
  while (!stack.empty()) {
    const uint32_t vertex = stack.back();
    stack.pop_back();
    for (const uint32_t e : (this->*edges_of)(vertex)) {
      const uint32_t next = edges_[e].*far;
      if (!seen[next]) stack.push_back(next);
      seen[next] = true;
    }
  }
  return seen;
}

std::vector<uint32_t> Network::search_from(int from_rank, std::span<const int> to_ranks) const {
  const uint32_t source = vertex_of_rank(from_rank);
  // Endpoints that would have to pass on what they cannot, latency, edges.
  using Cost = std::tuple<int, double, int>;
  constexpr Cost kUnreached{std::numeric_limits<int>::max(), 0, 0};
  std::vector<Cost> cost(out_begin_.size() - 1, kUnreached);
  std::vector<uint32_t> arrives_by(out_begin_.size() - 1, kNoEdge);
  std::vector<bool> awaited;
  size_t left = 0;  // of the targets, those that the search has not come to
  if (!to_ranks.empty()) {
    awaited.resize(cost.size());
    for (const int rank : to_ranks) {
      left += awaited[vertex_of_rank(rank)] ? 0 : 1;
      awaited[vertex_of_rank(rank)] = true;
    }
  }
  using Entry = std::pair<Cost, uint32_t>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> frontier;
  cost[source] = {0, 0, 0};
  frontier.push({cost[source], source});
  while (!frontier.empty()) {
    const auto [reached, vertex] = frontier.top();
    frontier.pop();
    if (reached > cost[vertex]) continue;
    if (!awaited.empty() && awaited[vertex]) {
      awaited[vertex] = false;
      if (--left == 0) break;
    }
    const auto [relays, latency, hops] = reached;
    const int through = vertex == source || forwards_[vertex] ? 0 : 1;
    for (const uint32_t e : out(vertex)) {
      const Cost next{relays + through, latency + edges_[e].latency_us, hops + 1};
      const uint32_t to = edges_[e].to;
      if (next < cost[to] || (next == cost[to] && e < arrives_by[to])) {
        cost[to] = next;
        arrives_by[to] = e;
        frontier.push({next, to});
      }
    }
  }
  return arrives_by;
}

std::vector<uint32_t> Network::way_found(const std::vector<uint32_t>& search, int from_rank, int to_rank) const {
  const uint32_t source = vertex_of_rank(from_rank);
  std::vector<uint32_t> edges;
  for (uint32_t vertex = vertex_of_rank(to_rank); vertex != source; vertex = edges_[edges.back()].from) {
    if (search[vertex] == kNoEdge) return {};
    edges.push_back(search[vertex]);
  }
  std::reverse(edges.begin(), edges.end());
  return edges;
}

uint32_t Network::nearest_by(int from_rank, int to_rank) const {
  const uint32_t target = vertex_of_rank(to_rank);
  double least = std::numeric_limits<double>::infinity(), direct = least;
  uint32_t edge = kNoEdge;
  for (const uint32_t e : out(vertex_of_rank(from_rank))) {
    least = std::min(least, edges_[e].latency_us);
    if (edges_[e].to != target || edges_[e].latency_us >= direct) continue;
    direct = edges_[e].latency_us;
    edge = e;
  }
  return direct <= least ? edge : kNoEdge;
}

std::vector<uint32_t> Network::route(int from_rank, int to_rank) const {
  const uint32_t edge = nearest_by(from_rank, to_rank);
  if (edge != kNoEdge) return {edge};
  return way_found(search_from(from_rank, {&to_rank, 1}), from_rank, to_rank);
}

std::vector<std::vector<uint32_t>> Network::routes_from(int from_rank, std::span<const int> to_ranks) const {
  const std::vector<uint32_t> search = search_from(from_rank, to_ranks);
  std::vector<std::vector<uint32_t>> routes;
  routes.reserve(to_ranks.size());
  for (const int to : to_ranks) routes.push_back(way_found(search, from_rank, to));
  return routes;
}

}  // namespace tutti
