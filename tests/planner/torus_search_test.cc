// What the search reaches on tori: in per cent of the bound for large buffers, in latencies for tiny ones.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "algorithms/algorithm.h"
#include "plan/bound.h"
#include "planner/search.h"
#include "topology/systems.h"

namespace tutti {
namespace {

constexpr uint64_t kGigabyte = uint64_t{1} << 30;

std::unique_ptr<const Topology> system_topology(const std::string& name) {
  return std::move(*Topology::create(std::move(*named_system(name))));
}

// With one algorithm, which keeps it short: among all, nothing slower is chosen.
double searched_us(const Topology& topology, Collective collective, uint64_t bytes, const char* algorithm) {
  const int n = topology.nranks();
  Predictor predictor(topology, {.fifo_depth = 8, .max_slices = 32, .max_messages = 100'000, .tolerance = 0}, 500'000);
  const SearchOptions options{.channels = {1, 8}, .slices = kUsualSlices};
  const Ranking ranking = rank_candidates(predictor, topology, {.collective = collective, .nranks = n}, block_bytes(collective, n, bytes),
                                          options, find_algorithm(algorithm));
  EXPECT_FALSE(ranking.candidates.empty());
  return ranking.candidates.empty() ? 1e30 : ranking.candidates[0].predicted_us;
}

double percent(const Topology& topology, Collective collective, const char* algorithm) {
  return 100 * lower_bound(topology, collective, kGigabyte).time_us / searched_us(topology, collective, kGigabyte, algorithm);
}

constexpr double kRounding = 1e-6;

TEST(TorusSearch, LargeBuffersComeNearTheBound) {
  for (const char* const name : {"trn2", "tpu-v5e:4x4", "tpu-v5e:8x8,wrap=11", "tpu-v5p:4x4x4"}) {
    const auto topology = system_topology(name);
    for (const auto& [collective, algorithm] : {std::pair{Collective::kAllReduce, "torus_bucket"},
                                                {Collective::kAllGather, "torus_bucket"},
                                                {Collective::kReduceScatter, "torus_bucket"},
                                                {Collective::kBroadcast, "torus_broadcast"},
                                                {Collective::kAllToAll, "torus_alltoall"}}) {
      const double reached = percent(*topology, collective, algorithm);
      EXPECT_GE(reached, 98.5) << name << " " << collective_name(collective);
      EXPECT_LE(reached, 100 + kRounding) << name << " " << collective_name(collective);
    }
  }
}

// Where all ranks do the same, one is followed for all.
TEST(TorusSearch, LargeBuffersComeNearTheBoundOnDefaultShapes) {
  for (const char* const name : {"tpu-v5e", "tpu-v5p"}) {
    const auto topology = system_topology(name);
    EXPECT_GE(percent(*topology, Collective::kAllReduce, "torus_bucket"), 99) << name;
    EXPECT_GE(percent(*topology, Collective::kReduceScatter, "torus_bucket"), 99) << name;
    EXPECT_GE(percent(*topology, Collective::kAllToAll, "torus_alltoall"), 97) << name;
  }
  // The longest pipeline of the widest links: each slice must hide a port's injections, and all together the way across.
  EXPECT_GE(percent(*system_topology("tpu-v6e"), Collective::kBroadcast, "torus_broadcast"), 95);
}

TEST(TorusSearch, ATinyAllReduceTakesAtMostTwiceTheLatency) {
  for (const char* const name :
       {"tpu-v4", "tpu-v5e", "tpu-v5p", "tpu-v6e", "tpu-v7", "trn2", "trn2-ultra", "tpu-v4:2x2x1", "tpu-v4:2x2x4", "tpu-v5e:2x2",
        "tpu-v5e:4x4", "tpu-v5e:8x16", "tpu-v5p:4x4x4", "tpu-v5p:4x8x8", "tpu-v6e:8x8", "tpu-v7:2x4x4", "trn2:2x4"}) {
    const auto topology = system_topology(name);
    EXPECT_LE(searched_us(*topology, Collective::kAllReduce, 8, "torus_exchange"), 2 * latency_yardstick_us(*topology)) << name;
  }
}

// Between the two, whole shares with Swing's partners.
TEST(TorusSearch, MiddleSizesExchangeWholeSharesWithSwing) {
  const auto topology = system_topology("trn2");
  Predictor predictor(*topology, {.fifo_depth = 8}, 500'000);
  const SearchOptions options{.channels = {1, 8}, .interest = 4, .slices = kUsualSlices};
  const Ranking ranking = rank_candidates(predictor, *topology, {.nranks = 16}, 256 << 10, options);
  ASSERT_FALSE(ranking.candidates.empty());
  EXPECT_EQ(ranking.candidates[0].choice.algorithm, "swing");
  EXPECT_EQ(ranking.candidates[0].choice.parameter, 1);
}

}  // namespace
}  // namespace tutti
