// Following one rank for all tells the same time as following all.
#include <gtest/gtest.h>

#include "plan/laid_plan.h"
#include "plan/simulator.h"
#include "tests/plan/plan_makers.h"
#include "topology/systems.h"

namespace tutti {
namespace {

struct Case {
  const char* system;
  std::vector<int> radices;
  const char* algorithm;
  Collective collective;
  int channels;
};

const std::vector<Case> kCases = {
    {"dgx-h100", {8}, "ring", Collective::kAllReduce, 1},
    {"dgx-h100", {8}, "ring", Collective::kAllReduce, 4},
    {"dgx-h100", {8}, "two_shot", Collective::kAllReduce, 2},
    {"dgx-h100", {8}, "one_shot", Collective::kAllGather, 1},
    {"dgx-h100", {8}, "pairwise", Collective::kAllToAll, 2},
    {"dgx-h100", {8}, "bruck_alltoall", Collective::kAllToAll, 1},
    {"dgx-h100", {8}, "circulant", Collective::kReduceScatter, 1},
    {"dgx-h100", {2, 2, 2}, "recursive_doubling", Collective::kAllReduce, 1},
    {"dgx-h100", {2, 2, 2}, "halving_doubling", Collective::kAllReduce, 1},
    {"mi300x", {8}, "two_shot", Collective::kAllReduce, 1},
    {"ethernet:7", {7}, "ring", Collective::kAllGather, 2},
    {"ethernet:7", {7}, "bruck_all_gather", Collective::kAllGather, 1},
    {"dgx-h100:4", {4, 8}, "ring", Collective::kAllReduce, 2},
    {"tpu-v5e:16x16", {16, 16}, "dissemination", Collective::kBarrier, 1},
};

TEST(SymmetricSimulation, IsThatOfAllRanks) {
  int compared = 0;
  for (const Case& c : kCases) {
    SCOPED_TRACE(std::string(c.algorithm) + " on " + c.system);
    const auto topology = std::move(*Topology::create(std::move(*named_system(c.system))));
    const Network& network = topology->network();
    const std::optional<Symmetry> symmetry = Symmetry::find(network, c.radices);
    ASSERT_TRUE(symmetry);
    const PlanRequest request{.collective = c.collective, .nranks = topology->nranks()};
    const Plan plan = generate_plan(*find_algorithm(c.algorithm), request, {.algorithm = c.algorithm, .channels = c.channels}, *topology);
    bool all_shift = true;
    for (const Program& program : plan.ranks) all_shift = all_shift && shifts(plan.ranks[0], program, *symmetry);
    if (!all_shift) continue;  // a ring of all ranks is none of nodes
    ++compared;
    // Multiples of all numbers of chunks: a byte more for one rank is no symmetry.
    for (const uint64_t bytes : {448 * 9ULL, 448 * 2340ULL, 448 * 223'214ULL}) {
      for (const uint64_t slice_bytes : {uint64_t{0}, uint64_t{1} << 18}) {
        const SimulateOptions options{
            .slice_bytes = slice_bytes, .fifo_depth = 4, .reduce_bytes_per_us = 100'000, .max_slices = 8, .tolerance = 0};
        Result<Simulated> all = simulate(plan, network, bytes, options);
        Result<Simulated> one = simulate_symmetric(plan.ranks[0], network, *symmetry, bytes, options);
        ASSERT_TRUE(all.ok() && one.ok()) << (all.ok() ? one.status().message() : all.status().message());
        EXPECT_NEAR(one->time_us, all->time_us, 1e-4 * all->time_us) << bytes << " bytes, slices of " << slice_bytes;
      }
    }
  }
  EXPECT_GE(compared, 10);
}

// Hosts below leaf switches are symmetric by bits, a ring of them by steps: the host that sends to another leaf stands for all. That is
// not far off.
TEST(SymmetricSimulation, AnotherNumberingIsNotFarOff) {
  const auto topology = std::move(*Topology::create(std::move(*named_system("fat-tree:32,k=8"))));
  const Network& network = topology->network();
  const std::optional<Symmetry> bits = Symmetry::find(network, {2, 2, 2, 2, 2});
  ASSERT_TRUE(bits);
  ASSERT_FALSE(Symmetry::find(network, {32}));
  const Symmetry circle = Symmetry::numbering(32, {32});
  struct {
    const char* algorithm;
    Collective collective;
  } const cases[] = {{"ring", Collective::kAllReduce}, {"ring", Collective::kAllGather}, {"pairwise", Collective::kAllToAll}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.algorithm);
    const PlanRequest request{.collective = c.collective, .nranks = 32};
    const Plan plan = generate_plan(*find_algorithm(c.algorithm), request, {.algorithm = c.algorithm}, *topology);
    for (const Program& program : plan.ranks) ASSERT_TRUE(shifts(plan.ranks[0], program, circle));
    Routes routes(network);
    Result<LaidPlan> all = lay_plan(plan, network, routes), one = lay_symmetric(plan.ranks[3], network, *bits, circle, routes);
    ASSERT_TRUE(all.ok() && one.ok());
    for (const uint64_t bytes : {32ULL, 32ULL << 20}) {
      const double of_all = simulate(*all, bytes, {}).value().time_us, of_one = simulate(*one, bytes, {}).value().time_us;
      EXPECT_GE(of_one, 0.9 * of_all) << bytes;
      EXPECT_LE(of_one, 1.3 * of_all) << bytes;
    }
  }
}

TEST(SymmetricSimulation, WhatDoesNotShiftIsNotTakenForIt) {
  const auto topology = std::move(*Topology::create(std::move(*named_system("dgx-h100"))));
  const std::optional<Symmetry> circle = Symmetry::find(topology->network(), {8});
  ASSERT_TRUE(circle);
  for (const char* name : {"binomial", "halving_doubling", "double_binary_tree"}) {
    const Plan plan = generate_plan(*find_algorithm(name), {.nranks = 8}, {.algorithm = name}, *topology);
    bool all_shift = true;
    for (const Program& program : plan.ranks) all_shift = all_shift && shifts(plan.ranks[0], program, *circle);
    EXPECT_FALSE(all_shift) << name;
  }
}

}  // namespace
}  // namespace tutti
