// tutti-topo probe: which pairs are measured when, and a whole probe of ranks on this host. What is measured here means nothing, and is not
// looked at; explaining it is tests/topology/measured_test.cc's subject, real rates are scripts/thorough probe's.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "subprocess.h"
#include "tools/probe_rounds.h"

namespace tutti {
namespace {

using probe::Round;
using probe::rounds;

// Every pair of ranks of a node, and of every two nodes one, is in just one round; no round has a rank or a node in two pairs.
void expect_complete(const std::vector<int>& node_of) {
  std::set<std::pair<int, int>> ranks, nodes;
  size_t pairs = 0;
  for (const Round& round : rounds(node_of)) {
    std::set<int> busy;
    for (const auto& [a, b] : round) {
      ASSERT_LT(a, b);
      const int node_a = node_of[static_cast<size_t>(a)], node_b = node_of[static_cast<size_t>(b)];
      EXPECT_TRUE(busy.insert(node_a).second);
      if (node_a == node_b) {
        EXPECT_TRUE(ranks.insert({a, b}).second);
      } else {
        EXPECT_TRUE(busy.insert(node_b).second);
        EXPECT_TRUE(nodes.insert({std::min(node_a, node_b), std::max(node_a, node_b)}).second);
      }
      ++pairs;
    }
  }
  const std::set<int> all(node_of.begin(), node_of.end());
  size_t expected = all.size() * (all.size() - 1) / 2;
  for (size_t a = 0; a < node_of.size(); ++a) {
    for (size_t b = a + 1; b < node_of.size(); ++b) expected += node_of[a] == node_of[b] ? 1 : 0;
  }
  EXPECT_EQ(pairs, expected);
}

TEST(ProbeRounds, MeasureEveryPairOnceAndNoTwoOfANodeAtOnce) {
  expect_complete({0, 1});
  expect_complete({0, 0});
  expect_complete({0, 1, 2, 3, 4, 5, 6});
  expect_complete({0, 0, 0, 1, 1, 2, 3, 3});
  expect_complete({0, 1, 0, 1, 2, 2, 0, 1});
}

TEST(ProbeRounds, DisjointNodesAreMeasuredAtOnce) {
  EXPECT_LE(rounds({0, 1, 2, 3, 4, 5, 6, 7}).size(), 14u);  // 28 pairs; 7 rounds at best
}

TEST(TopoProbe, TellsAGraphOfAllRanks) {
  const Outcome outcome = run({TUTTI_TOPO, "probe", "-n", "3", "--json"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["source"], "measured");
  ASSERT_EQ(json["endpoints"].size(), 3u);
  for (const auto& link : json["links"]) {
    EXPECT_GT(link["GBps"], 0);
    EXPECT_GT(link["latency_us"], 0);
  }
}

TEST(TopoProbe, AloneItSaysHowToStartIt) {
  const Outcome outcome = run({TUTTI_TOPO, "probe"}, {"TUTTI_LAUNCHER=none"});
  EXPECT_EQ(outcome.status, 2);
  EXPECT_NE(outcome.err.find("two ranks"), std::string::npos) << outcome.err;
}

TEST(TopoProbe, AFileThatCannotBeWrittenIsAFailure) {
  const Outcome outcome = run({TUTTI_TOPO, "probe", "-n", "2", "-o", "/nonexistent/graph.json"});
  EXPECT_NE(outcome.status, 0);
  EXPECT_NE(outcome.err.find("/nonexistent/graph.json"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace tutti
