#include "plan/flow.h"

#include <algorithm>
#include <limits>

namespace tutti {

Flow::Flow(const Network& network, bool reversed) : vertices_(static_cast<uint32_t>(network.vertices())) {
  leaving_.resize(vertices_ + 2);
  arcs_.reserve(2 * (network.edges().size() + 2 * vertices_));
  double widest = 0;
  for (const Edge& edge : network.edges()) {
    add_arc(reversed ? edge.to : edge.from, reversed ? edge.from : edge.to, edge.bytes_per_us);
    widest = std::max(widest, edge.bytes_per_us);
  }
  tolerance_ = widest * 1e-11;
  for (uint32_t v = 0; v < vertices_; ++v) {
    source_arc_.push_back(static_cast<uint32_t>(arcs_.size()));
    add_arc(vertices_, v, 0);
    sink_arc_.push_back(static_cast<uint32_t>(arcs_.size()));
    add_arc(v, vertices_ + 1, 0);
  }
}

void Flow::add_arc(uint32_t from, uint32_t to, double capacity) {
  leaving_[from].push_back(static_cast<uint32_t>(arcs_.size()));
  arcs_.push_back({to, capacity, capacity});
  leaving_[to].push_back(static_cast<uint32_t>(arcs_.size()));
  arcs_.push_back({from, 0, 0});
}

// Distances from the source along arcs with room; whether the sink is reached.
bool Flow::layer() {
  level_.assign(vertices_ + 2, -1);
  queue_.clear();
  queue_.push_back(vertices_);
  level_[vertices_] = 0;
  for (size_t head = 0; head < queue_.size(); ++head) {
    const uint32_t vertex = queue_[head];
    for (const uint32_t a : leaving_[vertex]) {
      if (arcs_[a].room <= tolerance_ || level_[arcs_[a].to] >= 0) continue;
      level_[arcs_[a].to] = level_[vertex] + 1;
      queue_.push_back(arcs_[a].to);
    }
  }
  return level_[vertices_ + 1] >= 0;
}

double Flow::push(uint32_t vertex, double most) {
  if (vertex == vertices_ + 1) return most;
  double pushed = 0;
  for (uint32_t& i = next_[vertex]; i < leaving_[vertex].size(); ++i) {
    const uint32_t a = leaving_[vertex][i];
    if (arcs_[a].room <= tolerance_ || level_[arcs_[a].to] != level_[vertex] + 1) continue;
    const double part = push(arcs_[a].to, std::min(most - pushed, arcs_[a].room));
    arcs_[a].room -= part;
    arcs_[a ^ 1].room += part;
    pushed += part;
    if (most - pushed <= tolerance_) return pushed;
  }
  return pushed;
}

double Flow::run(std::span<const double> source_rate, std::span<const uint8_t> is_sink) {
  for (Arc& arc : arcs_) arc.room = arc.capacity;
  for (uint32_t v = 0; v < vertices_; ++v) {
    arcs_[source_arc_[v]].room = source_rate[v];
    arcs_[sink_arc_[v]].room = is_sink[v] != 0 ? std::numeric_limits<double>::infinity() : 0;
  }
  double total = 0;
  while (layer()) {
    next_.assign(vertices_ + 2, 0);
    total += push(vertices_, std::numeric_limits<double>::infinity());
  }
  side_.resize(vertices_);
  for (uint32_t v = 0; v < vertices_; ++v) side_[v] = level_[v] >= 0 ? 1 : 0;
  return total;
}

}  // namespace tutti
