// How long a plan takes on a network, by simulating its messages.
//
//   strand    one channel of one rank; runs its instructions in program order, slice after slice. All strands run at once.
//   instruction  waits for its `after`, for its message and for a free slot of the FIFO that it sends to; then it works (reduce and copy
//             rates); then its message leaves, when the rank has injected the ones before it; then the next instruction begins. What is
//             forwarded has been received whole: store and forward, a slice at a time.
//   message   of its slice's bytes; first the latency of its route's edges, then a flow over all of them at once, at the max-min fair share
//             of each (fair_share.h). The messages of one FIFO flow one after another.
//   slot      is free again when the receiving instruction is done and the route's latency has passed.
//
// What is left out: contention for a rank's memory and for its cores, and the bytes of flags and credits.
// Routes are Network::route's. Where several ways are equal it takes one, the same for all messages: on a torus, messages half-way round an
// axis all go the same way, so plans for a torus should send to neighbours.
//
// Deterministic: equal inputs give equal results. Threading: pure functions.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "base/status.h"
#include "plan/program.h"
#include "topology/network.h"
#include "topology/symmetry.h"

namespace tutti {

struct SimulateOptions {
  uint64_t slice_bytes = 0;        // the most bytes of one message; 0: one slice, whole messages
  uint32_t fifo_depth = 0;         // slots of a FIFO; 0: as many as are wanted
  double injection_us = 0.2;       // between two messages that one rank injects
  double reduce_bytes_per_us = 0;  // 0: reductions cost nothing
  double copy_bytes_per_us = 0;    // 0: copies cost nothing
  // More slices are not simulated: the time grows with each further one as it grew in the second half of these. Fewer, down to 16, where
  // they have more messages than max_messages. 0: no limit.
  uint64_t max_slices = 64;
  uint64_t max_messages = 400'000;
  // How late, of a message's own duration, it may get its fair share when many begin and end one shortly after the other: their rates are
  // then worked out together. 0: each at once.
  double tolerance = 0.005;
  bool trace = false;  // whether to keep the critical chain
  // Given up once it is sure to take longer, or when it is more work than that (events, and what sharing edges costs beside; 0: no limit).
  double give_up_us = std::numeric_limits<double>::infinity();
  uint64_t max_work = 0;
};

// What the end waited for, latest first. `reason` is what the instruction had to wait for longest.
struct ChainLink {
  enum class Reason : uint8_t { kStart, kProgramOrder, kAfter, kMessage, kSlot };
  int rank = 0;
  int channel = 0;
  int index = 0;
  uint64_t slice = 0;
  double end_us = 0;
  Reason reason = Reason::kStart;
};

struct Simulated {
  enum class GaveUp : uint8_t { kNo, kTime, kWork };

  double time_us = 0;
  uint64_t slices = 0;
  bool extrapolated = false;
  GaveUp gave_up = GaveUp::kNo;  // else time_us says nothing
  uint64_t events = 0;
  uint64_t work = 0;               // as options.max_work counts it
  std::vector<double> edge_bytes;  // of each of the network's edges, in all slices
  std::vector<ChainLink> chain;    // with options.trace; of the slices that were simulated

  // Of what the edge could have carried in that time.
  double utilisation(const Network& network, uint32_t edge) const;
};

// `bytes` of the request's block (all blocks are equal), elements of one byte. 0 bytes take no time, but a barrier's tokens are one byte.
// Errors: kInvalidArgument (a plan that fails check_structure, with its message; another number of ranks than the network has; a deadlock:
// the sentence names an instruction that waits, and for what).
Result<Simulated> simulate(const Plan& plan, const Network& network, uint64_t bytes, const SimulateOptions& options = {});

// Whether `other` is rank 0's program `first` as its rank would have it: the same instructions with all peers shifted.
bool shifts(const Program& first, const Program& other, const Symmetry& symmetry);

// The same for a plan whose programs are all rank 0's, shifted: only that one is followed, whatever the number of ranks. Of the result,
// edge_bytes are those of the classes of edges, by rank 0. Errors: kInvalidArgument (rank 0 does not receive what it would have to be sent;
// a deadlock).
Result<Simulated> simulate_symmetric(const Program& program, const Network& network, const Symmetry& symmetry, uint64_t bytes,
                                     const SimulateOptions& options = {});

}  // namespace tutti
