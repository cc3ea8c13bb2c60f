// Max-min fairness: known shares, and random flows against a filling written out plainly.
#include "plan/fair_share.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <vector>

namespace tutti {
namespace {

TEST(FairShare, AFlowAloneHasItsNarrowestEdge) {
  FairShare share({5, 3, 8});
  const std::vector<uint32_t> way = {0, 1, 2};
  const uint32_t flow = share.add_flow(way);
  share.start(flow);
  ASSERT_EQ(share.settle().size(), 1U);
  EXPECT_DOUBLE_EQ(share.rate(flow), 3);
}

TEST(FairShare, WhatOneCannotUseTheOthersGet) {
  // Edge 0 carries three flows, one of which edge 1 holds at 1.
  FairShare share({10, 1});
  const std::vector<uint32_t> both = {0, 1}, first = {0};
  const uint32_t held = share.add_flow(both), a = share.add_flow(first), b = share.add_flow(first);
  for (const uint32_t flow : {held, a, b}) share.start(flow);
  EXPECT_EQ(share.settle().size(), 3U);
  EXPECT_DOUBLE_EQ(share.rate(held), 1);
  EXPECT_DOUBLE_EQ(share.rate(a), 4.5);
  EXPECT_DOUBLE_EQ(share.rate(b), 4.5);
  share.stop(a);
  const auto changed = share.settle();
  ASSERT_EQ(changed.size(), 1U) << "the one that is held elsewhere keeps its rate";
  EXPECT_EQ(changed[0], b);
  EXPECT_DOUBLE_EQ(share.rate(b), 9);
}

// Every running flow has an edge that is full, on which no flow is faster: the definition.
void expect_max_min(const std::vector<double>& capacity, const std::vector<std::vector<uint32_t>>& ways, const std::vector<bool>& runs,
                    const FairShare& share) {
  std::vector<double> used(capacity.size(), 0), fastest(capacity.size(), 0);
  for (uint32_t flow = 0; flow < ways.size(); ++flow) {
    if (!runs[flow]) continue;
    for (const uint32_t edge : ways[flow]) {
      used[edge] += share.rate(flow);
      fastest[edge] = std::max(fastest[edge], share.rate(flow));
    }
  }
  for (size_t edge = 0; edge < capacity.size(); ++edge) EXPECT_LE(used[edge], capacity[edge] * (1 + 1e-9));
  for (uint32_t flow = 0; flow < ways.size(); ++flow) {
    if (!runs[flow]) continue;
    const bool held = std::any_of(ways[flow].begin(), ways[flow].end(), [&](uint32_t edge) {
      return used[edge] >= capacity[edge] * (1 - 1e-9) && share.rate(flow) >= fastest[edge] * (1 - 1e-9);
    });
    EXPECT_TRUE(held) << "flow " << flow << " could be faster";
  }
}

TEST(FairShare, RandomFlowsThatComeAndGo) {
  for (unsigned seed = 0; seed < 50; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&](size_t n) { return static_cast<uint32_t>(random() % n); };
    std::vector<double> capacity(4 + below(12));
    for (double& each : capacity) each = 1 + below(9);
    FairShare share(capacity);
    std::vector<std::vector<uint32_t>> ways(3 + below(30));
    for (auto& way : ways) {
      for (uint32_t edge = 0; edge < capacity.size(); ++edge) {
        if (below(4) == 0) way.push_back(edge);
      }
      if (way.empty()) way.push_back(below(capacity.size()));
      share.add_flow(way);
    }
    std::vector<bool> runs(ways.size(), false);
    for (int step = 0; step < 40; ++step) {
      for (uint32_t changes = 1 + below(5); changes > 0; --changes) {
        const uint32_t flow = below(ways.size());
        if (runs[flow]) {
          share.stop(flow);
        } else {
          share.start(flow);
        }
        runs[flow] = !runs[flow];
      }
      share.settle();
      expect_max_min(capacity, ways, runs, share);
    }
  }
}

}  // namespace
}  // namespace tutti
