// How the algorithms divide the element space among channels: each channel takes an equal share of every block, and the same steps.
// Threading: pure functions.
#pragma once

#include <cstdint>
#include <utility>

#include "plan/builder.h"

namespace tutti {

// As many as there are FIFO channels between two ranks (executor/transport.h).
inline constexpr int kMostShares = 8;

struct ChannelShare {
  int index = 0;
  int shares = 1;

  // Of a block.
  Region of(Buffer buffer, int block = 0) const {
    const auto begin = static_cast<uint32_t>(block * shares + index);
    return {buffer, begin, begin + 1, static_cast<uint32_t>(shares)};
  }
  // Chunks [begin, end) of the `chunks` that the share of block 0 is cut into.
  Region chunks_of(Buffer buffer, int begin, int end, int chunks) const {
    const auto first = static_cast<uint32_t>(index * chunks);
    return {buffer, first + static_cast<uint32_t>(begin), first + static_cast<uint32_t>(end), static_cast<uint32_t>(shares * chunks)};
  }
};

// The program of a communicator's only rank.
inline Program copy_alone(const PlanRequest& request, const PlanChoice& choice) {
  ProgramBuilder builder(request, choice, 0);
  for (int c = 0; c < choice.channels; ++c) {
    const ChannelShare share{c, choice.channels};
    builder.channel(c).copy(share.of(Buffer::kInput), share.of(Buffer::kOutput)).completes(reduces(request.collective));
  }
  return builder.take();
}

// A program with two channels for every share, c and c + choice.channels, on the FIFOs of one: a rank may so wait at two places of
// an algorithm. They must not use the same end of a FIFO.
inline ProgramBuilder two_channels_a_share(const PlanRequest& request, const PlanChoice& choice, int rank) {
  PlanChoice doubled = choice;
  doubled.channels *= 2;
  ProgramBuilder builder(request, doubled, rank);
  for (int c = 0; c < choice.channels; ++c) builder.use_fifos(choice.channels + c, c);
  return builder;
}

}  // namespace tutti
