// The simulator against times that can be worked out by hand, each for one thing that it models; and its extrapolation against the whole.
#include "plan/simulator.h"

#include <gtest/gtest.h>

#include "plan/laid_plan.h"
#include "tests/plan/small_plans.h"
#include "tests/support/graphs.h"

namespace tutti {
namespace {

Network network_of(const Graph& graph) {
  Result<Network> network = Network::create(graph);
  EXPECT_TRUE(network.ok()) << network.status().message();
  return std::move(*network);
}

Plan plan_of(const char* name, Collective collective, int nranks, int channels = 1) {
  return algorithm_plan(*find_algorithm(name), {.collective = collective, .nranks = nranks}, channels);
}

Simulated simulated(const Plan& plan, const Graph& graph, uint64_t bytes, const SimulateOptions& options) {
  Result<Simulated> result = simulate(plan, network_of(graph), bytes, options);
  EXPECT_TRUE(result.ok()) << result.status().message();
  return result.ok() ? *result : Simulated{};
}

double time_of(const Plan& plan, const Graph& graph, uint64_t bytes, const SimulateOptions& options) {
  return simulated(plan, graph, bytes, options).time_us;
}

constexpr double kGBps = 10;      // 10000 bytes a us
constexpr double kRate = 10000;   // the same
constexpr double kLatency = 1.5;  // us
const SimulateOptions kPlain{.injection_us = 0};

// Rank 0 sends its block to all others, one after another.
Plan star(int nranks) {
  return plan_of("linear", Collective::kBroadcast, nranks);
}

TEST(Simulator, OneMessageIsLatencyAndBytes) {
  EXPECT_DOUBLE_EQ(time_of(star(2), mesh_graph(2, kGBps, kLatency), 50000, kPlain), kLatency + 5);
}

TEST(Simulator, TheEdgesOfAWayAddTheirLatency) {
  EXPECT_DOUBLE_EQ(time_of(star(2), switch_graph(2, kGBps, kLatency), 50000, kPlain), kLatency + 5);
}

TEST(Simulator, NoBytesTakeNoTimeButABarrierDoes) {
  EXPECT_EQ(time_of(star(2), mesh_graph(2, kGBps, kLatency), 0, kPlain), 0);
  EXPECT_NEAR(time_of(plan_of("dissemination", Collective::kBarrier, 4), mesh_graph(4, kGBps, kLatency), 0, kPlain), 2 * kLatency, 0.001);
}

TEST(Simulator, MessagesShareAnEdgeFairly) {
  // Three messages leave rank 0 over one edge to the switch.
  EXPECT_NEAR(time_of(star(4), switch_graph(4, kGBps, kLatency), 50000, kPlain), kLatency + 15, 1e-9);
  // Over edges of their own they do not.
  EXPECT_NEAR(time_of(star(4), mesh_graph(4, kGBps, kLatency), 50000, kPlain), kLatency + 5, 1e-9);
}

TEST(Simulator, ARankInjectsOneMessageAtATime) {
  const SimulateOptions injected{.injection_us = 0.2};
  EXPECT_NEAR(time_of(star(4), mesh_graph(4, kGBps, kLatency), 50000, injected), kLatency + 5 + 2 * 0.2, 1e-9);
}

TEST(Simulator, RingIsTheTextbooksFormula) {
  for (const int n : {2, 3, 8, 64}) {
    const uint64_t bytes = 100000 * static_cast<uint64_t>(n);
    const Plan plan = plan_of("ring", Collective::kAllReduce, n);
    EXPECT_NEAR(time_of(plan, switch_graph(n, kGBps, kLatency), bytes, kPlain), 2 * (n - 1) * (kLatency + 10), 1e-6) << n;
    EXPECT_NEAR(time_of(plan, torus_graph({n}, kGBps, kLatency), bytes, kPlain), 2 * (n - 1) * (kLatency + 10), 1e-6) << n;
  }
}

TEST(Simulator, WorkTakesItsTime) {
  const Plan plan = plan_of("ring", Collective::kAllReduce, 4);
  const Graph graph = switch_graph(4, kGBps, kLatency);
  const double messages = 6 * (kLatency + 1);
  // Three reductions of a quarter; and where copies cost, the first send, and the three that copy.
  EXPECT_NEAR(time_of(plan, graph, 40000, {.injection_us = 0, .reduce_bytes_per_us = 5000}), messages + 3 * 2, 1e-9);
  EXPECT_NEAR(time_of(plan, graph, 40000, {.injection_us = 0, .copy_bytes_per_us = 5000}), messages + 4 * 2, 1e-9);
}

TEST(Simulator, AChainIsPipelinedOverSlices) {
  // Ten slices through four hops: store and forward, a slice behind the other.
  const Plan plan = plan_of("chain", Collective::kBroadcast, 5);
  const double time = time_of(plan, mesh_graph(5, kGBps, kLatency), 160000, {.slice_bytes = 16000, .injection_us = 0});
  EXPECT_NEAR(time, 4 * (kLatency + 1.6) + 9 * 1.6, 1e-9);
}

TEST(Simulator, SlotsHoldAChainBack) {
  // One slot: the next slice leaves when the one before has arrived and the slot has come back.
  const Plan plan = plan_of("chain", Collective::kBroadcast, 2);
  const Graph graph = mesh_graph(2, kGBps, kLatency);
  const SimulateOptions one{.slice_bytes = 16000, .fifo_depth = 1, .injection_us = 0};
  EXPECT_NEAR(time_of(plan, graph, 160000, one), 10 * (kLatency + 1.6) + 9 * kLatency, 1e-9);
  // Two slots: two slices a round trip.
  const SimulateOptions two{.slice_bytes = 16000, .fifo_depth = 2, .injection_us = 0};
  EXPECT_NEAR(time_of(plan, graph, 160000, two), 4 * (2 * kLatency + 1.6) + kLatency + 2 * 1.6, 1e-9);
}

TEST(Simulator, AfterIsWaitedFor) {
  const Network alone = network_of(ranks_without_links(1));
  const auto copied = [&](const Plan& plan) { return simulate(plan, alone, 10000, {.copy_bytes_per_us = 5000}).value().time_us; };
  EXPECT_NEAR(copied(halves_by_channel()), 1, 1e-9) << "both halves at once";
  EXPECT_NEAR(copied(relay_between_channels()), 4, 1e-9) << "one copy after the other";
}

TEST(Simulator, TheLastSliceIsShorter) {
  const Plan plan = plan_of("chain", Collective::kBroadcast, 2);
  const Simulated result = simulated(plan, mesh_graph(2, kGBps, 0), 100001, {.slice_bytes = 16000, .injection_us = 0});
  EXPECT_EQ(result.slices, 7U);
  EXPECT_NEAR(result.time_us, 100001 / kRate, 1e-9);
  EXPECT_FALSE(result.extrapolated);
}

TEST(Simulator, BytesOfTheEdges) {
  const int n = 4;
  const Graph graph = torus_graph({n}, kGBps, kLatency);
  const Network network = network_of(graph);
  const Simulated result = simulated(plan_of("ring", Collective::kAllReduce, n), graph, 40000, kPlain);
  double total = 0;
  for (const double bytes : result.edge_bytes) total += bytes;
  EXPECT_DOUBLE_EQ(total, 4 * 6 * 10000.0);
  const uint32_t forward = network.route(0, 1)[0], backward = network.route(1, 0)[0];
  EXPECT_DOUBLE_EQ(result.edge_bytes[forward], 60000);
  EXPECT_DOUBLE_EQ(result.edge_bytes[backward], 0);
  EXPECT_NEAR(result.utilisation(network, forward), 1 / (1 + kLatency), 1e-9);
}

TEST(Simulator, TheCriticalChainLeadsFromTheEndToTheStart) {
  const Simulated result =
      simulated(plan_of("chain", Collective::kBroadcast, 4), mesh_graph(4, kGBps, kLatency), 10000, {.injection_us = 0, .trace = true});
  ASSERT_EQ(result.chain.size(), 4U);
  for (int hop = 0; hop < 4; ++hop) {
    const ChainLink& link = result.chain[static_cast<size_t>(hop)];
    EXPECT_EQ(link.rank, 3 - hop);
    EXPECT_NEAR(link.end_us, (3 - hop) * (kLatency + 1), 1e-9);
    EXPECT_EQ(link.reason, hop == 3 ? ChainLink::Reason::kStart : ChainLink::Reason::kMessage);
  }
}

// A plan is given up only if it would have taken longer; what is not given up is as it is without a limit.
TEST(Simulator, GivesUpWhatTakesLonger) {
  const Graph graph = switch_graph(8, kGBps, kLatency);
  const Network network = network_of(graph);
  for (const char* name : {"ring", "two_shot", "double_binary_tree"}) {
    const Plan plan = plan_of(name, Collective::kAllReduce, 8);
    for (const uint64_t bytes : {8ULL, 100'000ULL, 10'000'000ULL}) {  // one slice, all of some slices, the first of many
      SimulateOptions options{.slice_bytes = 4096, .fifo_depth = 4, .max_slices = 16};
      const double time = simulated(plan, graph, bytes, options).time_us;
      for (const double part : {0.01, 0.5, 0.999, 1.0, 1.001, 2.0}) {
        options.give_up_us = part * time;
        const Simulated limited = simulated(plan, graph, bytes, options);
        if (part < 1) {
          EXPECT_TRUE(limited.gave_up == Simulated::GaveUp::kTime || limited.time_us == time) << name << ' ' << bytes << ' ' << part;
        } else {
          EXPECT_EQ(limited.gave_up, Simulated::GaveUp::kNo) << name << ' ' << bytes << ' ' << part;
          EXPECT_DOUBLE_EQ(limited.time_us, time);
        }
        if (part == 0.01) {
          EXPECT_EQ(limited.gave_up, Simulated::GaveUp::kTime) << name << ' ' << bytes;
        }
      }
      options.give_up_us = SimulateOptions().give_up_us;
      options.max_work = 20;
      const Simulated worked = simulated(plan, graph, bytes, options);
      EXPECT_EQ(worked.gave_up, Simulated::GaveUp::kWork) << name << ' ' << bytes;
      EXPECT_LE(worked.work, 20U);
    }
  }
}

// What is told without simulating is no more than what simulating tells.
TEST(Simulator, NothingTakesLessThanTheLeast) {
  const Graph graphs[] = {switch_graph(8, kGBps, kLatency), mesh_graph(8, kGBps, 0), torus_graph({8}, kGBps, kLatency)};
  for (const Graph& graph : graphs) {
    const Network network = network_of(graph);
    for (const char* name : {"ring", "two_shot", "one_shot", "recursive_doubling", "double_binary_tree", "k_nomial"}) {
      for (const int channels : {1, 4}) {
        const Plan plan = plan_of(name, Collective::kAllReduce, 8, channels);
        Routes routes(network);
        Result<LaidPlan> laid = lay_plan(plan, network, routes);
        ASSERT_TRUE(laid.ok()) << laid.status().message();
        for (const uint64_t bytes : {8ULL, 4096ULL, 1'000'000ULL}) {
          for (const uint64_t slice_bytes : {0ULL, 4096ULL}) {
            const SimulateOptions options{.slice_bytes = slice_bytes, .tolerance = 0};
            const double time = simulate(*laid, bytes, options).value().time_us;
            EXPECT_LE(least_us(*laid, bytes, options.injection_us), time * (1 + 1e-9)) << name << ' ' << bytes;
            EXPECT_DOUBLE_EQ(time, simulated(plan, graph, bytes, options).time_us);
          }
        }
      }
    }
  }
}

TEST(Simulator, ADeadlockIsASentence) {
  const Result<Simulated> result = simulate(crossing_sends(), network_of(mesh_graph(2, kGBps, kLatency)), 1000, {.fifo_depth = 1});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.status().code(), Code::kInvalidArgument);
  EXPECT_NE(result.status().message().find("deadlock: rank 0, channel 0, instruction 1 (send) of slice 0"), std::string::npos)
      << result.status().message();
  EXPECT_NE(result.status().message().find("slots towards rank 1"), std::string::npos) << result.status().message();
}

TEST(Simulator, RefusesWhatDoesNotFit) {
  const Result<Simulated> ranks = simulate(star(3), network_of(mesh_graph(2, kGBps, kLatency)), 1000);
  ASSERT_FALSE(ranks.ok());
  EXPECT_NE(ranks.status().message().find("3 ranks"), std::string::npos) << ranks.status().message();
  Plan broken = star(2);
  broken.ranks[1].channels[0].clear();
  const Result<Simulated> unmatched = simulate(broken, network_of(mesh_graph(2, kGBps, kLatency)), 1000);
  ASSERT_FALSE(unmatched.ok());
  EXPECT_EQ(unmatched.status().message().rfind("structure: ", 0), 0U) << unmatched.status().message();
}

struct Extrapolated {
  const char* algorithm;
  Collective collective;
  int channels;
  Graph graph;
};

// Many slices, of which few are simulated, against all of them.
TEST(Simulator, ExtrapolatesWithinTwoPercent) {
  const Extrapolated cases[] = {
      {"ring", Collective::kAllReduce, 2, switch_graph(8, kGBps, kLatency)},
      {"chain", Collective::kBroadcast, 1, mesh_graph(8, kGBps, kLatency)},
      {"chain", Collective::kReduce, 4, random_graph(12, 1)},
      {"two_shot", Collective::kAllReduce, 2, switch_graph(8, kGBps, kLatency)},
      {"binomial", Collective::kBroadcast, 2, torus_graph({4, 4}, kGBps, kLatency)},
      {"double_binary_tree", Collective::kAllReduce, 2, switch_graph(16, kGBps, kLatency)},
      {"ring", Collective::kAllGather, 8, nodes_graph(2, 4, 40, 10)},
      {"pairwise", Collective::kAllToAll, 1, torus_graph({3, 3}, kGBps, kLatency)},
      {"halving_doubling", Collective::kAllReduce, 2, random_graph(8, 7)},
  };
  for (const Extrapolated& each : cases) {
    const Plan plan = plan_of(each.algorithm, each.collective, static_cast<int>(each.graph.endpoints.size()), each.channels);
    for (const uint32_t depth : {2U, 8U}) {
      for (const uint64_t slice : {4096U, 65536U}) {
        SimulateOptions options{.slice_bytes = slice, .fifo_depth = depth, .max_slices = 0, .max_messages = 0};
        const uint64_t bytes = plan.ranks[0].largest_den * slice * 400 / plan.ranks[0].largest_num + 12345;
        const Simulated all = simulated(plan, each.graph, bytes, options);
        options.max_slices = 64;
        const Simulated some = simulated(plan, each.graph, bytes, options);
        EXPECT_GT(all.slices, 400U);
        EXPECT_FALSE(all.extrapolated);
        EXPECT_TRUE(some.extrapolated);
        EXPECT_LT(some.events, all.events / 3);
        EXPECT_NEAR(some.time_us / all.time_us, 1, 0.02) << each.algorithm << ", depth " << depth << ", slices of " << slice;
      }
    }
  }
}

}  // namespace
}  // namespace tutti
