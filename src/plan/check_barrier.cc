// What a barrier promises: no rank ends before every rank has begun. A step knows the ranks of all steps that must happen before it: its
// predecessor's and its `after`'s, and by a message the sender's. Free slots do not count: order from them would not survive another depth.
// Threading: pure functions.
#include <string>

#include "plan/checks.h"

namespace tutti::verifier {

Status check_barrier(const ResolvedPlan& plan, const std::vector<uint32_t>& order) {
  const uint32_t words = (plan.nranks + 63) / 64;
  std::vector<uint64_t> begun(plan.steps.size() * words, 0);      // of each step: the ranks that have begun when it completes
  std::vector<uint64_t> sent(size_t{plan.nmessages} * words, 0);  // of each message: its send's
  std::vector<uint64_t> at_end(size_t{plan.nranks} * words, 0);   // of each rank, when it ends
  const auto join = [words](std::vector<uint64_t>& into, size_t to, const std::vector<uint64_t>& from, size_t at) {
    for (uint32_t word = 0; word < words; ++word) into[to * words + word] |= from[at * words + word];
  };
  for (uint32_t rank = 0; rank < plan.nranks; ++rank) at_end[size_t{rank} * words + rank / 64] |= uint64_t{1} << rank % 64;
  for (const uint32_t id : order) {
    const Step& step = plan.steps[id];
    const uint32_t strand = plan.strand_of(id), rank = strand / plan.nchannels;
    const uint32_t index = id - plan.strand_begin[strand];
    const Instruction& instruction = plan.instruction(strand, index);
    begun[size_t{id} * words + rank / 64] |= uint64_t{1} << rank % 64;
    if (index > 0) join(begun, id, begun, id - 1);
    if (instruction.after_channel >= 0) {
      const uint32_t target = rank * plan.nchannels + static_cast<uint32_t>(instruction.after_channel);
      join(begun, id, begun, plan.strand_begin[target] + static_cast<uint32_t>(instruction.after_index));
    }
    if (step.recv_message != kNoIndex) join(begun, id, sent, step.recv_message);
    if (step.send_message != kNoIndex) join(sent, step.send_message, begun, id);
    join(at_end, rank, begun, id);
  }
  for (uint32_t rank = 0; rank < plan.nranks; ++rank) {
    for (uint32_t other = 0; other < plan.nranks; ++other) {
      if ((at_end[size_t{rank} * words + other / 64] >> other % 64 & 1) != 0) continue;
      return {Code::kInvalidArgument, "symbolic: rank " + std::to_string(rank) + " can end before rank " + std::to_string(other) +
                                          " has begun: no chain of messages leads from that rank to this one"};
    }
  }
  return {};
}

}  // namespace tutti::verifier
