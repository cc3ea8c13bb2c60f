// A good plan of every collective but sendrecv, each as direct as can be: who has what another needs sends it there, and all arrives in the
// order of the ranks. The verifier's tests break them; its fuzz mutates them.
// Threading: pure functions.
#pragma once

#include "plan/semantics.h"
#include "tests/plan/plan_makers.h"

namespace tutti {

inline constexpr Collective kDirectCollectives[] = {Collective::kAllReduce, Collective::kAllGather, Collective::kReduceScatter,
                                                    Collective::kBroadcast, Collective::kReduce,    Collective::kGather,
                                                    Collective::kScatter,   Collective::kAllToAll,  Collective::kBarrier};

// Which block of `from`'s input `to` needs for its output, kNoBlock where none.
inline constexpr uint32_t kNoBlock = 0xffffffffu;

inline uint32_t block_needed(Collective collective, int nranks, int root, int from, int to) {
  if (input_blocks(collective, nranks, root, from) == 0 || output_blocks(collective, nranks, root, to) == 0) return kNoBlock;
  return input_blocks(collective, nranks) == 1 ? 0 : static_cast<uint32_t>(to);
}

inline Region whole(Region (*buffer)(uint32_t, uint32_t, uint32_t), uint32_t block) {
  return buffer(block, block + 1, 1);
}

// Folds what the ranks have for this one, from left to right, in scratch, and then copies it out.
inline void fold_directly(ProgramBuilder::Channel channel, int nranks, int rank, uint32_t block) {
  const Region mine = whole(input, block), sum = scratch(0, 1, 1);
  if (rank == 0) {
    channel.copy(mine, sum).completes(nranks == 1);
  } else {
    channel.recv(0, sum);
  }
  for (int from = 1; from < nranks; ++from) {
    if (from == rank) {
      channel.reduce(mine, sum);
    } else {
      channel.recv_reduce_copy(from, sum, sum).src_first();
    }
    channel.completes(from == nranks - 1);
  }
  channel.copy(sum, output(0, 1, 1));
}

// A barrier by a chain: up the ranks word that all below have begun, and down that all have. Each rank in the middle: 0 recv from below,
// 1 send up, 2 recv from above, 3 send down.
inline Plan barrier_chain(int nranks) {
  const PlanRequest request{.collective = Collective::kBarrier, .nranks = nranks};
  const Region out = output(0, 1, 1), in = input(0, 1, 1);
  return written_plan(request, 1, [&](ProgramBuilder& builder, int rank) {
    auto channel = builder.channel(0);
    if (rank > 0) channel.recv(rank - 1, out);
    if (rank + 1 < nranks) channel.send(rank + 1, in).recv(rank + 1, out);
    if (rank > 0) channel.send(rank - 1, in);
  });
}

// The chain of three, but rank 1 hears of rank 0 by channel 1, and channel 0, which tells rank 2, waits for that.
inline Plan barrier_of_two_channels() {
  Plan plan = barrier_chain(3);
  for (Program& program : plan.ranks) program.channels.resize(2);
  Program& middle = plan.ranks[1];
  middle.channels[1] = {middle.channels[0][0]};
  middle.channels[0].erase(middle.channels[0].begin());
  middle.channels[0][0].after_channel = 1, middle.channels[0][0].after_index = 0;
  middle.channels[1][0].dst = scratch(0, 1, 1);
  middle.scratch_blocks = 1;
  middle.fifo_of_channel = {0, 0};
  return plan;
}

// Each rank: its sends, to the ranks above it first, round the ranks; then what it makes for itself.
inline Plan direct_plan(Collective collective, int nranks, int root = 0) {
  const PlanRequest request{.collective = collective, .nranks = nranks, .root = root};
  return written_plan(request, 1, [&](ProgramBuilder& builder, int rank) {
    const auto needed = [&](int from, int to) { return block_needed(collective, nranks, root, from, to); };
    auto channel = builder.channel(0);
    for (int hop = 1; hop < nranks; ++hop) {
      const int to = (rank + hop) % nranks;
      if (needed(rank, to) != kNoBlock) channel.send(to, whole(input, needed(rank, to)));
    }
    if (output_blocks(collective, nranks, root, rank) == 0) return;
    if (reduces(collective)) {
      builder.use_scratch(1);
      fold_directly(channel, nranks, rank, needed(rank, rank));
      return;
    }
    const bool by_block = output_blocks(collective, nranks) > 1;
    for (int hop = 0; hop < nranks; ++hop) {
      const int from = (rank + hop) % nranks;
      const Region dst = whole(output, by_block ? static_cast<uint32_t>(from) : 0);
      if (needed(from, rank) == kNoBlock) continue;
      if (from == rank) {
        channel.copy(whole(input, needed(rank, rank)), dst);
      } else {
        channel.recv(from, dst);
      }
    }
  });
}

}  // namespace tutti
