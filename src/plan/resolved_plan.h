// Internal to the verifier: a structurally sound plan with its names resolved to dense numbers, so that the checks run on arrays.
//
//   strand   one channel of one rank: rank * nchannels + channel
//   step     one instruction; a strand's steps are consecutive
//   FIFO     (FIFO channel, from, to); one strand produces, one consumes
//   message  one per slice and send; both ends hold the same number
//   atom     a piece of a block that no region of the plan cuts; numbered by position inside the block, the same for every block
//   cell     one block of one buffer of one rank; in place, input and output share cells. (cell, atom) is the unit of memory.
//
// The names live in a namespace of their own: the executor has steps too.
// Threading: immutable once resolved. Borrows the plan.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "plan/program.h"
#include "plan/verifier.h"

namespace tutti::verifier {

inline constexpr uint32_t kNoIndex = 0xffffffffu;

struct Step {
  uint32_t recv_fifo = kNoIndex;
  uint32_t recv_message = kNoIndex;
  uint32_t send_fifo = kNoIndex;
  uint32_t send_message = kNoIndex;
  uint32_t atom_begin = 0;
  uint32_t atom_end = 0;
  uint32_t src_cell = kNoIndex;
  uint32_t dst_cell = kNoIndex;
  bool reduce = false;
  bool src_first = false;
  bool completes = false;
};

struct ResolvedFifo {
  uint32_t channel = 0;  // the FIFO channel
  uint32_t from = 0;
  uint32_t to = 0;
  uint32_t producer = kNoIndex;  // strands; both there once linked
  uint32_t consumer = kNoIndex;
  uint32_t sends = 0;  // per slice; equal once linked
  uint32_t recvs = 0;
  uint32_t first_message = 0;
};

// A position inside a block: num/den, 0 <= num <= den.
struct Fraction {
  uint32_t num = 0;
  uint32_t den = 1;
};

// The first cells of a rank's buffers.
struct RankCells {
  uint32_t input = 0;
  uint32_t output = 0;
  uint32_t scratch = 0;
};

struct ResolvedPlan {
  const Plan* plan = nullptr;
  uint32_t nranks = 0;
  uint32_t nchannels = 0;
  uint32_t nmessages = 0;
  uint32_t natoms = 0;
  uint32_t ncells = 0;
  std::vector<uint32_t> strand_begin;  // of steps; one more than there are strands
  std::vector<Step> steps;
  std::vector<ResolvedFifo> fifos;
  std::vector<Fraction> cuts;  // natoms + 1, from 0 to 1
  std::vector<RankCells> cells;

  const Program& program(uint32_t rank) const { return plan->ranks[rank]; }
  const Instruction& instruction(uint32_t strand, uint32_t index) const {
    return program(strand / nchannels).channels[strand % nchannels][index];
  }
  uint32_t strand_length(uint32_t strand) const { return strand_begin[strand + 1] - strand_begin[strand]; }
  uint32_t strand_of(uint32_t step) const;
};

// Runs the structural check on the way. The result borrows `plan`.
Result<ResolvedPlan> resolve(const Plan& plan, const VerifyOptions& options);

// The structural check of everything but the messages: headers, and each rank's instructions. See check_structure.cc.
Status check_programs(const Plan& plan);

// Numbers strands, steps, FIFOs and messages, and checks that the ends of every message agree. Presumes check_programs. See
// link_messages.cc.
Status link_messages(const Plan& plan, ResolvedPlan& resolved);

// Where a rank's instructions may run one after another without breaking program order or `after`; shorter than the program where
// `after` is cyclic.
struct Position {
  uint32_t channel = 0;
  uint32_t index = 0;
};
std::vector<Position> sequential_order(const Program& program);

// What a message's two ends, or the operands of one instruction, have in common: the same elements of a block, whichever block.
bool congruent(const Region& a, const Region& b);

// The region that says which elements an instruction moves; none for a nop.
inline const Region& extent(const Instruction& instruction) {
  return instruction.src.none() ? instruction.dst : instruction.src;
}

// Calls visit(rank, channel, instruction, step) for every instruction, in the order of the steps.
template <class Visit>
void for_each_instruction(const Plan& plan, Visit visit) {
  uint32_t step = 0;
  for (uint32_t rank = 0; rank < plan.ranks.size(); ++rank) {
    const auto& channels = plan.ranks[rank].channels;
    for (uint32_t channel = 0; channel < channels.size(); ++channel) {
      for (uint32_t index = 0; index < channels[channel].size(); ++index) visit(rank, channel, channels[channel][index], step++);
    }
  }
}

Status structure_error(const std::string& what);

// For messages: "rank 1, channel 0, instruction 3 (recv)", "[0/1, 1/4)", "output [1/4, 2/4)".
std::string describe(const Program& program, uint32_t channel, uint32_t index);
std::string describe(const ResolvedPlan& plan, uint32_t step);
std::string describe(uint32_t begin_num, uint32_t begin_den, uint32_t end_num, uint32_t end_den);
std::string describe(const Region& region);

}  // namespace tutti::verifier
