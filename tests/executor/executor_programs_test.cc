// Programs written by hand: every opcode, `after` across channels, and what a rank that cannot go on says it waits for.
#include <gtest/gtest.h>

#include "plan/builder.h"
#include "tests/executor/machine.h"

namespace tutti {
namespace {

constexpr Region kIn = {Buffer::kInput, 0, 1, 1};
constexpr Region kOut = {Buffer::kOutput, 0, 1, 1};
constexpr Region kScratch = {Buffer::kScratch, 0, 1, 1};
constexpr float kUntouched = -1;

using Channel = std::vector<Instruction>;
using RankProgram = std::vector<Channel>;

Plan plan_of(const std::vector<RankProgram>& ranks) {
  Plan plan;
  for (const RankProgram& channels : ranks) {
    Program& program = plan.ranks.emplace_back();
    program.nranks = static_cast<int>(ranks.size());
    program.rank = static_cast<int>(plan.ranks.size()) - 1;
    program.scratch_blocks = 1;
    program.channels = channels;
  }
  return plan;
}

// A machine with data: rank r's input element i is 1000 (r + 1) + i.
class Written {
 public:
  explicit Written(const std::vector<RankProgram>& ranks, size_t count = 600, Protocol protocol = Protocol::kStaged)
      : count_(count), machine(plan_of(ranks), protocol), inputs_(ranks.size()), outputs_(ranks.size()) {
    for (size_t rank = 0; rank < ranks.size(); ++rank) {
      for (size_t i = 0; i < count; ++i) inputs_[rank].push_back(input(rank, i));
      outputs_[rank].assign(count, kUntouched);
    }
  }

  static float input(size_t rank, size_t i) { return static_cast<float>(1000 * (rank + 1) + i); }

  void start(size_t rank, uint16_t signature = 7) {
    machine.start(rank, {.input = inputs_[rank].data(), .output = outputs_[rank].data(), .count = count_, .signature = signature});
  }
  void run() {
    for (size_t rank = 0; rank < machine.nranks(); ++rank) start(rank);
    machine.run_round_robin();
  }
  template <class Expected>
  void expect_output(size_t rank, const Expected& expected) const {
    for (size_t i = 0; i < count_; ++i) ASSERT_EQ(outputs_[rank][i], expected(i)) << "rank " << rank << ", element " << i;
  }
  void expect_untouched(size_t rank) const {
    expect_output(rank, [](size_t) { return kUntouched; });
  }
  // The sum of these ranks' inputs.
  void expect_sum(size_t rank, const std::vector<size_t>& of) const {
    expect_output(rank, [&](size_t i) {
      float sum = 0;
      for (const size_t each : of) sum += input(each, i);
      return sum;
    });
  }

 private:
  size_t count_;

 public:
  Machine machine;

 private:
  std::vector<std::vector<float>> inputs_, outputs_;
};

TEST(Opcodes, Nop) {
  Written written({{{Instruction{}}}});
  written.run();
  written.expect_untouched(0);
}

TEST(Opcodes, Copy) {
  Written written({{{{.src = kIn, .dst = kScratch}, {.src = kScratch, .dst = kOut}}}});
  written.run();
  written.expect_sum(0, {0});
}

TEST(Opcodes, Reduce) {
  Written written({{{{.src = kIn, .dst = kOut}, {.reduce = true, .src = kIn, .dst = kOut}, {.reduce = true, .src = kIn, .dst = kOut}}}});
  written.run();
  written.expect_sum(0, {0, 0, 0});
}

TEST(Opcodes, SendAndRecv) {
  Written written({{{{.send_peer = 1, .src = kIn}}}, {{{.recv_peer = 0, .dst = kOut}}}});
  written.run();
  written.expect_untouched(0);
  written.expect_sum(1, {0});
}

TEST(Opcodes, CopySend) {
  Written written({{{{.send_peer = 1, .src = kIn, .dst = kOut}}}, {{{.recv_peer = 0, .dst = kOut}}}});
  written.run();
  written.expect_sum(0, {0});
  written.expect_sum(1, {0});
}

// Rank 0 sends to rank 1, which does `middle` and sends to rank 2.
Written chain(const Instruction& middle) {
  return Written({{{{.send_peer = 1, .src = kIn}}}, {{middle}}, {{{.recv_peer = 1, .dst = kOut}}}});
}

TEST(Opcodes, RecvCopySend) {
  Written written = chain({.recv_peer = 0, .send_peer = 2, .dst = kOut});
  written.run();
  written.expect_sum(1, {0});
  written.expect_sum(2, {0});
}

TEST(Opcodes, RecvReduceSend) {
  Written written = chain({.recv_peer = 0, .send_peer = 2, .reduce = true, .src = kIn});
  written.run();
  written.expect_untouched(1);
  written.expect_sum(2, {0, 1});
}

TEST(Opcodes, RecvReduceCopySend) {
  Written written = chain({.recv_peer = 0, .send_peer = 2, .reduce = true, .src = kIn, .dst = kOut});
  written.run();
  written.expect_sum(1, {0, 1});
  written.expect_sum(2, {0, 1});
}

TEST(Opcodes, RecvReduceCopy) {
  Written written({{{{.send_peer = 1, .src = kIn}}}, {{{.recv_peer = 0, .reduce = true, .src = kIn, .dst = kOut}}}});
  written.run();
  written.expect_sum(1, {0, 1});
}

// Only the regions named are touched; empty ones send nothing, and both ends know it.
TEST(Opcodes, PartsOfABlock) {
  const auto part = [](Buffer buffer, uint32_t begin) { return Region{buffer, begin, begin + 1, 4}; };
  for (const size_t count : {0, 1, 2, 3, 4, 5, 601}) {
    Written written({{{{.send_peer = 1, .src = part(Buffer::kInput, 1)}, {.send_peer = 1, .src = part(Buffer::kInput, 3)}}},
                     {{{.recv_peer = 0, .dst = part(Buffer::kOutput, 1)}, {.recv_peer = 0, .dst = part(Buffer::kOutput, 3)}}}},
                    count, Protocol::kInline);
    written.run();
    const Slicing cut = make_slicing(count, 1, 1, kSmallShapes.inlined.capacity / 4);
    written.expect_output(1, [&](size_t i) {
      const size_t slice = i / cut.slice_elems, at = i % cut.slice_elems;
      const size_t elems = slice + 1 == cut.slices ? cut.last_elems : cut.slice_elems;
      const bool covered = (at >= elems / 4 && at < elems * 2 / 4) || at >= elems * 3 / 4;
      return covered ? Written::input(0, i) : kUntouched;
    });
  }
}

// Channel 0 adds to what channel 1 has written, slice by slice, though channel 0 is looked at first.
TEST(After, OrdersChannelsSliceBySlice) {
  for (const size_t count : {1, 600, 5000}) {
    Written written(
        {{{{.reduce = true, .src = kIn, .dst = kOut, .after_channel = 1, .after_index = 1}}, {Instruction{}, {.src = kIn, .dst = kOut}}}},
        count);
    written.run();
    written.expect_sum(0, {0, 0});
  }
}

TEST(After, WaitsForADependencyThatIsBlocked) {
  Written written({{{{.src = kScratch, .dst = kOut, .after_channel = 1, .after_index = 0}}, {{.recv_peer = 1, .dst = kScratch}}},
                   {{}, {{.send_peer = 0, .src = kIn}}}},
                  100);
  written.start(0);
  EXPECT_EQ(written.machine.step(0), StepResult::kBlocked);
  written.expect_untouched(0);
  written.start(1);
  EXPECT_EQ(written.machine.step(1), StepResult::kDone);
  while (written.machine.step(0) != StepResult::kDone) {
  }
  written.expect_sum(0, {1});
}

void expect_waiting(const Written& written, size_t rank, const WaitingFor& expected) {
  const WaitingFor waiting = const_cast<Written&>(written).machine.executor(rank).waiting_for();
  EXPECT_EQ(waiting.peer, expected.peer);
  EXPECT_EQ(waiting.channel, expected.channel);
  EXPECT_EQ(waiting.instruction, expected.instruction);
  EXPECT_EQ(waiting.for_credit, expected.for_credit);
}

TEST(WaitingFor, NamesThePeerWhoseDataIsMissing) {
  Written written({{{{.src = kIn, .dst = kOut}, {.recv_peer = 1, .dst = kOut}}}, {{{.send_peer = 0, .src = kIn}}}}, 10);
  written.start(0);
  EXPECT_EQ(written.machine.step(0), StepResult::kMoved);
  EXPECT_EQ(written.machine.step(0), StepResult::kBlocked);
  expect_waiting(written, 0, {.peer = 1, .channel = 0, .instruction = 1, .for_credit = false});
}

TEST(WaitingFor, NamesThePeerWhoseCreditIsMissing) {
  const Instruction send = {.send_peer = 1, .src = kIn}, recv = {.recv_peer = 0, .dst = kOut};
  Written written({{{send, send, send}}, {{recv, recv, recv}}}, 10);  // 2 slots
  written.start(0);
  EXPECT_EQ(written.machine.step(0), StepResult::kMoved);
  EXPECT_EQ(written.machine.step(0), StepResult::kBlocked);
  expect_waiting(written, 0, {.peer = 1, .channel = 0, .instruction = 2, .for_credit = true});
}

// Rank 1 forwards from 0 to 2: first data is missing, then credit.
TEST(WaitingFor, TellsDataFromCreditWhereAStepNeedsBoth) {
  const Instruction forward = {.recv_peer = 0, .send_peer = 2, .dst = kOut}, send = {.send_peer = 1, .src = kIn},
                    recv = {.recv_peer = 1, .dst = kOut};
  Written written({{{send, send, send}}, {{forward, forward, forward}}, {{recv, recv, recv}}}, 10);
  written.start(1);
  EXPECT_EQ(written.machine.step(1), StepResult::kBlocked);
  expect_waiting(written, 1, {.peer = 0, .channel = 0, .instruction = 0, .for_credit = false});
  written.start(0);
  for (int i = 0; i < 3; ++i) {
    (void)written.machine.step(0);
    (void)written.machine.step(1);
  }
  EXPECT_EQ(written.machine.step(1), StepResult::kBlocked);
  expect_waiting(written, 1, {.peer = 2, .channel = 0, .instruction = 2, .for_credit = true});
}

// Channel 0 holds its message, and waits only for channel 1, which waits for rank 2: rank 2 is the one to name.
TEST(WaitingFor, LooksThroughAfterToWhatIsMissing) {
  Written written({{{{.recv_peer = 1, .dst = kOut, .after_channel = 1, .after_index = 0}}, {{.recv_peer = 2, .dst = kScratch}}},
                   {{{.send_peer = 0, .src = kIn}}, {}},
                   {{}, {{.send_peer = 0, .src = kIn}}}},
                  10);
  written.start(1);
  EXPECT_EQ(written.machine.step(1), StepResult::kDone);
  written.start(0);
  EXPECT_EQ(written.machine.step(0), StepResult::kBlocked);
  expect_waiting(written, 0, {.peer = 2, .channel = 1, .instruction = 0, .for_credit = false});
}

TEST(Mismatch, AnotherCallsMessageIsRefusedAndNothingIsWritten) {
  Written written({{{{.send_peer = 1, .src = kIn}}}, {{{.recv_peer = 0, .dst = kOut}}}}, 10);
  written.start(0, 7);
  EXPECT_EQ(written.machine.step(0), StepResult::kDone);
  written.start(1, 8);
  EXPECT_EQ(written.machine.step(1), StepResult::kMismatch);
  expect_waiting(written, 1, {.peer = 0, .channel = 0, .instruction = 0, .for_credit = false});
  written.expect_untouched(1);
}

// Rank 1 forwards from 0 to 2; rank 0's message is another call's.
TEST(Mismatch, IsBlamedOnTheSenderOfAForwardedMessage) {
  Written written = chain({.recv_peer = 0, .send_peer = 2, .dst = kOut});
  written.start(0, 7);
  (void)written.machine.step(0);
  written.start(1, 8);
  EXPECT_EQ(written.machine.step(1), StepResult::kMismatch);
  expect_waiting(written, 1, {.peer = 0, .channel = 0, .instruction = 0, .for_credit = false});
}

// Rank 0's channel 0 waits honestly for rank 1 while rank 2's message on channel 1 is another call's.
TEST(Mismatch, IsBlamedOnTheChannelWhereItWasSeen) {
  Written written({{{{.recv_peer = 1, .dst = kOut}}, {{.recv_peer = 2, .dst = kScratch}}},
                   {{{.send_peer = 0, .src = kIn}}, {}},
                   {{}, {{.send_peer = 0, .src = kIn}}}},
                  10);
  written.start(2, 7);
  EXPECT_EQ(written.machine.step(2), StepResult::kDone);
  written.start(0, 8);
  EXPECT_EQ(written.machine.step(0), StepResult::kMismatch);
  expect_waiting(written, 0, {.peer = 2, .channel = 1, .instruction = 0, .for_credit = false});
}

TEST(Executor, NothingToDoIsDoneAtOnce) {
  Written empty(std::vector<RankProgram>{RankProgram(2)});  // two channels without a step
  empty.start(0);
  EXPECT_EQ(empty.machine.step(0), StepResult::kDone);
  Written zero({{{{.recv_peer = 1, .dst = kOut}}}, {{{.send_peer = 0, .src = kIn}}}}, 0);
  zero.start(0);
  EXPECT_EQ(zero.machine.step(0), StepResult::kDone);
}

}  // namespace
}  // namespace tutti
