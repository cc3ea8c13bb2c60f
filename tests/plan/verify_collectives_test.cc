// What the verifier asks of each collective: a good plan of each passes, in place where there is such a form, and each way to break it is
// refused with its reason. The refusals that all collectives share are in verify_refusals_test.cc.
#include "plan/semantics.h"
#include "tests/plan/collective_plans.h"
#include "tests/plan/refusals.h"
#include "tests/plan/small_plans.h"

namespace tutti {
namespace {

TEST(VerifyCollectives, DirectPlansAreGood) {
  for (const Collective collective : kDirectCollectives) {
    for (const int nranks : {1, 2, 3, 5}) {
      for (int root = 0; root < (has_root(collective) ? nranks : 1); ++root) {
        const Plan plan = direct_plan(collective, nranks, root);
        expect_verified(plan);
        if (has_in_place(collective)) expect_verified(plan, {.in_place = true});
      }
    }
  }
}

TEST(VerifyCollectives, DirectReductionsAreRankOrdered) {
  for (const Collective collective : {Collective::kAllReduce, Collective::kReduceScatter, Collective::kReduce}) {
    for (const int nranks : {1, 2, 5, 70}) expect_verified(direct_plan(collective, nranks), {.rank_ordered = true});
  }
}

TEST(VerifyCollectives, DirectCopiesAreUneven) {
  for (const Collective collective : {Collective::kAllGather, Collective::kGather, Collective::kScatter, Collective::kAllToAll}) {
    for (int root = 0; root < (has_root(collective) ? 3 : 1); ++root) expect_verified(direct_plan(collective, 3, root), {.uneven = true});
  }
}

// Scratch beside an operand whose block is known has that block's count.
TEST(VerifyCollectives, UnevenBlocksMayPassThroughScratch) {
  Plan plan = direct_plan(Collective::kAllGather, 2);
  plan.ranks[0].scratch_blocks = 1;
  plan.ranks[0].channels[0].push_back({.src = output(1, 2, 1), .dst = scratch(0, 1, 1)});
  plan.ranks[0].channels[0].push_back({.src = scratch(0, 1, 1), .dst = output(1, 2, 1)});
  expect_verified(plan, {.uneven = true});
}

TEST(VerifyCollectives, BarriersAreGood) {
  for (const int nranks : {1, 2, 3, 70}) {
    expect_verified(direct_plan(Collective::kBarrier, nranks));
    expect_verified(barrier_chain(nranks));
  }
  expect_verified(barrier_of_two_channels());
}

// Two ranks; rank 1, the root where there is one, makes a detour by the block that its two buffers share in place.
Plan detour_by_shared_block(Collective collective) {
  const PlanRequest request{.collective = collective, .nranks = 2, .root = has_root(collective) ? 1 : 0};
  return written_plan(request, 1, [&](ProgramBuilder& builder, int rank) {
    const bool gathers = collective == Collective::kAllGather || collective == Collective::kGather;
    auto channel = builder.channel(0);
    if (gathers) {
      channel.send(1 - rank, input(0, 1, 1));
      if (rank == 1) channel.recv(0, output(1, 2, 1)).copy(output(1, 2, 1), output(0, 1, 1)).copy(input(0, 1, 1), output(1, 2, 1));
      if (rank == 0) channel.copy(input(0, 1, 1), collective == Collective::kAllGather ? output(0, 1, 1) : scratch(0, 1, 1));
      if (rank == 0) channel.recv(1, collective == Collective::kAllGather ? output(1, 2, 1) : scratch(0, 1, 1));
      builder.use_scratch(1);
    } else if (collective == Collective::kScatter) {
      if (rank == 1) channel.copy(input(0, 1, 1), output(0, 1, 1)).send(0, input(0, 1, 1)).copy(input(1, 2, 1), output(0, 1, 1));
      if (rank == 0) channel.recv(1, output(0, 1, 1));
    } else {
      const auto mine = static_cast<uint32_t>(rank);
      channel.send(1 - rank, whole(input, 1 - mine));
      if (rank == 1) channel.recv(0, output(0, 1, 1)).reduce(whole(input, mine), output(0, 1, 1)).completes();
      if (rank == 0) channel.recv_reduce_copy(1, whole(input, mine), output(0, 1, 1)).completes();
    }
  });
}

TEST(VerifyCollectives, SharedBlockIsWhereNcclHasIt) {
  for (const Collective collective : {Collective::kAllGather, Collective::kReduceScatter, Collective::kGather, Collective::kScatter}) {
    const Plan plan = detour_by_shared_block(collective);
    expect_verified(plan);
    const Status status = verify(plan, {.in_place = true});
    EXPECT_EQ(status.message().rfind("symbolic: rank 1", 0), 0u) << collective_name(collective) << ": " << status.message();
  }
}

TEST(VerifyCollectives, NoInPlaceForm) {
  const Status status = verify(direct_plan(Collective::kAllToAll, 3), {.in_place = true});
  EXPECT_EQ(status.message().rfind("structure: alltoall has no in-place form", 0), 0u) << status.message();
  EXPECT_FALSE(has_in_place(Collective::kBarrier));
}

TEST(VerifyCollectives, SendRecvIsNoPlan) {
  Plan plan = direct_plan(Collective::kAllToAll, 2);
  for (Program& program : plan.ranks) program.collective = Collective::kSendRecv;
  EXPECT_EQ(verify(plan).message().rfind("structure: what sendrecv must move", 0), 0u);
}

// direct_plan of three ranks, the root rank 1 where there is one, with one change.
Plan direct3(Collective collective, const std::function<void(Plan&)>& change) {
  return changed(direct_plan(collective, 3, has_root(collective) ? 1 : 0), change);
}

std::vector<Broken> broken_blocks() {
  const auto push = [](size_t rank, Instruction instruction) {
    return [=](Plan& plan) {
      plan.ranks[rank].scratch_blocks = 1;
      plan.ranks[rank].channels[0].push_back(instruction);
    };
  };
  const Region in = input(0, 1, 1), out = output(0, 1, 1), held = scratch(0, 1, 1);
  return {
      {"BroadcastInputElsewhere",
       direct3(Collective::kBroadcast, push(2, {.src = in, .dst = held})),
       {},
       {"structure: rank 2, channel 0, instruction 1 (copy): src input [0/1, 1/1) reaches past the end", "only the root has it"}},
      {"ScatterInputElsewhere",
       direct3(Collective::kScatter, push(0, {.src = in, .dst = held})),
       {},
       {"structure: rank 0, channel 0, instruction 1 (copy): src input", "only the root has it"}},
      {"ReduceOutputElsewhere",
       direct3(Collective::kReduce, push(0, {.src = in, .dst = out})),
       {},
       {"structure: rank 0, channel 0, instruction 1 (copy): dst output", "only the root has it"}},
      {"GatherOutputElsewhere",
       direct3(Collective::kGather, push(2, {.src = in, .dst = out})),
       {},
       {"structure: rank 2, channel 0, instruction 1 (copy): dst output", "only the root has it"}},
      {"AllGatherInputOfOneBlock",
       direct3(Collective::kAllGather, push(2, {.src = input(2, 3, 1), .dst = held})),
       {},
       {"structure: rank 2, channel 0, instruction 5 (copy): src input [2/1, 3/1) reaches past the end of the buffer, which holds 1 "
        "block"}},
      {"AllGatherBlocksSwapped",
       direct3(Collective::kAllGather, [](Plan& plan) { std::swap(at(plan, 0, 0, 3).dst, at(plan, 0, 0, 4).dst); }),
       {},
       {"symbolic: rank 0: output block 1, part [0/1, 1/1), should be a copy of rank 1's input block 0, but is of rank 2's block 0"}},
      {"AllGatherBlockMissing",
       direct3(Collective::kAllGather, [](Plan& plan) { at(plan, 2, 0, 3).dst = output(1, 2, 1); }),
       {},
       {"symbolic: rank 2: output block 0, part [0/1, 1/1), is never written"}},
      {"BroadcastRootForgetsItself",
       direct3(Collective::kBroadcast, [](Plan& plan) { plan.ranks[1].channels[0].pop_back(); }),
       {},
       {"symbolic: rank 1: output block 0, part [0/1, 1/1), is never written"}},
      {"AllToAllWrongBlock",
       direct3(Collective::kAllToAll, [](Plan& plan) { at(plan, 1, 0, 0).src = input(0, 1, 1); }),
       {},
       {"symbolic: rank 2: output block 1, part [0/1, 1/1), should be a copy of rank 1's input block 2, but is of rank 1's block 0"}},
      {"ReduceScatterOtherBlock",
       direct3(Collective::kReduceScatter,
               [](Plan& plan) {
                 for (size_t rank = 0; rank < 3; ++rank) {
                   for (Instruction& instruction : plan.ranks[rank].channels[0]) {
                     Region& src = instruction.src;
                     if (src.buffer == Buffer::kInput) src = input((src.begin + 1) % 3, (src.begin + 1) % 3 + 1, 1);
                   }
                 }
               }),
       {},
       {"symbolic: rank 0: output block 0, part [0/1, 1/1), holds input block 1 in place of 0"}},
      {"ReduceScatterMixedBlocks",
       direct3(Collective::kReduceScatter, [](Plan& plan) { at(plan, 0, 0, 1).src = input(0, 1, 1); }),
       {},
       {"symbolic: rank 2, channel 0, instruction 3 (recv_reduce_copy) reduces", "which come from input blocks 0 and 2"}},
      {"ReductionWhereNoneIs",
       direct3(Collective::kAllGather,
               [](Plan& plan) { at(plan, 0, 0, 3) = {.recv_peer = 1, .reduce = true, .src = input(0, 1, 1), .dst = output(1, 2, 1)}; }),
       {},
       {"structure: rank 0, channel 0, instruction 3 (recv_reduce_copy): it reduces, but all_gather has no reduction"}},
      {"SrcFirstWithoutReduction",
       direct3(Collective::kAllGather, [](Plan& plan) { at(plan, 0, 0, 3).src_first = true; }),
       {},
       {"structure: rank 0, channel 0, instruction 3 (recv): src_first"}},
      {"CompletesWhereNothingIsReduced",
       direct3(Collective::kBroadcast, [](Plan& plan) { at(plan, 2, 0, 0).completes = true; }),
       {},
       {"structure: rank 2, channel 0, instruction 0 (recv): it completes, but broadcast has no reduction"}},
      {"CompletesNothing",
       direct3(Collective::kReduce, [](Plan& plan) { plan.ranks[2].channels[0].push_back({.completes = true}); }),
       {},
       {"structure: rank 2, channel 0, instruction 1 (nop): it completes, but makes no value"}},
  };
}

std::vector<Broken> broken_completion() {
  return {
      {"NeverCompleted",
       direct3(Collective::kReduce, [](Plan& plan) { at(plan, 1, 0, 2).completes = false; }),
       {},
       {"symbolic: rank 1: output block 0, part [0/1, 1/1), holds all ranks' inputs, but no instruction on its way `completes`"}},
      {"NeverCompletedOnOneRank",
       direct3(Collective::kAllReduce, [](Plan& plan) { at(plan, 2, 0, 4).completes = false; }),
       {},
       {"symbolic: rank 2: output block 0", "no instruction on its way `completes`"}},
      {"NeverCompletedOnSomeAtoms",
       changed(crossing_sends(), [](Plan& plan) { at(plan, 1, 0, 3).completes = false; }),
       {},
       {"symbolic: rank 1: output block 0, part [1/2, 1/1), holds all ranks' inputs"}},
      {"CompletedTwice",
       direct3(Collective::kReduceScatter, [](Plan& plan) { at(plan, 2, 0, 5).completes = true; }),
       {},
       {"symbolic: rank 2, channel 0, instruction 5 (copy) completes 2 + (0 + 1) on part [0/1, 1/1), which an instruction before has"}},
      {"CompletedTooEarly",
       direct3(Collective::kAllReduce, [](Plan& plan) { at(plan, 0, 0, 3).completes = true; }),
       {},
       {"symbolic: rank 0, channel 0, instruction 3 (recv_reduce_copy) completes 0 + 1 on part [0/1, 1/1), which lacks the input of rank "
        "2"}},
      {"OneRankAloneNeverCompletes",
       changed(direct_plan(Collective::kAllReduce, 1), [](Plan& plan) { at(plan, 0, 0, 0).completes = false; }),
       {},
       {"symbolic: rank 0: output block 0", "no instruction on its way `completes`"}},
  };
}

std::vector<Broken> broken_rank_order() {
  const VerifyOptions rank_ordered{.rank_ordered = true};
  return {
      {"OperandsSwapped",
       direct3(Collective::kReduce, [](Plan& plan) { at(plan, 1, 0, 1).src_first = true; }),
       rank_ordered,
       {"symbolic: rank 1, channel 0, instruction 1 (reduce) reduces 1 with 0 on part [0/1, 1/1): not the order of the ranks"}},
      {"ArrivingOnTheWrongSide",
       direct3(Collective::kAllReduce, [](Plan& plan) { at(plan, 0, 0, 4).src_first = false; }),
       rank_ordered,
       {"symbolic: rank 0, channel 0, instruction 4 (recv_reduce_copy) reduces 2 with 0 + 1", "not the order of the ranks"}},
      {"RankSkipped",
       direct3(Collective::kReduceScatter, [](Plan& plan) { std::swap(at(plan, 0, 0, 3), at(plan, 0, 0, 4)); }),
       rank_ordered,
       {"symbolic: rank 0, channel 0, instruction 3 (recv_reduce_copy) reduces 0 with 2", "not the order of the ranks"}},
      {"RingTurns", algorithm_plan("ring", 3), rank_ordered, {"symbolic: ", "not the order of the ranks"}},
      {"SameOrderOtherTree",
       // 0 + (1 + 2) on rank 0: in order, but not the bits of (0 + 1) + 2.
       direct3(Collective::kAllReduce,
               [](Plan& plan) {
                 auto& list = plan.ranks[0].channels[0];
                 const Region sum = scratch(0, 1, 1);
                 list.resize(2);
                 list.push_back({.recv_peer = 1, .dst = sum});
                 list.push_back({.recv_peer = 2, .reduce = true, .src_first = true, .src = sum, .dst = sum});
                 list.push_back({.reduce = true, .src_first = true, .completes = true, .src = input(0, 1, 1), .dst = sum});
                 list.push_back({.src = sum, .dst = output(0, 1, 1)});
               }),
       rank_ordered,
       {"symbolic: rank 1: output block 0, part [0/1, 1/1), is reduced in another order than on rank 0",
        "(0 + 1) + 2 against 0 + (1 + 2)"}},
  };
}

std::vector<Broken> broken_barriers() {
  return {
      {"NobodySpeaks",
       changed(direct_plan(Collective::kBarrier, 2),
               [](Plan& plan) {
                 for (Program& program : plan.ranks) program.channels[0].clear();
               }),
       {},
       {"symbolic: rank 0 can end before rank 1 has begun"}},
      {"OneRankUnheard",
       direct3(Collective::kBarrier,
               [](Plan& plan) {
                 // What rank 2 sent to rank 0 goes, and both its ends.
                 plan.ranks[2].channels[0].erase(plan.ranks[2].channels[0].begin());
                 plan.ranks[0].channels[0].pop_back();
               }),
       {},
       {"symbolic: rank 0 can end before rank 2 has begun", "no chain of messages"}},
      {"HeardTooEarly",
       // Rank 1 tells rank 2 of itself before it has heard of rank 0.
       changed(barrier_chain(3), [](Plan& plan) { std::swap(at(plan, 1, 0, 0), at(plan, 1, 0, 1)); }),
       {},
       {"symbolic: rank 2 can end before rank 0 has begun"}},
      {"NeighbourInTheListUnheard",
       // Rank 2 hears of rank 0 alone, though the last channel of rank 1 may well be done before.
       written_plan({.collective = Collective::kBarrier, .nranks = 3}, 2,
                    [](ProgramBuilder& builder, int rank) {
                      const Region in = input(0, 1, 1), out = output(0, 1, 1), held = scratch(0, 1, 1);
                      builder.use_scratch(1);
                      if (rank == 0) builder.channel(0).send(2, in).recv(1, out).recv(2, out);
                      if (rank == 1) builder.channel(0).send(0, in).recv(2, out);
                      if (rank == 1) builder.channel(1).copy(in, held);
                      if (rank == 2) builder.channel(0).recv(0, out).send(0, in).send(1, in);
                    }),
       {},
       {"symbolic: rank 2 can end before rank 1 has begun"}},
      {"OtherChannelOfARankHeard",
       // Channel 1 of rank 2 hears of rank 1, but what rank 3 hears of is channel 0.
       written_plan({.collective = Collective::kBarrier, .nranks = 4}, 2,
                    [](ProgramBuilder& builder, int rank) {
                      const Region in = input(0, 1, 1), out = output(0, 1, 1);
                      auto channel = builder.channel(0);
                      if (rank == 0) channel.send(2, in).send(1, in).recv(3, out).recv(1, out).recv(2, out);
                      if (rank == 1) channel.send(2, in).send(0, in).recv(3, out).recv(0, out).recv(2, out);
                      if (rank == 2) channel.recv(0, out).send(3, in).recv(3, out).send(0, in).send(1, in);
                      if (rank == 3) channel.send(0, in).send(1, in).send(2, in).recv(2, out);
                      if (rank == 2) builder.channel(1).recv(1, scratch(0, 1, 1));
                      if (rank == 2) builder.use_fifos(1, 0);
                      builder.use_scratch(1);
                    }),
       {},
       {"symbolic: rank 3 can end before rank 1 has begun"}},
      {"AnotherChannelHeard",
       changed(barrier_of_two_channels(), [](Plan& plan) { at(plan, 1, 0, 0).after_channel = at(plan, 1, 0, 0).after_index = -1; }),
       {},
       {"symbolic: rank 2 can end before rank 0 has begun"}},
  };
}

std::vector<Broken> broken_uneven() {
  const VerifyOptions uneven{.uneven = true};
  const Region held = scratch(0, 1, 1);
  const auto relayed = [&](Region dst, Region src) {
    // What rank 0 would send to rank 2, by way of scratch.
    return direct3(Collective::kAllGather, [&](Plan& plan) {
      plan.ranks[0].scratch_blocks = 1;
      plan.ranks[0].channels[0].insert(plan.ranks[0].channels[0].begin(), {.src = at(plan, 0, 0, 1).src, .dst = dst});
      at(plan, 0, 0, 2).src = src;
    });
  };
  return {
      {"SendOfScratch", relayed(held, held), uneven, {"structure: rank 0, channel 0, instruction 2 (send) has only scratch to work on"}},
      {"RecvToScratch",
       direct_plan(Collective::kReduceScatter, 3),
       uneven,
       {"structure: rank 0, channel 0, instruction 3 (recv_reduce_copy) has only scratch to work on"}},
      {"AllGatherMessageOfAnotherBlock",
       direct3(Collective::kAllGather, [](Plan& plan) { at(plan, 2, 0, 3).dst = output(1, 2, 1); }),
       uneven,
       {"structure: rank 2, channel 0, instruction 3 (recv) takes the block from rank 1, but the message that arrives, from rank 0",
        "holds the block from rank 0"}},
      {"AllToAllMessageOfAnotherBlock",
       direct3(Collective::kAllToAll, [](Plan& plan) { at(plan, 1, 0, 0).src = input(0, 1, 1); }),
       uneven,
       {"structure: rank 2, channel 0, instruction 4 (recv) takes the block from rank 1 to rank 2, but the message",
        "holds the block from rank 1 to rank 0"}},
      {"OperandsOfTwoBlocks",
       direct3(Collective::kScatter, [](Plan& plan) { at(plan, 1, 0, 2).src = input(0, 1, 1); }),
       uneven,
       {"structure: rank 1, channel 0, instruction 2 (copy): src input [0/1, 1/1) is of the block to rank 0, but dst output [0/1, 1/1) of "
        "the block to rank 1"}},
      {"NoUnevenForm", direct_plan(Collective::kAllReduce, 3), uneven, {"structure: all_reduce has no form with uneven blocks"}},
  };
}

class VerifyCollectiveRefuses : public testing::TestWithParam<Broken> {};

TEST_P(VerifyCollectiveRefuses, AndSaysWhy) {
  expect_refused(GetParam());
}

INSTANTIATE_TEST_SUITE_P(Completion, VerifyCollectiveRefuses, testing::ValuesIn(broken_completion()), name_of);
INSTANTIATE_TEST_SUITE_P(RankOrder, VerifyCollectiveRefuses, testing::ValuesIn(broken_rank_order()), name_of);
INSTANTIATE_TEST_SUITE_P(Barrier, VerifyCollectiveRefuses, testing::ValuesIn(broken_barriers()), name_of);
INSTANTIATE_TEST_SUITE_P(Uneven, VerifyCollectiveRefuses, testing::ValuesIn(broken_uneven()), name_of);
INSTANTIATE_TEST_SUITE_P(Blocks, VerifyCollectiveRefuses, testing::ValuesIn(broken_blocks()), name_of);

}  // namespace
}  // namespace tutti
