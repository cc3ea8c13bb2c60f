// Proves a plan before it may run, without I/O: that it is well formed, free of races, free of deadlock with finite FIFO credits, and
// that every output holds at the end what the collective means (semantics.h), the same bits on every rank that has it.
//
// A failure has Code::kInvalidArgument and one sentence that begins with the check ("structure: ", "race: ", "deadlock: ",
// "symbolic: ") and names rank, channel, instruction, and cause or remedy. The first failure is the one reported; the order is fixed.
//
// One slice stands for all: slices are disjoint in elements, so only the deadlock check, whose credits span slices, unrolls them.
// Cost: linear in the plan's instructions times the atoms that each touches (an atom: a piece of a block that no region cuts).
// Threading: pure functions.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "plan/program.h"

namespace tutti {

struct VerifyOptions {
  uint32_t fifo_depth = 2;    // slots of a FIFO, 1 .. kMaxFifoDepth; what passes at a depth passes at every greater one
  bool in_place = false;      // input and output are one buffer; refused where the collective has no such form
  bool rank_ordered = false;  // the reduction does not commute: every result is the inputs' fold in the order of the ranks
  bool uneven = false;        // blocks have counts of their own; refused where the collective has no such form
};

inline constexpr uint32_t kMaxFifoDepth = 1024;

// All four checks, in the order below.
Status verify(const Plan& plan, const VerifyOptions& options = {});

// Headers agree, opcodes, peers, regions and `after` make sense, no two channels of a rank use one end of a FIFO, and every send has its
// receive, with the same elements. Uneven: every instruction and message keeps to one block, and tells which.
Status check_structure(const Plan& plan, const VerifyOptions& options = {});

// The following refuse a plan that fails check_structure, with its message.

// Within a rank, no two instructions of different channels touch the same elements, one of them writing, unless program order and
// `after` order them. Order that only messages through other ranks establish does not count: it would not survive another depth.
Status check_races(const Plan& plan, const VerifyOptions& options = {});

// All ranks finish when an instruction waits for its `after`, its message and a free slot, and then fires at once.
Status check_deadlock(const Plan& plan, const VerifyOptions& options = {});

// Executes all ranks on expressions. Each result of a reduction is one in which all ranks count once, that passed exactly one instruction
// that `completes`, the same expression wherever it is held; other results are copies of the right block. For a barrier: no rank can end
// before every rank has begun. Presumes freedom from races; FIFOs are unbounded here.
Status check_symbolic(const Plan& plan, const VerifyOptions& options = {});

}  // namespace tutti
