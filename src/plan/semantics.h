// What each collective means, block by block: which blocks a rank has, what an output must hold, and how input and output lie over each
// other in place. A new collective is taught to the verifier here and nowhere else.
// Threading: pure functions.
#pragma once

#include <cstdint>

#include "plan/program.h"

namespace tutti {

// How many blocks this rank's input and output hold; 0 where the rank has none, and the pointer may be NULL: the input of a broadcast or a
// scatter and the output of a reduce or a gather, at every rank but the root.
uint32_t input_blocks(Collective collective, int nranks, int root, int rank);
uint32_t output_blocks(Collective collective, int nranks, int root, int rank);

// What one block of one rank's output holds at the end.
struct Expected {
  enum class Kind : uint8_t {
    kReduction,  // of all ranks' input block `input_block`, by the same expression wherever it appears
    kCopy,       // of rank `from`'s input block `input_block`
    kAnything,   // not part of the result (a barrier's)
  };
  Kind kind = Kind::kReduction;
  int from = 0;
  uint32_t input_block = 0;
};

// Precondition: output_block < output_blocks(collective, nranks, root, rank).
Expected expected_output(Collective collective, int root, int rank, uint32_t output_block);

// Whether a call may give one buffer for input and output; false for all-to-all and the barrier.
bool has_in_place(Collective collective);

// The one buffer of an in-place call: in blocks, where the input and where the output begin in it. As in NCCL, the smaller of the two is
// the block of the larger that holds the same data.
struct InPlaceLayout {
  uint32_t input_at = 0;
  uint32_t output_at = 0;
};

// Precondition: has_in_place(collective).
InPlaceLayout in_place_layout(Collective collective, int root, int rank);

// Whether there is a form in which blocks have counts of their own (all-gather-v and so on).
bool has_uneven(Collective collective);

// A block of the exchange as a whole, told by the ranks whose it is, -1 for "all": what rank `from` gives, meant for rank `to`. Wherever a
// buffer holds it, it has one count.
struct ExchangeBlock {
  int from = -1;
  int to = -1;

  bool operator==(const ExchangeBlock&) const = default;
};

// Preconditions: has_uneven(collective); the buffer is the input or the output.
ExchangeBlock exchange_block(Collective collective, int rank, Buffer buffer, uint32_t block);

}  // namespace tutti
