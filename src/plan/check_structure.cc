// The structural check of programs by themselves: headers that agree, and opcodes, peers, regions and `after` that make sense. The check
// of messages, which needs both ends, is link_messages in resolved_plan.cc.
// Threading: pure functions.
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "plan/resolved_plan.h"
#include "plan/semantics.h"

namespace tutti::verifier {
namespace {

using std::to_string;

// Steps, and twice as many ends of messages, are numbered in 32 bits.
constexpr size_t kMaxInstructions = std::numeric_limits<int32_t>::max();

std::string fraction(uint32_t num, uint32_t den) {
  return to_string(num) + "/" + to_string(den);
}

uint32_t blocks_of(const Program& program, Buffer buffer) {
  switch (buffer) {
    case Buffer::kNone: return 0;
    case Buffer::kInput: return input_blocks(program.collective, program.nranks, program.root, program.rank);
    case Buffer::kOutput: return output_blocks(program.collective, program.nranks, program.root, program.rank);
    case Buffer::kScratch: return program.scratch_blocks;
  }
  return 0;
}

Status check_fifos(const Program& program) {
  const std::vector<int>& fifos = program.fifo_of_channel;
  const size_t channels = program.channels.size();
  const std::string who = "rank " + to_string(program.rank) + ": fifo_of_channel ";
  if (!fifos.empty() && fifos.size() != channels) {
    return structure_error(who + "has " + to_string(fifos.size()) + " entries for " + to_string(channels) + " channels; one each, or none");
  }
  for (const int fifo : fifos) {
    if (fifo >= 0 && static_cast<size_t>(fifo) < channels) continue;
    return structure_error(who + "names channel " + to_string(fifo) + ", but there are only " + to_string(channels) + " channels");
  }
  return {};
}

Status check_header(const Plan& plan, size_t rank) {
  const Program& program = plan.ranks[rank];
  const Program& first = plan.ranks[0];
  const auto fail = [&](const std::string& what) { return structure_error("rank " + to_string(rank) + ": " + what); };
  const auto differs = [&](const char* what, const std::string& mine, const std::string& theirs) {
    return fail(std::string(what) + " is " + mine + ", but rank 0's is " + theirs + "; all ranks of a plan must agree");
  };
  if (program.rank < 0 || static_cast<size_t>(program.rank) != rank) {
    return fail("holds the program of rank " + to_string(program.rank) + "; programs must be in the order of the ranks");
  }
  if (program.nranks < 0 || static_cast<size_t>(program.nranks) != plan.ranks.size()) {
    return fail("nranks is " + to_string(program.nranks) + ", but the plan holds " + to_string(plan.ranks.size()) + " programs");
  }
  if (program.collective != first.collective) {
    return differs("the collective", collective_name(program.collective), collective_name(first.collective));
  }
  if (program.algorithm != first.algorithm) return differs("the algorithm", program.algorithm, first.algorithm);
  if (program.root != first.root) return differs("the root", to_string(program.root), to_string(first.root));
  if (program.root < 0 || program.root >= program.nranks) {
    return fail("the root is " + to_string(program.root) + ", which is none of the ranks 0 to " + to_string(program.nranks - 1));
  }
  if (program.largest_num != first.largest_num || program.largest_den != first.largest_den) {
    return differs("the largest message", fraction(program.largest_num, program.largest_den),
                   fraction(first.largest_num, first.largest_den));
  }
  if (program.largest_num == 0 || program.largest_num > program.largest_den) {
    return fail("the largest message is " + fraction(program.largest_num, program.largest_den) +
                " blocks; it must be more than 0 and at most 1");
  }
  if (program.channels.size() != first.channels.size()) {
    return differs("the number of channels", to_string(program.channels.size()), to_string(first.channels.size()));
  }
  return check_fifos(program);
}

// Slices are cut so that a message of largest_num/largest_den blocks fits its slot; a longer one would not.
std::string message_fault(const Program& program, const Instruction& instruction) {
  if (instruction.recv_peer == kNoPeer && instruction.send_peer == kNoPeer) return "";
  const Region& message = extent(instruction);
  if (uint64_t{message.end - message.begin} * program.largest_den <= uint64_t{message.den} * program.largest_num) return "";
  return "its message " + describe(message) + " is longer than the plan's largest message, " +
         fraction(program.largest_num, program.largest_den) + " blocks";
}

// What is wrong with one operand, or "".
std::string region_fault(const Program& program, const Region& region, bool written) {
  const char* name = written ? "dst" : "src";
  if (region.none()) return region == Region{} ? "" : std::string(name) + " has bounds but no buffer; name one or clear the bounds";
  const std::string what = std::string(name) + " " + describe(region) + " ";
  if (region.den == 0) return what + "has the denominator 0";
  if (region.begin >= region.end) return what + "is empty; begin must be less than end";
  const uint64_t blocks = blocks_of(program, region.buffer);
  if (region.end > blocks * region.den) {
    const bool elsewhere = blocks == 0 && region.buffer != Buffer::kScratch;
    return what + "reaches past the end of the buffer, which holds " + to_string(blocks) + " blocks" +
           (region.buffer == Buffer::kScratch ? " (scratch_blocks)"
            : elsewhere                       ? ": only the root has it"
                                              : "");
  }
  const uint64_t block = region.begin / region.den;
  if (region.end > (block + 1) * region.den) return what + "crosses from one block into the next; use one instruction for each block";
  if (written && region.buffer == Buffer::kInput) return what + "would change the caller's input; write to output or scratch";
  return "";
}

std::string peer_fault(const Program& program, const char* name, int peer) {
  if (peer == kNoPeer || (peer >= 0 && peer < program.nranks && peer != program.rank)) return "";
  if (peer == program.rank) return std::string(name) + " is the rank itself; use copy or reduce";
  return std::string(name) + " is rank " + to_string(peer) + ", which is none of the ranks 0 to " + to_string(program.nranks - 1);
}

std::string after_fault(const Program& program, const Instruction& instruction) {
  const int channel = instruction.after_channel, index = instruction.after_index;
  if (channel == -1 && index == -1) return "";
  if (channel < 0 || index < 0) return "`after` is half set; give both the channel and the index, or neither";
  const std::string target = "`after` names channel " + to_string(channel) + ", instruction " + to_string(index) + ", ";
  if (static_cast<size_t>(channel) >= program.channels.size()) {
    return target + "but there are only " + to_string(program.channels.size()) + " channels";
  }
  const size_t length = program.channels[static_cast<size_t>(channel)].size();
  if (static_cast<size_t>(index) >= length) return target + "but that channel has only " + to_string(length) + " instructions";
  return "";
}

std::string reduction_fault(Collective collective, const Instruction& instruction) {
  const std::string name = collective_name(collective);
  if (instruction.src_first && !instruction.reduce) return "src_first gives the order of a reduction, but it does not reduce";
  if (instruction.completes && instruction.src.none() && instruction.dst.none()) return "it completes, but makes no value";
  if (reduces(collective)) return "";
  if (instruction.reduce) return "it reduces, but " + name + " has no reduction";
  if (instruction.completes) return "it completes, but " + name + " has no reduction to complete";
  return "";
}

// What is wrong with one instruction by itself, or "".
std::string instruction_fault(const Program& program, const Instruction& instruction) {
  const std::string_view op = opcode_name(instruction);
  if (op == "malformed") return "the combination of from, to, src, dst and reduce means nothing; program.h lists those that do";
  if (op == "recv_send") return "it has no region of its own to say which elements pass; use recv_copy_send, into scratch if need be";
  if (std::string fault = reduction_fault(program.collective, instruction); !fault.empty()) return fault;
  if (std::string fault = peer_fault(program, "from", instruction.recv_peer); !fault.empty()) return fault;
  if (std::string fault = peer_fault(program, "to", instruction.send_peer); !fault.empty()) return fault;
  if (std::string fault = region_fault(program, instruction.src, false); !fault.empty()) return fault;
  if (std::string fault = region_fault(program, instruction.dst, true); !fault.empty()) return fault;
  if (!instruction.src.none() && !instruction.dst.none() && !congruent(instruction.src, instruction.dst)) {
    return "src " + describe(instruction.src) + " and dst " + describe(instruction.dst) +
           " are not the same part of a block, so they would not hold the same elements";
  }
  if (std::string fault = message_fault(program, instruction); !fault.empty()) return fault;
  return after_fault(program, instruction);
}

// Instruction that can never run, because what it waits for waits for it, inside this rank alone.
Status check_after_acyclic(const Program& program) {
  std::vector<uint32_t> done(program.channels.size(), 0);
  for (const Position& position : sequential_order(program)) ++done[position.channel];
  for (uint32_t channel = 0; channel < program.channels.size(); ++channel) {
    if (done[channel] == program.channels[channel].size()) continue;
    const Instruction& stuck = program.channels[channel][done[channel]];
    return structure_error(describe(program, channel, done[channel]) + ": `after` waits for channel " + to_string(stuck.after_channel) +
                           ", instruction " + to_string(stuck.after_index) +
                           ", which cannot complete before it: program order and `after` form a cycle");
  }
  return {};
}

}  // namespace

Status check_programs(const Plan& plan) {
  if (plan.ranks.empty()) return structure_error("the plan holds no rank's program");
  if (plan.ranks[0].collective == Collective::kSendRecv) {
    return structure_error("what sendrecv must move is known to the calls of its group alone, so its plan cannot be verified");
  }
  size_t instructions = 0;
  for (size_t rank = 0; rank < plan.ranks.size(); ++rank) {
    if (Status bad = check_header(plan, rank); !bad.ok()) return bad;
    for (const auto& channel : plan.ranks[rank].channels) instructions += channel.size();
  }
  if (instructions > kMaxInstructions) {
    return structure_error("the plan holds " + to_string(instructions) + " instructions; at most " + to_string(kMaxInstructions) +
                           " can be verified");
  }
  for (const Program& program : plan.ranks) {
    bool any_after = false;
    for (uint32_t channel = 0; channel < program.channels.size(); ++channel) {
      const std::vector<Instruction>& list = program.channels[channel];
      for (uint32_t index = 0; index < list.size(); ++index) {
        any_after = any_after || list[index].after_channel >= 0;
        const std::string fault = instruction_fault(program, list[index]);
        if (!fault.empty()) return structure_error(describe(program, channel, index) + ": " + fault);
      }
    }
    if (!any_after) continue;
    if (Status cycle = check_after_acyclic(program); !cycle.ok()) return cycle;
  }
  return {};
}

}  // namespace tutti::verifier
