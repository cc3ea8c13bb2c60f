// The search: what it finds on machines whose best algorithm is known, that it is the same every time, and that its ranges are sound.
#include "planner/search.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "algorithms/algorithm.h"
#include "planner/planner.h"
#include "tests/support/graphs.h"
#include "topology/cluster.h"
#include "topology/systems.h"

namespace tutti {
namespace {

constexpr uint64_t kGigabyte = 1'000'000'000;

std::unique_ptr<const Topology> system_topology(const char* name) {
  return std::move(*Topology::create(std::move(*named_system(name))));
}

Ranking ranked(const Topology& topology, const PlanRequest& request, uint64_t bytes) {
  Predictor predictor(topology, {.max_slices = 16}, 1'000'000);
  return rank_candidates(predictor, topology, request, bytes, {.interest = 3, .slices = {0, 1 << 20}});
}

TEST(Search, LargeAllReduceOnASwitchMovesTheLeastBytes) {
  const auto topology = system_topology("dgx-h100");
  const std::vector<Candidate> candidates = ranked(*topology, {.nranks = 8}, kGigabyte).candidates;
  ASSERT_GE(candidates.size(), 5u);
  // 2 (n-1)/n N at 450 GB/s.
  EXPECT_NEAR(candidates[0].predicted_us, 1.75 * kGigabyte / 450'000, 0.05 * 1.75 * kGigabyte / 450'000) << candidates[0].choice.algorithm;
  EXPECT_TRUE(std::is_sorted(candidates.begin(), candidates.end(),
                             [](const Candidate& a, const Candidate& b) { return a.predicted_us < b.predicted_us * (1 - 1e-9); }));
}

TEST(Search, SmallAllReduceTakesFewSteps) {
  const auto topology = system_topology("dgx-h100");
  const std::vector<Candidate> candidates = ranked(*topology, {.nranks = 8}, 8).candidates;
  ASSERT_FALSE(candidates.empty());
  EXPECT_LT(candidates[0].predicted_us, 2 * 2.0 + 7 * 0.2 + 1);
}

TEST(Search, AThousandRanksCostNoMoreThanAFew) {
  const auto topology = system_topology("tpu-v4:8x8x16");
  Predictor predictor(*topology, {}, 200'000);
  const std::vector<Candidate> candidates = rank_candidates(predictor, *topology, {.nranks = 1024}, kGigabyte, {}).candidates;
  ASSERT_FALSE(candidates.empty());
}

TEST(Search, RangesCoverAllSizesAndAreTheSameEveryTime) {
  for (const char* name : {"ethernet:4", "dgx-h100:2", "mi300x"}) {
    const auto topology = system_topology(name);
    for (const Collective collective : {Collective::kAllReduce, Collective::kAllGather, Collective::kBroadcast, Collective::kAllToAll}) {
      const PlanRequest request{.collective = collective, .nranks = topology->nranks()};
      const SimulateOptions simulate{.slice_bytes = 64 << 10, .fifo_depth = 4, .max_slices = 6};
      Predictor first(*topology, simulate, 30'000), second(*topology, simulate, 30'000);
      const SearchOptions options{.channels = {1, 8}, .most_fifos = 8};
      const std::vector<RuledRange> ruled = std::move(*ruled_ranges(request, *topology, 4096, true, nullptr));
      const auto a = searched_ranges(first, *topology, request, 4096, options, ruled);
      const auto b = searched_ranges(second, *topology, request, 4096, options, ruled);
      ASSERT_TRUE(a.ok() && b.ok());
      const std::vector<RuledRange>& ranges = a.value();
      ASSERT_EQ(ranges.size(), b.value().size());
      EXPECT_EQ(ranges.back().most_bytes, SIZE_MAX);
      for (size_t i = 0; i < ranges.size(); ++i) {
        EXPECT_TRUE(ranges[i].choice.same_plan(b.value()[i].choice));
        EXPECT_EQ(ranges[i].most_bytes, b.value()[i].most_bytes);
        EXPECT_FALSE(ranges[i].choice.reason.empty());
        EXPECT_EQ(ranges[i].choice.protocol == Protocol::kInline, ranges[i].most_bytes <= 4096);
        if (i > 0) {
          EXPECT_GT(ranges[i].most_bytes, ranges[i - 1].most_bytes);
        }
      }
    }
  }
}

const Candidate* find(const Ranking& ranking, const std::string& algorithm) {
  const auto found = std::find_if(ranking.candidates.begin(), ranking.candidates.end(),
                                  [&](const Candidate& candidate) { return candidate.choice.algorithm == algorithm; });
  return found == ranking.candidates.end() ? nullptr : &*found;
}

// What takes a search of the machine is tried where the others leave it room, and only where bytes count.
TEST(Search, LaboriousAlgorithmsAreTriedWhereThereIsRoom) {
  const auto mesh = system_topology("mi300x");
  EXPECT_EQ(find(ranked(*mesh, {.nranks = 8}, kGigabyte), "packed_trees"), nullptr) << "two_shot fills a full mesh";
  // Graphs without structure, where nothing else fills the links.
  const auto random = std::move(*Topology::create(random_graph(8, 7)));
  const Ranking large = ranked(*random, {.nranks = 8}, kGigabyte);
  ASSERT_FALSE(large.candidates.empty());
  EXPECT_EQ(large.candidates[0].choice.algorithm, "packed_trees");
  EXPECT_EQ(find(ranked(*random, {.nranks = 8}, 8), "packed_trees"), nullptr) << "latency counts";
}

// The climb and the giving up lose little against every combination.
TEST(Search, TheClimbComesNearTheBestOfAllCombinations) {
  for (const char* name : {"dgx-h100:2", "mi300x", "cs3,innetwork=no"}) {
    const auto topology = system_topology(name);
    for (const uint64_t bytes : {uint64_t{8}, uint64_t{1} << 20, kGigabyte}) {
      const PlanRequest request{.nranks = topology->nranks()};
      const SearchOptions options{.channels = {1, 2, 4, 8}, .interest = 3, .slices = {0, 64 << 10, 1 << 20, 4 << 20}};
      Predictor predictor(*topology, {.fifo_depth = 8, .max_slices = 8}, 1'000'000);
      const Ranking ranking = rank_candidates(predictor, *topology, request, bytes, options);
      ASSERT_FALSE(ranking.candidates.empty());
      double best_us = ranking.candidates[0].predicted_us;
      for (const Algorithm* algorithm : algorithms()) {
        for (int channels = 1; channels <= std::min(8, algorithm->max_channels(request, *topology)); channels *= 2) {
          for (const uint32_t slice : options.slices) {
            const PlanChoice choice{.algorithm = algorithm->name, .channels = channels, .slice_bytes = slice};
            const Result<Simulated> all = predictor.predict(request, choice, bytes);
            if (all.ok() && all.value().gave_up == Simulated::GaveUp::kNo) best_us = std::min(best_us, all.value().time_us);
          }
        }
      }
      EXPECT_LE(ranking.candidates[0].predicted_us, 1.03 * best_us) << name << ", " << bytes << " B";
    }
  }
}

TEST(Search, SeveralNodesAreSearchedAndOneHostIsRuled) {
  std::vector<RankPlace> places;
  for (int rank = 0; rank < 8; ++rank)
    places.push_back({.node = "n" + std::to_string(rank / 2), .device = "host", .vendor = "cpu", .network_GBps = 0.125});
  const auto cluster =
      std::move(*Planner::create(std::move(*Topology::create(cluster_graph(places))), 0, {.inline_bytes = 4096, .carried = true}));
  const PlanChoice large = cluster->choose({.nranks = 8}, 64 << 20).value();
  EXPECT_NE(large.reason.find("predicted"), std::string::npos) << large.reason;
  // One search serves all roots, and each root has its own program.
  const PlanRequest broadcast{.collective = Collective::kBroadcast, .nranks = 8};
  const PlanChoice from_0 = cluster->choose(broadcast, 64 << 20).value();
  for (int root = 1; root < 8; ++root) {
    PlanRequest other = broadcast;
    other.root = root;
    EXPECT_TRUE(cluster->choose(other, 64 << 20).value().same_plan(from_0));
    EXPECT_EQ(cluster->program_for(other, 64 << 20).value()->program.root, root);
  }
  const auto host = std::move(*Planner::create(single_host_topology(8), 0, {.inline_bytes = 4096}));
  EXPECT_EQ(host->choose({.nranks = 8}, 64 << 20).value().reason.find("predicted"), std::string::npos);
}

// One host with 8 pinned ranks, described as of `numa` NUMA nodes in two packages.
Graph host_graph(int numa) {
  NodeDescription node;
  std::vector<RankPlace> places;
  for (int i = 0; i < numa; ++i) node.numa.push_back({.id = i, .package = 2 * i / numa});
  for (int rank = 0; rank < 8; ++rank) {
    places.push_back({.node = "n", .device = "host", .vendor = "cpu", .cpus = {static_cast<uint16_t>(rank)}});
    node.numa[static_cast<size_t>(rank * numa / 8)].cpus.push_back(static_cast<uint16_t>(rank));
  }
  return cluster_graph(places, {{"n", node}});
}

TEST(Search, OneNumaNodeGoesByTheRulesAndTwoHaveStructure) {
  const PlannerLimits limits{.inline_bytes = 4096};
  const auto plain = std::move(*Planner::create(single_host_topology(8), 0, limits));
  const auto one = std::move(*Planner::create(std::move(*Topology::create(host_graph(1))), 0, limits));
  for (const Collective collective : {Collective::kAllReduce, Collective::kAllGather, Collective::kReduceScatter, Collective::kBroadcast,
                                      Collective::kReduce, Collective::kGather, Collective::kScatter, Collective::kAllToAll}) {
    const PlanRequest request{.collective = collective, .nranks = 8};
    for (const size_t bytes : {size_t{8}, size_t{64} << 10, size_t{16} << 20}) {
      const PlanChoice ruled = plain->choose(request, bytes).value(), described = one->choose(request, bytes).value();
      EXPECT_TRUE(ruled.same_plan(described));
      EXPECT_EQ(ruled.reason, described.reason);
    }
  }
  for (const int numa : {2, 4}) {
    const auto topology = std::move(*Topology::create(host_graph(numa)));
    Predictor predictor(*topology, {.reduce_bytes_per_us = 10'000, .copy_bytes_per_us = 20'000, .max_slices = 6}, 30'000);
    const Ranking ranking =
        rank_candidates(predictor, *topology, {.nranks = 8}, 16 << 20, {.channels = {1, 8}, .most_fifos = 8, .interest = 100});
    const auto across = [](const Candidate& candidate) { return candidate.choice.algorithm == "hierarchical"; };
    EXPECT_TRUE(std::any_of(ranking.candidates.begin(), ranking.candidates.end(), across)) << numa;
    const auto planner = std::move(*Planner::create(std::move(*Topology::create(host_graph(numa))), 0, limits));
    EXPECT_NE(planner->choose({.nranks = 8}, 16 << 20).value().reason.find("predicted"), std::string::npos);
  }
}

}  // namespace
}  // namespace tutti
