// Small good plans, each with one thing in it that a test breaks.
// Threading: pure functions.
#pragma once

#include "tests/plan/plan_makers.h"

namespace tutti {

// Ring of 3, one channel. Each rank: 0 send, 1 recv_reduce_send, 2 recv_reduce_copy_send, 3 recv_copy_send, 4 recv.
inline Plan ring3() {
  return algorithm_plan("ring", 3);
}

// One-shot of 3. Each rank: 0 and 1 send; then the sum, in the order of the ranks. Rank 2 goes by scratch.
inline Plan one_shot3() {
  return algorithm_plan("one_shot", 3);
}

// Two ranks exchange their inputs half by half, sending both halves before they receive the first: two slots are needed.
inline Plan crossing_sends() {
  return written_plan(2, 1, [](ProgramBuilder& builder, int rank) {
    const int peer = 1 - rank;
    builder.channel(0)
        .send(peer, input(0, 1, 2))
        .send(peer, input(1, 2, 2))
        .recv_reduce_copy(peer, input(0, 1, 2), output(0, 1, 2))
        .completes()
        .recv_reduce_copy(peer, input(1, 2, 2), output(1, 2, 2))
        .completes();
  });
}

// Two ranks exchange by way of the output, which in place overwrites the input before it is added.
inline Plan receive_over_input() {
  return written_plan(2, 1, [](ProgramBuilder& builder, int rank) {
    const int peer = 1 - rank;
    builder.channel(0).send(peer, input(0, 1, 1)).recv(peer, output(0, 1, 1)).reduce(input(0, 1, 1), output(0, 1, 1)).completes();
  });
}

// One rank that copies by two channels: channel 0 to scratch, channel 1 from there to the output. Right only with an `after`.
inline Plan relay_between_channels() {
  Plan plan = written_plan(1, 2, [](ProgramBuilder& builder, int) {
    builder.use_scratch(1);
    builder.channel(0).copy(input(0, 1, 1), scratch(0, 1, 1));
    builder.channel(1).copy(scratch(0, 1, 1), output(0, 1, 1)).completes();
  });
  at(plan, 0, 1, 0).after_channel = 0;
  at(plan, 0, 1, 0).after_index = 0;
  return plan;
}

// As before, by three channels: the order of the first and the last follows only from both `after`.
inline Plan relay_of_three() {
  Plan plan = written_plan(1, 3, [](ProgramBuilder& builder, int) {
    builder.use_scratch(1);
    builder.channel(0).copy(input(0, 1, 2), scratch(0, 1, 2)).copy(input(1, 2, 2), scratch(1, 2, 2));
    builder.channel(1).copy(input(0, 1, 2), output(0, 1, 2)).completes();
    builder.channel(2).copy(scratch(1, 2, 2), output(1, 2, 2)).completes();
  });
  at(plan, 0, 1, 0).after_channel = 0;
  at(plan, 0, 1, 0).after_index = 1;
  at(plan, 0, 2, 0).after_channel = 1;
  at(plan, 0, 2, 0).after_index = 0;
  return plan;
}

// As relay_between_channels(), but what waits is a nop before the copy.
inline Plan relay_by_nop() {
  Plan plan = relay_between_channels();
  auto& list = plan.ranks[0].channels[1];
  list.insert(list.begin(), Instruction{.after_channel = 0, .after_index = 0});
  list[1].after_channel = list[1].after_index = -1;
  return plan;
}

// Two halves, each its own channel: one reads its half of the input, the other writes its half of the output.
inline Plan halves_by_channel() {
  return written_plan(1, 2, [](ProgramBuilder& builder, int) {
    builder.channel(0).copy(input(0, 1, 2), output(0, 1, 2)).completes();
    builder.channel(1).copy(input(1, 2, 2), output(1, 2, 2)).completes();
  });
}

// As before, but channel 0 goes on to write the half that channel 1 begins by reading; out of place those are two buffers.
inline Plan halves_that_meet_in_place() {
  Plan plan = halves_by_channel();
  plan.ranks[0].scratch_blocks = 1;
  plan.ranks[0].channels[0].push_back({.src = output(0, 1, 2), .dst = output(0, 1, 2)});
  plan.ranks[0].channels[1].insert(plan.ranks[0].channels[1].begin(), {.src = input(0, 1, 2), .dst = scratch(0, 1, 2)});
  return plan;
}

// Channel 0 of rank 0 sends to rank 1, and channel 1 of rank 1 to rank 0; neither result matters to the deadlock check.
inline Plan two_way_by_channel() {
  return written_plan(2, 2, [](ProgramBuilder& builder, int rank) {
    builder.use_scratch(1);
    builder.channel(rank).send(1 - rank, input(0, 1, 1));
    builder.channel(1 - rank).recv(1 - rank, scratch(0, 1, 1));
  });
}

}  // namespace tutti
