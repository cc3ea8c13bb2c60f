// The structural check of a plan for blocks with counts of their own. An instruction's elements are cut from the count of its block, so it
// must have an operand whose block is known, which scratch's is not; and all that one instruction or one message touches must be one block
// of the exchange as a whole, or its ends would cut different elements.
// Threading: pure functions.
#include <string>
#include <vector>

#include "plan/checks.h"
#include "plan/semantics.h"

namespace tutti::verifier {
namespace {

using std::to_string;

class UnevenBlocks {
 public:
  explicit UnevenBlocks(const ResolvedPlan& resolved) : resolved_(resolved), collective_(resolved.program(0).collective) {}

  Status check() {
    if (!has_uneven(collective_)) {
      return structure_error(std::string(collective_name(collective_)) + " has no form with uneven blocks; verify it with even ones");
    }
    std::vector<ExchangeBlock> blocks(resolved_.steps.size());
    std::vector<uint32_t> sender(resolved_.nmessages, kNoIndex);
    Status failure;
    for_each_instruction(*resolved_.plan, [&](uint32_t rank, uint32_t, const Instruction& instruction, uint32_t id) {
      if (failure.ok()) failure = block_of(rank, instruction, id, blocks[id]);
      if (resolved_.steps[id].send_message != kNoIndex) sender[resolved_.steps[id].send_message] = id;
    });
    for (uint32_t id = 0; id < blocks.size() && failure.ok(); ++id) {
      if (resolved_.steps[id].recv_message == kNoIndex) continue;
      const uint32_t other = sender[resolved_.steps[id].recv_message];
      if (blocks[id] == blocks[other]) continue;
      failure = structure_error(describe(resolved_, id) + " takes " + text(blocks[id]) + ", but the message that arrives, from " +
                                describe(resolved_, other) + ", holds " + text(blocks[other]) + "; uneven blocks differ in count");
    }
    return failure;
  }

 private:
  Status block_of(uint32_t rank, const Instruction& instruction, uint32_t id, ExchangeBlock& block) const {
    const auto known = [](const Region& region) { return !region.none() && region.buffer != Buffer::kScratch; };
    const auto named = [&](const Region& region) {
      return exchange_block(collective_, static_cast<int>(rank), region.buffer, region.begin / region.den);
    };
    if (known(instruction.src) && known(instruction.dst) && named(instruction.src) != named(instruction.dst)) {
      return structure_error(describe(resolved_, id) + ": src " + describe(instruction.src) + " is of " + text(named(instruction.src)) +
                             ", but dst " + describe(instruction.dst) + " of " + text(named(instruction.dst)) +
                             "; uneven blocks differ in count");
    }
    if (known(instruction.src)) {
      block = named(instruction.src);
    } else if (known(instruction.dst)) {
      block = named(instruction.dst);
    } else if (!extent(instruction).none()) {
      return structure_error(describe(resolved_, id) +
                             " has only scratch to work on, which does not tell the count of its block where blocks are uneven");
    }
    return {};
  }

  std::string text(const ExchangeBlock& block) const {
    const std::string from = "the block from rank " + to_string(block.from), to = " to rank " + to_string(block.to);
    if (block.from < 0) return "the block" + to;
    return block.to < 0 ? from : from + to;
  }

  const ResolvedPlan& resolved_;
  const Collective collective_;
};

}  // namespace

Status check_uneven(const ResolvedPlan& resolved) {
  return UnevenBlocks(resolved).check();
}

}  // namespace tutti::verifier
