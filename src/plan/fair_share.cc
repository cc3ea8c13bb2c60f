#include "plan/fair_share.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace tutti {
namespace {

// Rates that differ by less are the same rate: it keeps the rounding of sums from waking flows.
constexpr double kSame = 1e-12;

}  // namespace

FairShare::FairShare(std::vector<double> capacity)
    : capacity_(std::move(capacity)),
      running_(capacity_.size()),
      is_touched_(capacity_.size()),
      edge_seen_(capacity_.size()),
      left_(capacity_.size()),
      wants_(capacity_.size()) {}

uint32_t FairShare::add_flow(std::span<const uint32_t> edges) {
  edges_.insert(edges_.end(), edges.begin(), edges.end());
  place_.resize(edges_.size());
  way_begin_.push_back(static_cast<uint32_t>(edges_.size()));
  rate_.push_back(0);
  flow_seen_.push_back(false);
  return static_cast<uint32_t>(rate_.size() - 1);
}

void FairShare::touch(uint32_t edge) {
  if (is_touched_[edge]) return;
  is_touched_[edge] = true;
  touched_.push_back(edge);
}

void FairShare::start(uint32_t flow) {
  for (uint32_t hop = 0; hop < way(flow).size(); ++hop) {
    const uint32_t edge = way(flow)[hop];
    place_[way_begin_[flow] + hop] = static_cast<uint32_t>(running_[edge].size());
    running_[edge].push_back({flow, hop});
    touch(edge);
  }
}

bool FairShare::stop(uint32_t flow) {
  bool shared = false;
  for (uint32_t hop = 0; hop < way(flow).size(); ++hop) {
    const uint32_t edge = way(flow)[hop], place = place_[way_begin_[flow] + hop];
    const Running last = running_[edge].back();
    running_[edge][place] = last;
    place_[way_begin_[last.flow] + last.hop] = place;
    running_[edge].pop_back();
    if (running_[edge].empty()) continue;
    shared = true;
    touch(edge);
  }
  rate_[flow] = 0;
  return shared;
}

bool FairShare::settle_alone(uint32_t flow) {
  double rate = capacity_[way(flow)[0]];
  for (const uint32_t edge : way(flow)) {
    if (running_[edge].size() != 1) return false;
    rate = std::min(rate, capacity_[edge]);
  }
  rate_[flow] = rate;
  return true;
}

double FairShare::least_rate(uint32_t flow) const {
  double rate = capacity_[way(flow)[0]];
  for (const uint32_t edge : way(flow)) rate = std::min(rate, capacity_[edge] / static_cast<double>(running_[edge].size()));
  return rate;
}

std::span<const uint32_t> FairShare::settle() {
  changed_.clear();
  for (const uint32_t edge : touched_) {
    is_touched_[edge] = false;
    if (edge_seen_[edge] || running_[edge].empty()) continue;
    const size_t first_edge = component_edges_.size(), first_flow = component_flows_.size();
    collect(edge);
    if (component_flows_.size() - first_flow == 1) {  // alone: the narrowest edge
      double rate = std::numeric_limits<double>::infinity();
      for (size_t i = first_edge; i < component_edges_.size(); ++i) {
        const uint32_t member = component_edges_[i];
        rate = std::min(rate, capacity_[member] / static_cast<double>(running_[member].size()));  // which it may cross more than once
      }
      set_rate(component_flows_[first_flow], rate);
      flow_seen_[component_flows_[first_flow]] = false;
      continue;
    }
    levels_.clear();
    for (size_t i = first_edge; i < component_edges_.size(); ++i) {
      const uint32_t member = component_edges_[i];
      left_[member] = capacity_[member];
      wants_[member] = static_cast<uint32_t>(running_[member].size());
      levels_.push_back({left_[member] / wants_[member], member});
    }
    fill();
  }
  touched_.clear();
  for (const uint32_t edge : component_edges_) edge_seen_[edge] = false;
  component_edges_.clear();
  component_flows_.clear();
  return changed_;
}

// The edges and flows that are joined to `edge`.
void FairShare::collect(uint32_t edge) {
  size_t next = component_edges_.size();
  edge_seen_[edge] = true;
  component_edges_.push_back(edge);
  for (; next < component_edges_.size(); ++next) {
    for (const Running& running : running_[component_edges_[next]]) {
      if (flow_seen_[running.flow]) continue;
      flow_seen_[running.flow] = true;
      component_flows_.push_back(running.flow);
      work_ += way(running.flow).size();
      for (const uint32_t other : way(running.flow)) {
        if (edge_seen_[other]) continue;
        edge_seen_[other] = true;
        component_edges_.push_back(other);
      }
    }
  }
}

// Progressive filling: the edge that is full first gives its flows their rate; what is left of the others is shared by the rest. The level
// of an edge only rises as others fill, so a stale one is put back where it belongs. A flow has no rate yet while it is seen.
void FairShare::fill() {
  const auto later = [](const Level& a, const Level& b) { return a.rate != b.rate ? a.rate > b.rate : a.edge > b.edge; };
  std::make_heap(levels_.begin(), levels_.end(), later);
  while (!levels_.empty()) {
    std::pop_heap(levels_.begin(), levels_.end(), later);
    const Level level = levels_.back();
    levels_.pop_back();
    if (wants_[level.edge] == 0) continue;
    const double now = left_[level.edge] / wants_[level.edge];
    if (now > level.rate * (1 + kSame)) {
      levels_.push_back({now, level.edge});
      std::push_heap(levels_.begin(), levels_.end(), later);
      continue;
    }
    for (const Running& running : running_[level.edge]) {
      if (!flow_seen_[running.flow]) continue;
      flow_seen_[running.flow] = false;
      set_rate(running.flow, now);
      for (const uint32_t edge : way(running.flow)) {
        left_[edge] -= now;
        --wants_[edge];
      }
    }
  }
}

void FairShare::set_rate(uint32_t flow, double rate) {
  if (std::abs(rate - rate_[flow]) <= kSame * rate) return;
  rate_[flow] = rate;
  changed_.push_back(flow);
}

}  // namespace tutti
