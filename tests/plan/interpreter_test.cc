// Holds the verifier against an interpreter that shares nothing with it: what the verifier accepts gives the right result whichever
// instruction happens to run next. Good plans are mutated at random; most are refused, and of the rest each is run on values.
#include "tests/plan/interpreter.h"

#include <gtest/gtest.h>

#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "plan/semantics.h"
#include "plan/serialise.h"
#include "tests/plan/collective_plans.h"

namespace tutti {
namespace {

// Two channels that share a sum in scratch, and order themselves by `after`: what a race would need.
Plan shared_scratch_plan() {
  Plan plan = written_plan(2, 2, [](ProgramBuilder& builder, int rank) {
    const int peer = 1 - rank;
    builder.use_scratch(1);
    builder.channel(0).send(peer, input(0, 1, 1)).recv(peer, scratch(0, 1, 1)).copy(scratch(0, 1, 2), scratch(0, 1, 2));
    builder.channel(1).reduce(input(0, 1, 1), scratch(0, 1, 1)).completes().copy(scratch(0, 1, 1), output(0, 1, 1));
  });
  for (size_t rank = 0; rank < 2; ++rank) {
    at(plan, rank, 1, 0).after_channel = 0;
    at(plan, rank, 1, 0).after_index = 2;
  }
  return plan;
}

// A good plan for each collective and form of it, of every algorithm, and written out.
std::vector<Plan> good_plans(Collective collective) {
  std::vector<Plan> plans;
  if (collective == Collective::kAllReduce) plans.push_back(shared_scratch_plan());
  if (collective == Collective::kBarrier) plans.push_back(barrier_of_two_channels());
  for (const int nranks : {2, 3, 4}) {
    PlanRequest request{.collective = collective, .nranks = nranks, .root = has_root(collective) ? 1 : 0};
    plans.push_back(direct_plan(collective, nranks, request.root));
    for (const bool other_form : {false, true}) {
      request.rank_ordered = other_form && reduces(collective);
      request.uneven = other_form && has_uneven(collective);
      for (const Algorithm* algorithm : algorithms()) {
        const int channels = std::min(2, algorithm->max_channels(request, host_topology(request.nranks)));
        if (channels > 0) plans.push_back(algorithm_plan(*algorithm, request, channels));
      }
    }
  }
  // So that mutants may use it.
  for (Plan& plan : plans) {
    for (Program& program : plan.ranks) program.scratch_blocks = std::max(1u, program.scratch_blocks);
  }
  return plans;
}

// Changes one thing that a hand might get wrong.
void mutate(Plan& plan, std::mt19937& random) {
  const auto below = [&](size_t bound) { return static_cast<size_t>(random() % bound); };
  Program& program = plan.ranks[below(plan.ranks.size())];
  std::vector<Instruction>& list = program.channels[below(program.channels.size())];
  if (list.empty()) return;
  Instruction& chosen = list[below(list.size())];
  Region& region = below(2) == 0 ? chosen.src : chosen.dst;
  switch (below(13)) {
    case 0: std::swap(chosen, list[below(list.size())]); break;
    case 1: list.insert(list.begin() + static_cast<std::ptrdiff_t>(below(list.size())), Instruction(chosen)); break;
    case 2: list.erase(list.begin() + static_cast<std::ptrdiff_t>(below(list.size()))); break;
    case 3: chosen.reduce = !chosen.reduce; break;
    case 4: region.buffer = static_cast<Buffer>(1 + below(3)); break;
    case 5: region = Region{}; break;
    case 6: chosen.after_channel = chosen.after_index = -1; break;
    case 7: chosen.after_channel = static_cast<int>(below(2)), chosen.after_index = static_cast<int>(below(3)); break;
    case 8: chosen.src_first = !chosen.src_first; break;
    case 9: chosen.completes = !chosen.completes; break;
    case 10: region.begin += region.den, region.end += region.den; break;
    case 11: program.fifo_of_channel.assign(program.channels.size(), static_cast<int>(below(program.channels.size()))); break;
    default: std::swap(chosen.src, chosen.dst); break;
  }
}

// Whoever is held back, nobody ends.
bool holds_back_all(const Plan& plan, const VerifyOptions& options, uint32_t seed) {
  for (size_t held = 0; held < plan.ranks.size(); ++held) {
    Machine machine(plan, options, seed);
    machine.run(held);
    for (size_t rank = 0; rank < plan.ranks.size(); ++rank) {
      if (machine.ended(rank)) return false;
    }
  }
  return true;
}

class VerifierAgainstInterpreter : public testing::TestWithParam<Collective> {};

TEST_P(VerifierAgainstInterpreter, WhatIsAcceptedRunsRight) {
  const Collective collective = GetParam();
  const std::vector<Plan> good = good_plans(collective);
  std::mt19937 random(7);
  int accepted = 0, refused = 0;
  for (int i = 0; i < 6000; ++i) {
    Plan plan = good[static_cast<size_t>(i) % good.size()];
    for (size_t changes = random() % 3; changes > 0; --changes) mutate(plan, random);
    const VerifyOptions options{.fifo_depth = Machine::kFifoDepth,
                                .in_place = has_in_place(collective) && random() % 2 == 0,
                                .rank_ordered = reduces(collective) && random() % 2 == 0,
                                .uneven = has_uneven(collective) && random() % 2 == 0};
    if (!verify(plan, options).ok()) {
      ++refused;
      continue;
    }
    ++accepted;
    for (uint32_t seed = 0; seed < 3; ++seed) {
      const std::string what = std::string("in_place ") + (options.in_place ? "1" : "0") + ", rank_ordered " +
                               (options.rank_ordered ? "1" : "0") + ", uneven " + (options.uneven ? "1" : "0");
      Machine machine(plan, options, seed);
      ASSERT_TRUE(machine.run()) << "hangs, " << what << "\n" << plan_to_json(plan);
      ASSERT_TRUE(machine.right()) << "wrong, " << what << "\n" << plan_to_json(plan);
      if (collective == Collective::kBarrier) {
        ASSERT_TRUE(holds_back_all(plan, options, seed)) << plan_to_json(plan);
      }
    }
  }
  EXPECT_GT(accepted, 1000);
  EXPECT_GT(refused, 1000);
}

INSTANTIATE_TEST_SUITE_P(All, VerifierAgainstInterpreter, testing::ValuesIn(kDirectCollectives),
                         [](const testing::TestParamInfo<Collective>& test) { return std::string(collective_name(test.param)); });

}  // namespace
}  // namespace tutti
