// What machines allow, and what is found for them: no plan of any algorithm is predicted faster than the bound, on any machine or random
// graph; and on machines that are not regular the best plan comes near it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "algorithms/algorithm.h"
#include "plan/bound.h"
#include "planner/search.h"
#include "tests/plan/graphs.h"
#include "tests/support/sanitizers.h"
#include "topology/systems.h"

namespace tutti {
namespace {

std::unique_ptr<const Topology> system_topology(const std::string& name) {
  return std::move(*Topology::create(std::move(*named_system(name))));
}

struct Sizes {
  std::vector<uint64_t> blocks;  // bytes
  std::vector<int> channels;
};

// Every algorithm, with all values of its parameter. How many plans that were; 0 after a failure.
int check_all(const Topology& topology, const std::string& name, const PlanRequest& request, const Sizes& sizes) {
  Predictor predictor(topology, {.fifo_depth = 8, .max_slices = 8, .tolerance = 0}, 200'000);
  const TransferBound transfer = transfer_bound(topology, request.collective, request.root);
  const double latency_us = latency_bound_us(topology, request.collective, request.root);
  const double first_us = lower_bound(topology, Collective::kBarrier, 0).first_us;
  int plans = 0;
  for (const Algorithm* algorithm : algorithms()) {
    const int most = algorithm->max_channels(request, topology);
    std::set<int> parameters(algorithm->parameters.begin(), algorithm->parameters.end()), channels;
    parameters.insert(0);
    for (const int wanted : sizes.channels) channels.insert(std::min(wanted, most));
    for (const int parameter : parameters) {
      for (const int count : channels) {
        for (const uint64_t block : sizes.blocks) {
          for (const uint32_t slice : {0, 65536}) {
            if (most == 0 || slice >= block) continue;
            const PlanChoice choice{.algorithm = algorithm->name, .channels = count, .parameter = parameter, .slice_bytes = slice};
            Result<Simulated> predicted = predictor.predict(request, choice, block);
            if (!predicted.ok()) continue;  // more than the budget
            const int blocks =
                std::max(input_blocks(request.collective, request.nranks), output_blocks(request.collective, request.nranks));
            const double bytes = static_cast<double>(block) * blocks;
            const double bound = std::max(latency_us, first_us + transfer.us_per_byte * bytes);
            EXPECT_GE(predicted->time_us, bound * (1 - 1e-6))
                << collective_name(request.collective) << " by " << algorithm->name << " on " << name << ": root " << request.root << ", "
                << count << " channels, parameter " << parameter << ", " << block << " bytes, slices of " << slice << "; binds "
                << transfer.cut;
            if (predicted->time_us < bound * (1 - 1e-6)) return 0;
            ++plans;
          }
        }
      }
    }
  }
  return plans;
}

int check_all(const Topology& topology, const std::string& name, const Sizes& sizes) {
  int plans = 0;
  for (int c = 0; c < static_cast<int>(Collective::kBarrier); ++c) {
    const auto collective = static_cast<Collective>(c);
    const int n = topology.nranks();
    for (const int root : has_root(collective) ? std::set<int>{0, n - 1} : std::set<int>{0}) {
      plans += check_all(topology, name, {.collective = collective, .nranks = n, .root = root}, sizes);
    }
  }
  return plans;
}

TEST(NoPlan, IsAboveTheBoundOnAMachine) {
  const auto machines = {"dgx-h100",
                         "dgx-h100,chips=5",
                         "dgx-h100:2,chips=3",
                         "dgx-h100,innetwork=yes",
                         "mi300x",
                         "groq-node:2",
                         "tpu-v5e:3x4",
                         "tpu-v5e:4x4,wrap=11",
                         "tpu-v4:2x2x3",
                         "trn2",
                         "trn2-ultra:2x3x3",
                         "cs3:6",
                         "rail:2x4",
                         "fat-tree:9,k=4",
                         "fat-tree:8,k=4,oversubscription=3",
                         "ethernet:5",
                         "dgx-h100,chips=3+mi300x,chips=5"};
  for (const char* name : machines) {
    if (kUnderSanitizer && std::string(name).size() > 8) continue;
    EXPECT_GT(check_all(*system_topology(name), name, {{8, 3 << 20}, {1, 4}}), 100) << name;
  }
}

TEST(NoPlan, IsAboveTheBoundOnARandomGraph) {
  for (uint32_t seed = 0; seed < (kUnderSanitizer ? 3 : 30); ++seed) {
    const auto topology = random_topology(seed);
    EXPECT_GT(check_all(*topology, numbered("random graph ", seed), {{8, 1 << 20}, {2}}), 50);
  }
}

// What the best of all algorithms reaches of the bound, with about 1 GiB.
Candidate best_of(const Topology& topology, Collective collective, const Algorithm* only, double& percent) {
  const int n = topology.nranks(), blocks = std::max(input_blocks(collective, n), output_blocks(collective, n));
  const uint64_t block = block_bytes(collective, n, 1 << 30);
  const PlanRequest request{.collective = collective, .nranks = n};
  Predictor predictor(topology, {.fifo_depth = 8, .max_slices = 16}, 200'000);
  const SearchOptions options{.channels = {1, 4, 16}, .interest = 1.25, .slices = {0, 512 << 10, 4 << 20}};
  const Ranking ranking = rank_candidates(predictor, topology, request, block, options, only);
  percent = 100 * lower_bound(topology, collective, static_cast<double>(block) * blocks).time_us / ranking.candidates.at(0).predicted_us;
  return ranking.candidates[0];
}

// Collectives that stay below 85 %, and from how many per cent on: docs/topologies.md says why.
struct Irregular {
  const char* name;
  std::unique_ptr<const Topology> (*make)();
  std::map<Collective, double> lower;
  bool many = false;  // ranks: a search of all algorithms takes a minute, so one of them will do
};

const char* good_on_a_switch(Collective collective) {
  switch (collective) {
    case Collective::kAllReduce: return "ring";
    case Collective::kAllGather: return "one_shot";
    case Collective::kReduceScatter: return "circulant";
    case Collective::kBroadcast:
    case Collective::kReduce: return "scatter_all_gather";
    case Collective::kAllToAll: return "pairwise";
    default: return "linear";
  }
}

TEST(IrregularGraphs, TheBestPlanComesNearTheBound) {
  const Collective a2a = Collective::kAllToAll, gather = Collective::kGather, scatter = Collective::kScatter;
  const Irregular machines[] = {
      {"torus 4x4, a link broken",
       +[] { return torus_topology(4, 4, true); },
       {{Collective::kAllReduce, 80}, {a2a, 43}, {gather, 58}, {scatter, 83}}},
      {"islands of 3 and 5",
       +[] {
         return islands_topology({3, 5});
       },
       {{gather, 41}, {scatter, 41}}},
      {"islands of 4, NICs of 50, 25, 12.5",
       +[] {
         return islands_topology({4, 4}, 450, {50, 25, 12.5});
       },
       {{a2a, 44}, {gather, 44}, {scatter, 44}}},
      {"7 on a switch", +[] { return islands_topology({7}); }, {}},
      {"13 on a switch", +[] { return islands_topology({13}); }, {}},
      {"31 on a switch", +[] { return islands_topology({31}); }, {}, true},
      {"mesh of 7", +[] { return mesh_topology(7, 64); }, {}},
  };
  const Collective collectives[] = {Collective::kAllReduce, Collective::kAllGather, Collective::kReduceScatter, Collective::kBroadcast,
                                    Collective::kReduce,    Collective::kAllToAll,  Collective::kGather,        Collective::kScatter};
  for (const Irregular& machine : machines) {
    const auto topology = machine.make();
    if (kUnderSanitizer && topology->nranks() > 8) continue;
    for (const Collective collective : collectives) {
      double percent = 0;
      const Candidate best = best_of(*topology, collective, machine.many ? find_algorithm(good_on_a_switch(collective)) : nullptr, percent);
      std::printf("%-36s %-14s %-20s %5.1f %%\n", machine.name, collective_name(collective), best.choice.algorithm.c_str(), percent);
      std::fflush(stdout);
      const auto lower = machine.lower.find(collective);
      EXPECT_GE(percent, lower == machine.lower.end() ? 85 : lower->second) << machine.name << " " << collective_name(collective);
      EXPECT_LE(percent, 100 + 1e-6) << machine.name << " " << collective_name(collective);
    }
  }
}

}  // namespace
}  // namespace tutti
