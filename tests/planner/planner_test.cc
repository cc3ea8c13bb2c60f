// The planner: what it chooses follows from what all ranks agree on, it keeps what it made, and it says no with the names of what there is.
#include "planner/planner.h"

#include <gtest/gtest.h>

#include <bit>
#include <set>

#include "algorithms/algorithm.h"

namespace tutti {
namespace {

constexpr uint32_t kInlineBytes = 4096;
constexpr size_t kHuge = size_t{1} << 40;
const std::vector<size_t> kSizes = {0, 4, 4096, 4097, 8192, 10923, 16384, 32768, 262144, 262145, 1 << 20, 1 << 30, kHuge};

std::unique_ptr<Planner> planner(int nranks, int rank = 0, const std::string& forced = "", uint32_t inline_bytes = kInlineBytes) {
  Result<std::unique_ptr<Planner>> made =
      Planner::create(single_host_topology(nranks), rank, {.inline_bytes = inline_bytes, .forced_algorithm = forced});
  EXPECT_TRUE(made.ok()) << made.status().message();
  return std::move(*made);
}

PlanRequest request(int nranks) {
  return {.collective = Collective::kAllReduce, .nranks = nranks};
}

TEST(Planner, AnUnknownForcedAlgorithmNamesTheList) {
  const auto made = Planner::create(single_host_topology(2), 0, {.inline_bytes = kInlineBytes, .forced_algorithm = "telepathy"});
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.status().code(), Code::kInvalidArgument);
  const std::string message = made.status().message();
  EXPECT_NE(message.find("'telepathy'"), std::string::npos) << message;
  for (const Algorithm* algorithm : algorithms()) EXPECT_NE(message.find(algorithm->name), std::string::npos) << message;
}

// Where messages cross a network, large requests have more of them under way; small ones are as they were.
TEST(Planner, ANetworkGetsMoreChannels) {
  for (const int n : {2, 4, 8}) {
    const auto memory = planner(n);
    const auto network =
        std::move(*Planner::create(single_host_topology(n), 0, {.inline_bytes = kInlineBytes, .forced_algorithm = "", .carried = true}));
    EXPECT_GT(network->choose(request(n), kHuge).value().channels, memory->choose(request(n), kHuge).value().channels);
    EXPECT_TRUE(network->choose(request(n), 8).value().same_plan(memory->choose(request(n), 8).value()));
  }
}

// Everybody to everybody would load each node's link with all pairs of ranks; in shared memory it moves every byte once.
TEST(Planner, LargeAllGathersGoAroundRingsOnlyOverANetwork) {
  for (const int n : {2, 4, 8}) {
    for (const bool uneven : {false, true}) {
      const PlanRequest gather = {.collective = Collective::kAllGather, .nranks = n, .uneven = uneven};
      const auto network =
          std::move(*Planner::create(single_host_topology(n), 0, {.inline_bytes = kInlineBytes, .forced_algorithm = "", .carried = true}));
      EXPECT_EQ(planner(n)->choose(gather, kHuge).value().algorithm, "one_shot");
      const PlanChoice choice = network->choose(gather, kHuge).value();
      EXPECT_EQ(choice.algorithm, "ring");
      EXPECT_GE(choice.channels, 2);
      EXPECT_EQ(network->choose(gather, 8).value().algorithm, n > 2 || !uneven ? "one_shot" : "ring");
    }
  }
}

TEST(Planner, EveryRankChoosesAlike) {
  for (int n = 1; n <= 64; ++n) {
    const auto first = planner(n, 0), last = planner(n, n - 1), again = planner(n, 0);
    for (const size_t bytes : kSizes) {
      const Result<PlanChoice> a = first->choose(request(n), bytes), b = last->choose(request(n), bytes),
                               c = again->choose(request(n), bytes);
      ASSERT_TRUE(a.ok() && b.ok() && c.ok());
      EXPECT_TRUE(a.value().same_plan(b.value())) << n << " ranks, " << bytes << " bytes";
      EXPECT_TRUE(a.value().same_plan(c.value()));
      EXPECT_EQ(a.value().reason, b.value().reason);
      EXPECT_FALSE(a.value().reason.empty());
    }
  }
}

TEST(Planner, ChoicesAreWithinWhatTheAlgorithmAndTheTransportOffer) {
  for (int n = 1; n <= 64; ++n) {
    for (const uint32_t inline_bytes : {0u, 64u, kInlineBytes}) {
      const auto made = planner(n, 0, "", inline_bytes);
      for (const size_t bytes : kSizes) {
        const PlanChoice choice = made->choose(request(n), bytes).value();
        const Algorithm* algorithm = find_algorithm(choice.algorithm);
        ASSERT_NE(algorithm, nullptr) << choice.algorithm;
        EXPECT_GE(choice.channels, 1);
        EXPECT_LE(choice.channels, algorithm->max_channels(request(n), *single_host_topology(n)));
        const bool may_inline = bytes <= inline_bytes;
        EXPECT_TRUE(choice.protocol != Protocol::kInline || may_inline) << n << " ranks, " << bytes << " bytes";
      }
    }
  }
}

TEST(Planner, TheProgramIsTheChosenOne) {
  for (const std::string forced : {"", "ring", "one_shot"}) {
    for (const int n : {1, 2, 3, 8, 16}) {
      const auto made = planner(n, n - 1, forced);
      for (const size_t bytes : kSizes) {
        const PlanChoice choice = made->choose(request(n), bytes).value();
        const Result<const PlannedProgram*> planned = made->program_for(request(n), bytes);
        ASSERT_TRUE(planned.ok()) << planned.status().message();
        EXPECT_TRUE(planned.value()->choice.same_plan(choice)) << n << " ranks, " << bytes << " bytes";
        const Program& program = planned.value()->program;
        EXPECT_EQ(program.algorithm, choice.algorithm);
        EXPECT_EQ(program.channels.size(), static_cast<size_t>(choice.channels));
        EXPECT_EQ(program.nranks, n);
        EXPECT_EQ(program.rank, n - 1);
        EXPECT_EQ(program, find_algorithm(choice.algorithm)->generate(request(n), choice, *single_host_topology(n), n - 1));
      }
    }
  }
}

TEST(Planner, ARepeatedRequestGetsTheSameObject) {
  const auto made = planner(4, 1);
  std::vector<const PlannedProgram*> first;
  for (const size_t bytes : kSizes) first.push_back(made->program_for(request(4), bytes).value());
  for (size_t i = 0; i < kSizes.size(); ++i) {
    EXPECT_EQ(made->program_for(request(4), kSizes[i]).value(), first[i]) << kSizes[i];
    EXPECT_EQ(made->program_for(request(4), kSizes[i]).value()->id, first[i]->id);
  }
}

TEST(Planner, SizesOfOneRangeShareAProgramAndIdsCountFromZero) {
  const auto made = planner(4);
  const PlannedProgram* const small = made->program_for(request(4), 4).value();
  EXPECT_EQ(small->id, 0);
  EXPECT_EQ(made->program_for(request(4), 8).value(), small);
  const PlannedProgram* const large = made->program_for(request(4), kHuge).value();
  EXPECT_NE(large, small);
  EXPECT_EQ(large->id, 1);
  EXPECT_EQ(made->program_for(request(4), kHuge - 1).value(), large);
}

TEST(Planner, AForcedAlgorithmIsUsedForEverySize) {
  for (const Algorithm* algorithm : algorithms()) {
    for (const int n : {1, 2, 5}) {
      if (algorithm->max_channels(request(n), *single_host_topology(n)) == 0) continue;  // of other collectives: the rule goes on for this one
      const auto made = planner(n, 0, algorithm->name);
      for (const size_t bytes : kSizes) {
        const PlanChoice choice = made->choose(request(n), bytes).value();
        EXPECT_EQ(choice.algorithm, algorithm->name);
        EXPECT_NE(choice.reason.find("forced"), std::string::npos);
      }
    }
  }
}

// The most peers that one of some ranks has in the plan for `bytes`.
size_t most_peers(const PlanRequest& request, size_t bytes, uint32_t inline_bytes) {
  size_t most = 0;
  for (const int rank : {0, 1, request.nranks / 2, request.nranks - 1}) {
    const auto made = planner(request.nranks, rank, "", inline_bytes);
    const Result<const PlannedProgram*> planned = made->program_for(request, bytes);
    EXPECT_TRUE(planned.ok()) << planned.status().message();
    std::set<int> peers;
    for (const auto& channel : planned.value()->program.channels) {
      for (const Instruction& instruction : channel) peers.insert({instruction.send_peer, instruction.recv_peer});
    }
    peers.erase(kNoPeer);
    most = std::max(most, peers.size());
  }
  return most;
}

// A connection costs memory and a handshake: with many ranks, no small request connects all pairs, with inline slots or without.
TEST(Planner, ManyRanksHaveFewPeers) {
  for (const int n : {16, 33, 64, 100, 256}) {
    const size_t few = 3 * static_cast<size_t>(std::bit_width(static_cast<unsigned>(n - 1)));
    for (const Collective collective :
         {Collective::kAllReduce, Collective::kAllGather, Collective::kReduceScatter, Collective::kBroadcast, Collective::kReduce,
          Collective::kGather, Collective::kScatter, Collective::kAllToAll, Collective::kBarrier}) {
      for (const size_t bytes : {8, 256, 4096, 65536}) {
        if (collective == Collective::kAllToAll && bytes > 4096) continue;  // straight to everybody
        EXPECT_LE(most_peers({.collective = collective, .nranks = n}, bytes, kInlineBytes), few)
            << collective_name(collective) << ", " << n << " ranks, " << bytes << " bytes";
        if (collective == Collective::kAllToAll && bytes > 256) continue;
        EXPECT_LE(most_peers({.collective = collective, .nranks = n}, bytes, 0), few)
            << collective_name(collective) << " without inline slots, " << n << " ranks, " << bytes << " bytes";
      }
    }
  }
}

TEST(Planner, AFewRanksAreOneStepApart) {
  for (int n = 3; n < 16; ++n) {
    for (const Collective collective :
         {Collective::kAllReduce, Collective::kAllGather, Collective::kReduceScatter, Collective::kAllToAll}) {
      EXPECT_EQ(most_peers({.collective = collective, .nranks = n}, 8, kInlineBytes), static_cast<size_t>(n - 1))
          << collective_name(collective);
    }
  }
}

// Of growing sizes, a choice that was left does not come back: there is one range for each.
TEST(Planner, RangesAreIntervals) {
  for (int n = 1; n <= 64; ++n) {
    const auto made = planner(n);
    std::vector<PlanChoice> seen;
    for (size_t bytes = 4; bytes <= (size_t{1} << 20); bytes += 256) {
      const PlanChoice choice = made->choose(request(n), bytes).value();
      if (!seen.empty() && seen.back().same_plan(choice)) continue;
      for (const PlanChoice& old : seen) ASSERT_FALSE(old.same_plan(choice)) << n << " ranks, " << bytes << " bytes";
      seen.push_back(choice);
    }
    EXPECT_GE(seen.size(), 2u);
  }
}

}  // namespace
}  // namespace tutti
