// Max-min fair rates of flows over shared edges: the rates of all flows that share an edge are raised together until it is full. What
// changes is settled with what it touches: the connected components, by shared edges, of the flows that came or went.
// Threading: one thread an object. Borrows the capacities.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tutti {

class FairShare {
 public:
  // capacity[e] > 0 of every edge.
  explicit FairShare(std::vector<double> capacity);

  // Gives a flow its way, not empty; an edge that stands there several times bears the flow as often. Numbers count from 0. The flow does
  // not run yet.
  uint32_t add_flow(std::span<const uint32_t> edges);

  void start(uint32_t flow);  // of one that does not run
  bool stop(uint32_t flow);   // of one that runs; whether any that runs shared an edge with it
  double rate(uint32_t flow) const { return rate_[flow]; }
  // Of a flow that runs: whether it shares no edge. Then it has its rate at once.
  bool settle_alone(uint32_t flow);
  // No less than this when all that runs now is settled.
  double least_rate(uint32_t flow) const;

  // The flows whose rates have changed since the last call, in no particular order; among them all that have started. Holds until the next.
  std::span<const uint32_t> settle();

  // How many edges of flows all settling has looked at so far.
  uint64_t work() const { return work_; }

 private:
  struct Running {
    uint32_t flow;
    uint32_t hop;  // of the flow's way
  };
  struct Level {  // the rate at which an edge would be full, as it was when pushed
    double rate;
    uint32_t edge;
  };

  std::span<const uint32_t> way(uint32_t flow) const {
    return std::span(edges_).subspan(way_begin_[flow], way_begin_[flow + 1] - way_begin_[flow]);
  }
  void touch(uint32_t edge);
  void collect(uint32_t edge);
  void fill();
  void set_rate(uint32_t flow, double rate);

  std::vector<double> capacity_;
  std::vector<std::vector<Running>> running_;  // of each edge
  std::vector<uint32_t> way_begin_{0};
  std::vector<uint32_t> edges_;
  std::vector<uint32_t> place_;  // beside edges_: where in running_ the flow stands
  std::vector<double> rate_;     // of each flow; 0 where it does not run
  std::vector<uint32_t> touched_;
  std::vector<bool> is_touched_;
  // One component at a time.
  std::vector<uint32_t> component_edges_, component_flows_, changed_;
  std::vector<bool> edge_seen_, flow_seen_;
  std::vector<double> left_;     // of each edge of the component: what is not given out
  std::vector<uint32_t> wants_;  // and how many flows have no rate yet
  std::vector<Level> levels_;
  uint64_t work_ = 0;
};

}  // namespace tutti
