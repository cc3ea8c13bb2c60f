// The verifier refuses each way in which a plan can be broken, and says which check, which rank and why. Every broken plan is a good one
// with one thing changed; the good ones are verified first, so that a refusal is the change's doing.
#include "tests/plan/refusals.h"
#include "tests/plan/small_plans.h"

namespace tutti {
namespace {

TEST(VerifyGood, PlansThatTheRefusalsBreak) {
  for (const Plan& plan : {ring3(), one_shot3(), crossing_sends(), receive_over_input(), relay_between_channels(), relay_of_three(),
                           relay_by_nop(), halves_by_channel(), halves_that_meet_in_place()}) {
    expect_verified(plan);
  }
  EXPECT_TRUE(check_deadlock(two_way_by_channel()).ok());
}

// Both directions by the FIFOs of one channel, which two channels use at different ends.
TEST(VerifyGood, ChannelsThatShareFifos) {
  Plan plan = two_way_by_channel();
  for (Program& program : plan.ranks) program.fifo_of_channel = {0, 0};
  const Status status = check_deadlock(plan);
  EXPECT_TRUE(status.ok()) << status.message();
}

TEST(VerifyGood, OneRegionWithSeveralDenominators) {
  Plan plan = crossing_sends();
  at(plan, 0, 0, 0).src = input(0, 3, 6);
  at(plan, 0, 0, 1).src = input(0x7fffffff, 0xfffffffe, 0xfffffffe);
  at(plan, 1, 0, 2).dst = output(0, 2, 4);
  expect_verified(plan);
}

// --- broken plans

// One instruction of ring3() changed.
Plan ring3_with(size_t rank, size_t index, const std::function<void(Instruction&)>& change) {
  return changed(ring3(), [&](Plan& plan) { change(at(plan, rank, 0, index)); });
}

void set_after(Instruction& instruction, int channel, int index) {
  instruction.after_channel = channel;
  instruction.after_index = index;
}

std::vector<Broken> broken_headers() {
  const auto ring3_rank1 = [](const std::function<void(Program&)>& change) {
    return changed(ring3(), [&](Plan& plan) { change(plan.ranks[1]); });
  };
  return {
      {"NoRanks", Plan{}, {}, {"structure: ", "no rank's program"}},
      {"RanksOutOfOrder",
       changed(ring3(), [](Plan& plan) { std::swap(plan.ranks[1], plan.ranks[2]); }),
       {},
       {"structure: rank 1: ", "program of rank 2"}},
      {"RankMissing",
       changed(ring3(), [](Plan& plan) { plan.ranks.pop_back(); }),
       {},
       {"structure: rank 0: ", "nranks is 3", "2 programs"}},
      {"OtherNranks", ring3_rank1([](Program& program) { program.nranks = 4; }), {}, {"structure: rank 1: ", "nranks is 4"}},
      {"OtherAlgorithm", ring3_rank1([](Program& program) { program.algorithm = "rung"; }), {}, {"structure: rank 1: ", "rung", "ring"}},
      {"OtherRoot", ring3_rank1([](Program& program) { program.root = 1; }), {}, {"structure: rank 1: ", "root is 1"}},
      {"RootOutOfRange",
       changed(ring3(),
               [](Plan& plan) {
                 for (Program& program : plan.ranks) program.root = 3;
               }),
       {},
       {"structure: rank 0: ", "root is 3"}},
      {"OtherLargestMessage",
       ring3_rank1([](Program& program) { program.largest_den = 2; }),
       {},
       {"structure: rank 1: ", "largest message is 1/2"}},
      {"LargestMessageZero",
       changed(ring3(),
               [](Plan& plan) {
                 for (Program& program : plan.ranks) program.largest_num = 0;
               }),
       {},
       {"structure: rank 0: ", "largest message is 0/3"}},
      {"LargestMessageOverOne",
       changed(ring3(),
               [](Plan& plan) {
                 for (Program& program : plan.ranks) program.largest_num = 4;
               }),
       {},
       {"structure: rank 0: ", "largest message is 4/3"}},
      {"OtherChannels",
       ring3_rank1([](Program& program) { program.channels.emplace_back(); }),
       {},
       {"structure: rank 1: ", "number of channels is 2", "rank 0's is 1"}},
  };
}

void set_fifos(Plan& plan, const std::vector<int>& fifos) {
  for (Program& program : plan.ranks) program.fifo_of_channel = fifos;
}

std::vector<Broken> broken_fifos() {
  return {
      {"FifosOfSomeChannels",
       changed(two_way_by_channel(), [](Plan& plan) { plan.ranks[1].fifo_of_channel = {0}; }),
       {},
       {"structure: rank 1: fifo_of_channel has 1 entries for 2 channels"}},
      {"FifoOutOfRange",
       changed(two_way_by_channel(), [](Plan& plan) { plan.ranks[1].fifo_of_channel = {0, 2}; }),
       {},
       {"structure: rank 1: fifo_of_channel names channel 2", "only 2 channels"}},
      {"SendEndShared",
       changed(algorithm_plan("ring", 2, 2), [](Plan& plan) { set_fifos(plan, {0, 0}); }),
       {},
       {"structure: rank 0, channel 1, instruction 0 (send) uses the send end of FIFO channel 0 from rank 0 to rank 1",
        "so does channel 0"}},
      {"ReceiveEndShared",
       changed(two_way_by_channel(),
               [](Plan& plan) {
                 set_fifos(plan, {0, 1});
                 plan.ranks[1].fifo_of_channel = {0, 0};
                 plan.ranks[1].channels[1] = plan.ranks[1].channels[0];
               }),
       {},
       {"structure: rank 1, channel 1, instruction 0 (recv) uses the receive end of FIFO channel 0 from rank 0 to rank 1",
        "so does channel 0"}},
      {"FifosOfOneEndOnly",
       changed(two_way_by_channel(), [](Plan& plan) { plan.ranks[0].fifo_of_channel = {1, 0}; }),
       {},
       {"structure: rank 0, channel 0, instruction 0 (send) sends message 0 of FIFO channel 1 from rank 0 to rank 1"}},
  };
}

std::vector<Broken> broken_instructions() {
  return {
      {"MalformedOpcode",
       ring3_with(1, 0, [](Instruction& send) { send.src = {}; }),
       {},
       {"structure: rank 1, channel 0, instruction 0 (malformed)", "means nothing"}},
      {"RecvSendWithoutRegion",
       ring3_with(1, 3, [](Instruction& recv_copy_send) { recv_copy_send.dst = {}; }),
       {},
       {"structure: rank 1, channel 0, instruction 3 (recv_send)", "recv_copy_send"}},
      {"SendToNobody",
       ring3_with(1, 0, [](Instruction& send) { send.send_peer = 3; }),
       {},
       {"structure: rank 1, channel 0, instruction 0 (send)", "to is rank 3"}},
      {"RecvFromNobody",
       ring3_with(2, 4, [](Instruction& recv) { recv.recv_peer = -2; }),
       {},
       {"structure: rank 2, channel 0, instruction 4 (recv)", "from is rank -2"}},
      {"SendToItself",
       ring3_with(1, 0, [](Instruction& send) { send.send_peer = 1; }),
       {},
       {"structure: rank 1, channel 0, instruction 0", "the rank itself"}},
      {"BoundsWithoutBuffer",
       ring3_with(1, 0, [](Instruction& send) { send.dst.end = 1; }),
       {},
       {"structure: rank 1, channel 0, instruction 0", "dst has bounds but no buffer"}},
      {"DenominatorZero",
       ring3_with(1, 0, [](Instruction& send) { send.src.den = 0; }),
       {},
       {"structure: rank 1, channel 0, instruction 0", "denominator 0"}},
      {"RegionEmpty",
       ring3_with(1, 0, [](Instruction& send) { send.src.end = send.src.begin; }),
       {},
       {"structure: rank 1, channel 0, instruction 0", "src input [1/3, 1/3) is empty"}},
      {"RegionPastTheEnd",
       ring3_with(1, 0, [](Instruction& send) { send.src = input(3, 4, 3); }),
       {},
       {"structure: rank 1, channel 0, instruction 0", "input [3/3, 4/3) reaches past the end", "holds 1 blocks"}},
      {"ScratchNotAsked",
       ring3_with(0, 4, [](Instruction& recv) { recv.dst.buffer = Buffer::kScratch; }),
       {},
       {"structure: rank 0, channel 0, instruction 4 (recv)", "dst scratch", "holds 0 blocks (scratch_blocks)"}},
      {"RegionInTwoBlocks",
       changed(one_shot3(),
               [](Plan& plan) {
                 plan.ranks[2].scratch_blocks = 2;
                 at(plan, 2, 0, 2).dst = scratch(1, 3, 2);
               }),
       {},
       {"structure: rank 2, channel 0, instruction 2", "crosses from one block into the next"}},
      {"InputWritten",
       ring3_with(0, 4, [](Instruction& recv) { recv.dst.buffer = Buffer::kInput; }),
       {},
       {"structure: rank 0, channel 0, instruction 4 (recv)", "change the caller's input"}},
      {"OperandsOfTwoParts",
       ring3_with(0, 2, [](Instruction& last_reduce) { last_reduce.dst.begin -= 1, last_reduce.dst.end -= 1; }),
       {},
       {"structure: rank 0, channel 0, instruction 2 (recv_reduce_copy_send)", "src input [1/3, 2/3) and dst output [0/3, 1/3)"}},
      {"OperandsOfTwoSizes",
       changed(receive_over_input(), [](Plan& plan) { at(plan, 1, 0, 2).src = input(0, 1, 2); }),
       {},
       {"structure: rank 1, channel 0, instruction 2 (reduce)", "src input [0/2, 1/2) and dst output [0/1, 1/1)"}},
      {"MessageTooLong",
       changed(ring3(),
               [](Plan& plan) {
                 for (Program& program : plan.ranks) program.largest_den = 4;
               }),
       {},
       {"structure: rank 0, channel 0, instruction 0 (send)", "longer than the plan's largest message, 1/4"}},
      {"AfterHalfSet",
       ring3_with(1, 2, [](Instruction& instruction) { instruction.after_channel = 0; }),
       {},
       {"structure: rank 1, channel 0, instruction 2", "half set"}},
      {"AfterNoSuchChannel",
       ring3_with(1, 2, [](Instruction& instruction) { set_after(instruction, 1, 0); }),
       {},
       {"structure: rank 1, channel 0, instruction 2", "channel 1, instruction 0", "only 1 channels"}},
      {"AfterNoSuchInstruction",
       ring3_with(1, 2, [](Instruction& instruction) { set_after(instruction, 0, 5); }),
       {},
       {"structure: rank 1, channel 0, instruction 2", "channel 0, instruction 5", "only 5 instructions"}},
      {"AfterItself",
       ring3_with(1, 2, [](Instruction& instruction) { set_after(instruction, 0, 2); }),
       {},
       {"structure: rank 1, channel 0, instruction 2", "cycle"}},
      {"AfterCycleOfChannels",
       changed(relay_between_channels(), [](Plan& plan) { set_after(at(plan, 0, 0, 0), 1, 0); }),
       {},
       {"structure: rank 0, channel 0, instruction 0", "waits for channel 1, instruction 0", "cycle"}},
  };
}

std::vector<Broken> broken_messages() {
  return {
      {"RecvMissing",
       changed(ring3(), [](Plan& plan) { plan.ranks[1].channels[0].pop_back(); }),
       {},
       {"structure: rank 0, channel 0, instruction 3 (recv_copy_send) sends message 3", "from rank 0 to rank 1", "receives only 3"}},
      {"SendMissing",
       changed(ring3(), [](Plan& plan) { plan.ranks[1].channels[0].erase(plan.ranks[1].channels[0].begin()); }),
       {},
       {"structure: rank 2, channel 0, instruction 4 (recv) awaits message 3", "from rank 1 to rank 2", "sends only 3"}},
      {"RecvFromAnother",
       ring3_with(1, 4, [](Instruction& recv) { recv.recv_peer = 2; }),
       {},
       {"structure: rank 0, channel 0, instruction 3 (recv_copy_send) sends message 3", "to rank 1"}},
      {"WrongChunk",
       ring3_with(1, 4, [](Instruction& recv) { recv.dst = output(2, 3, 3); }),
       {},
       {"structure: rank 1, channel 0, instruction 4 (recv) takes output [2/3, 3/3)", "rank 0, channel 0, instruction 3",
        "holds output [0/3, 1/3)"}},
      {"WrongChunkSize",
       changed(crossing_sends(), [](Plan& plan) { at(plan, 0, 0, 0).src = input(0, 1, 4); }),
       {},
       {"structure: rank 1, channel 0, instruction 2 (recv_reduce_copy) takes input [0/2, 1/2)", "holds input [0/4, 1/4)"}},
      {"FifoOrderSwapped",
       changed(crossing_sends(), [](Plan& plan) { std::swap(at(plan, 0, 0, 0), at(plan, 0, 0, 1)); }),
       {},
       {"structure: rank 1, channel 0, instruction 2 (recv_reduce_copy) takes input [0/2, 1/2)", "holds input [1/2, 2/2)"}},
  };
}

std::vector<Broken> races() {
  const auto without_after = [](Plan plan, size_t channel) {
    set_after(at(plan, 0, channel, 0), -1, -1);
    return plan;
  };
  return {
      {"ReadAgainstWrite",
       without_after(relay_between_channels(), 1),
       {},
       {"race: rank 0, channel 0, instruction 0 (copy) writes scratch", "rank 0, channel 1, instruction 0 (copy) reads scratch",
        "`after`"}},
      {"WriteAgainstRead",
       // The order the wrong way round: channel 1 reads first, and channel 0 writes whenever it likes.
       changed(without_after(relay_between_channels(), 1),
               [](Plan& plan) { std::swap(plan.ranks[0].channels[0], plan.ranks[0].channels[1]); }),
       {},
       {"race: rank 0, channel 0, instruction 0 (copy) reads scratch", "channel 1, instruction 0 (copy) writes scratch"}},
      {"WriteAgainstWrite",
       changed(halves_by_channel(), [](Plan& plan) { at(plan, 0, 1, 0) = at(plan, 0, 0, 0); }),
       {},
       {"race: rank 0, channel 0, instruction 0 (copy) writes output", "channel 1, instruction 0 (copy) writes output"}},
      {"OverlapOfUnequalRegions",
       changed(halves_by_channel(),
               [](Plan& plan) {
                 at(plan, 0, 1, 0).src = input(1, 3, 3);
                 at(plan, 0, 1, 0).dst = output(1, 3, 3);
               }),
       {},
       {"race: rank 0, channel 0, instruction 0 (copy) writes output [0/2, 1/2)",
        "channel 1, instruction 0 (copy) writes output [1/3, 3/3)"}},
      {"TransitiveOrderLost",
       without_after(relay_of_three(), 1),
       {},
       {"race: rank 0, channel 0, instruction 1 (copy) writes scratch [1/2, 2/2)",
        "channel 2, instruction 0 (copy) reads scratch [1/2, 2/2)"}},
      {"AfterTooEarly",
       changed(relay_of_three(), [](Plan& plan) { at(plan, 0, 1, 0).after_index = 0; }),
       {},
       {"race: rank 0, channel 0, instruction 1 (copy) writes scratch [1/2, 2/2)", "channel 2"}},
      {"InPlaceOnly",
       halves_that_meet_in_place(),
       {.in_place = true},
       {"race: rank 0, channel 0, instruction 1 (copy) writes output [0/2, 1/2)",
        "channel 1, instruction 0 (copy) reads input [0/2, 1/2)"}},
  };
}

std::vector<Broken> deadlocks() {
  return {
      {"CrossingSendsAtDepth1",
       crossing_sends(),
       {.fifo_depth = 1},
       {"deadlock: with FIFOs of 1 slot",
        "rank 0, channel 0, instruction 1 (send) of slice 0 waits for a free slot towards rank 1, channel 0",
        "rank 1, channel 0, instruction 1 (send) of slice 0 waits for a free slot towards rank 0, channel 0"}},
      {"ReceivesBeforeSends",
       changed(receive_over_input(),
               [](Plan& plan) {
                 for (size_t rank = 0; rank < 2; ++rank) std::swap(at(plan, rank, 0, 0), at(plan, rank, 0, 1));
               }),
       {},
       {"deadlock: ", "rank 0, channel 0, instruction 0 (recv) of slice 0 waits for a message from rank 1",
        "rank 1, channel 0, instruction 0 (recv) of slice 0 waits for a message from rank 0"}},
      {"AfterAgainstMessages",
       // Each rank sends when it has received; neither begins.
       changed(two_way_by_channel(),
               [](Plan& plan) {
                 set_after(at(plan, 0, 0, 0), 1, 0);
                 set_after(at(plan, 1, 1, 0), 0, 0);
               }),
       {},
       {"deadlock: ", "rank 0, channel 0, instruction 0 (send) of slice 0 waits for `after` of rank 0, channel 1",
        "rank 0, channel 1, instruction 0 (recv) of slice 0 waits for a message from rank 1, channel 1",
        "rank 1, channel 1, instruction 0 (send) of slice 0 waits for `after` of rank 1, channel 0"}},
  };
}

std::vector<Broken> wrong_results() {
  return {
      {"OutputNeverWritten",
       changed(crossing_sends(), [](Plan& plan) { at(plan, 1, 0, 3).dst = scratch(1, 2, 2), plan.ranks[1].scratch_blocks = 1; }),
       {},
       {"symbolic: rank 1: output block 0, part [1/2, 1/1), is never written"}},
      {"ContributionMissing",
       changed(one_shot3(), [](Plan& plan) { at(plan, 1, 0, 3) = {.recv_peer = 2, .dst = output(0, 1, 1)}; }),
       {},
       {"symbolic: rank 1: output block 0, part [0/1, 1/1), lacks the input of rank 0"}},
      {"ContributionMissingBeyond64Ranks",
       changed(algorithm_plan("one_shot", 70),
               [](Plan& plan) {
                 plan.ranks[3].scratch_blocks = 2;
                 plan.ranks[3].channels[0].back() = {.recv_peer = 69, .dst = scratch(1, 2, 1)};
               }),
       {},
       {"symbolic: rank 3: output block 0, part [0/1, 1/1), lacks the input of rank 69"}},
      {"ContributionMissingOnSomeAtoms",
       changed(crossing_sends(), [](Plan& plan) { at(plan, 1, 0, 3) = {.recv_peer = 0, .dst = output(1, 2, 2)}; }),
       {},
       {"symbolic: rank 1: output block 0, part [1/2, 1/1), lacks the input of rank 1"}},
      {"ContributionDoubled",
       changed(receive_over_input(),
               [](Plan& plan) { plan.ranks[1].channels[0].push_back({.reduce = true, .src = input(0, 1, 1), .dst = output(0, 1, 1)}); }),
       {},
       {"symbolic: rank 1, channel 0, instruction 3 (reduce) reduces 0 + 1 with 1", "input of rank 1 counts twice"}},
      {"ContributionDoubledBeyond64Ranks",
       changed(algorithm_plan("one_shot", 70),
               [](Plan& plan) { plan.ranks[69].channels[0].push_back({.reduce = true, .src = input(0, 1, 1), .dst = output(0, 1, 1)}); }),
       {},
       {"symbolic: rank 69, channel 0, instruction 140 (reduce)", "input of rank 69 counts twice"}},
      {"ReadOfUndefinedSource",
       changed(one_shot3(), [](Plan& plan) { at(plan, 2, 0, 2).dst = output(0, 1, 1); }),
       {},
       {"symbolic: rank 2, channel 0, instruction 3 (recv_reduce_copy) reads scratch [0/1, 1/1), whose part [0/1, 1/1) nobody has "
        "written"}},
      {"ReadOfUndefinedDestination",
       changed(receive_over_input(),
               [](Plan& plan) {
                 plan.ranks[0].scratch_blocks = 1;
                 at(plan, 0, 0, 2).dst = scratch(0, 1, 1);
               }),
       {},
       {"symbolic: rank 0, channel 0, instruction 2 (reduce) reads scratch [0/1, 1/1)"}},
      {"OtherOrderOnOneRank",
       // Rank 2 adds rank 1 first: (1 + 0) + 2 is the same by commuting, but (1 + 2) + 0 is not.
       changed(one_shot3(),
               [](Plan& plan) {
                 auto& list = plan.ranks[2].channels[0];
                 list.resize(2);
                 list.push_back({.recv_peer = 1, .reduce = true, .src = input(0, 1, 1), .dst = scratch(0, 1, 1)});
                 list.push_back({.recv_peer = 0, .reduce = true, .completes = true, .src = scratch(0, 1, 1), .dst = output(0, 1, 1)});
               }),
       {},
       {"symbolic: rank 2: output block 0, part [0/1, 1/1), is reduced in another order than on rank 0", "0 + (1 + 2) against"}},
      {"InPlaceClobber",
       receive_over_input(),
       {.in_place = true},
       {"symbolic: rank 0, channel 0, instruction 2 (reduce) reduces 1 with 1", "input of rank 1 counts twice"}},
  };
}

class VerifyRefuses : public testing::TestWithParam<Broken> {};

TEST_P(VerifyRefuses, AndSaysWhy) { expect_refused(GetParam()); }

// --- the checks by themselves

TEST(VerifyChecks, EachLooksAtItsOwn) {
  const Plan racing = changed(relay_between_channels(), [](Plan& plan) { set_after(at(plan, 0, 1, 0), -1, -1); });
  EXPECT_TRUE(check_structure(racing).ok());
  EXPECT_FALSE(check_races(racing).ok());
  EXPECT_TRUE(check_deadlock(racing).ok());

  const VerifyOptions depth1{.fifo_depth = 1};
  EXPECT_TRUE(check_races(crossing_sends(), depth1).ok());
  EXPECT_FALSE(check_deadlock(crossing_sends(), depth1).ok());
  EXPECT_TRUE(check_symbolic(crossing_sends(), depth1).ok());

  EXPECT_TRUE(check_races(receive_over_input(), {.in_place = true}).ok());
  EXPECT_TRUE(check_deadlock(receive_over_input(), {.in_place = true}).ok());
  EXPECT_FALSE(check_symbolic(receive_over_input(), {.in_place = true}).ok());
}

TEST(VerifyChecks, AllRefuseAnUnsoundPlan) {
  const Plan unsound = ring3_with(1, 0, [](Instruction& send) { send.send_peer = 3; });
  for (const Status& status : {check_structure(unsound), check_races(unsound), check_deadlock(unsound), check_symbolic(unsound)}) {
    EXPECT_EQ(status.message().rfind("structure: rank 1", 0), 0u) << status.message();
  }
}

TEST(VerifyChecks, RefuseImpossibleDepths) {
  EXPECT_TRUE(verify(ring3(), {.fifo_depth = kMaxFifoDepth}).ok());
  for (const uint32_t depth : {0u, kMaxFifoDepth + 1}) {
    EXPECT_EQ(verify(ring3(), {.fifo_depth = depth}).message().rfind("deadlock: cannot check FIFOs of", 0), 0u);
  }
}

// A deadlock of many ranks is told by its first few, and counted.
TEST(VerifyChecks, LongCyclesAreCutShort) {
  const Plan all_receive_first = written_plan(20, 1, [](ProgramBuilder& builder, int rank) {
    builder.channel(0).recv((rank + 19) % 20, output(0, 1, 1)).send((rank + 1) % 20, input(0, 1, 1));
  });
  const Status status = check_deadlock(all_receive_first);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.message().find("and so on, 20 in all"), std::string::npos) << status.message();
  EXPECT_LT(status.message().size(), 1500u);
}

INSTANTIATE_TEST_SUITE_P(Header, VerifyRefuses, testing::ValuesIn(broken_headers()), name_of);
INSTANTIATE_TEST_SUITE_P(Fifos, VerifyRefuses, testing::ValuesIn(broken_fifos()), name_of);
INSTANTIATE_TEST_SUITE_P(Instruction, VerifyRefuses, testing::ValuesIn(broken_instructions()), name_of);
INSTANTIATE_TEST_SUITE_P(Message, VerifyRefuses, testing::ValuesIn(broken_messages()), name_of);
INSTANTIATE_TEST_SUITE_P(Race, VerifyRefuses, testing::ValuesIn(races()), name_of);
INSTANTIATE_TEST_SUITE_P(Deadlock, VerifyRefuses, testing::ValuesIn(deadlocks()), name_of);
INSTANTIATE_TEST_SUITE_P(Symbolic, VerifyRefuses, testing::ValuesIn(wrong_results()), name_of);

}  // namespace
}  // namespace tutti
