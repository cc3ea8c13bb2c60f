// A graph with its names resolved to dense numbers: what the simulator, the bounds and the layouts compute on. Parallel links of one kind
// are one edge of their joint rate.
//
//   vertex   an endpoint or a switch: the endpoints first, in the graph's order, then the switches
//   edge     one link of the graph, one direction
//
// Threading: immutable once made; share freely.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "topology/graph.h"

namespace tutti {

struct Edge {
  uint32_t from = 0;
  uint32_t to = 0;
  double bytes_per_us = 0;  // 1000 per GB/s; of all `count` links together
  double latency_us = 0;
};

class Network {
 public:
  // Errors: kInvalidArgument (a link names nobody, a rate is not positive, ranks are not 0 .. n-1 once each, an endpoint with a rank cannot
  // reach another): the sentence names the object.
  static Result<Network> create(const Graph& graph);

  int vertices() const { return static_cast<int>(out_begin_.size()) - 1; }
  int endpoints() const { return endpoints_; }
  int nranks() const { return static_cast<int>(vertex_of_rank_.size()); }
  uint32_t vertex_of_rank(int rank) const { return vertex_of_rank_[static_cast<size_t>(rank)]; }
  std::span<const Edge> edges() const { return edges_; }
  // Edges that leave, and that enter, a vertex, by index.
  std::span<const uint32_t> out(uint32_t vertex) const { return part(out_, out_begin_, vertex); }
  std::span<const uint32_t> in(uint32_t vertex) const { return part(in_, in_begin_, vertex); }

  // The edges that a message from one rank to another crosses, in order: the way of the least latency, of those the fewest edges, then the
  // lowest indices; past endpoints that do not forward only where there is no other. Empty where from == to. O(vertices log vertices) at
  // worst; not kept.
  std::vector<uint32_t> route(int from_rank, int to_rank) const;
  // The same for one rank and many others, by one search: routes_from(from, {a, b})[1] == route(from, b).
  std::vector<std::vector<uint32_t>> routes_from(int from_rank, std::span<const int> to_ranks) const;

  // The parts of it, for those who keep searches (routes.h). The edge by which the best way from a rank enters each vertex: right for the
  // targets and what lies before them, or, where none are named, for all.
  std::vector<uint32_t> search_from(int from_rank, std::span<const int> to_ranks) const;
  std::vector<uint32_t> way_found(const std::vector<uint32_t>& search, int from_rank, int to_rank) const;
  // The edge that is the route, where that can be told without a search: no other leaves the rank with less latency. Else kNoEdge.
  uint32_t nearest_by(int from_rank, int to_rank) const;
  static constexpr uint32_t kNoEdge = 0xffffffffu;

 private:
  // Which vertices are found from `start` along edges_of(vertex), each leading to its `far` end.
  std::vector<bool> reach(uint32_t start, std::span<const uint32_t> (Network::*edges_of)(uint32_t) const, uint32_t Edge::*far) const;
  static std::span<const uint32_t> part(const std::vector<uint32_t>& list, const std::vector<uint32_t>& begin, uint32_t vertex) {
    return std::span(list).subspan(begin[vertex], begin[vertex + 1] - begin[vertex]);
  }

  int endpoints_ = 0;
  std::vector<uint32_t> vertex_of_rank_;
  std::vector<bool> forwards_;  // of each vertex
  std::vector<Edge> edges_;
  std::vector<uint32_t> out_, in_, out_begin_, in_begin_;
};

}  // namespace tutti
