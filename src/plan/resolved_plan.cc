#include "plan/resolved_plan.h"

#include <algorithm>
#include <numeric>

#include "plan/checks.h"
#include "plan/flat_map.h"
#include "plan/semantics.h"

namespace tutti::verifier {
namespace {

using std::to_string;

// Bounds on what a check may allocate: 512 MiB of 32-bit numbers. Ring with 8 channels on 1024 ranks needs an eighth of it.
constexpr uint64_t kMaxCells = uint64_t{1} << 27;
constexpr uint64_t kMaxTouchedAtoms = uint64_t{1} << 27;

uint64_t cut_key(uint32_t num, uint32_t den) {
  return uint64_t{num} << 32 | den;
}

uint64_t begin_key(const Region& region) {
  return cut_key(region.begin % region.den, region.den);
}

// The end as a position inside the same block as the begin: 1, not 0, at the end of the block.
uint64_t end_key(const Region& region) {
  return cut_key(region.begin % region.den + (region.end - region.begin), region.den);
}

// Cuts the block wherever a region begins or ends. `index_of` maps a cut_key, of which several may be one position, to its place.
void cut_block(ResolvedPlan& resolved, FlatMap& index_of) {
  std::vector<uint64_t> keys;
  const auto add = [&](uint64_t key) {
    const size_t known = index_of.size();
    index_of.get_or_insert(key, 0);
    if (index_of.size() != known) keys.push_back(key);
  };
  add(cut_key(0, 1));
  add(cut_key(1, 1));
  for_each_instruction(*resolved.plan, [&](uint32_t, uint32_t, const Instruction& instruction, uint32_t) {
    const Region& region = extent(instruction);
    if (region.none()) return;
    add(begin_key(region));
    add(end_key(region));
  });
  const auto less = [](uint64_t a, uint64_t b) { return (a >> 32) * (b & 0xffffffffu) < (b >> 32) * (a & 0xffffffffu); };
  std::sort(keys.begin(), keys.end(), less);
  for (size_t i = 0; i < keys.size(); ++i) {
    if (i == 0 || less(keys[i - 1], keys[i])) {
      resolved.cuts.push_back({static_cast<uint32_t>(keys[i] >> 32), static_cast<uint32_t>(keys[i])});
    }
    index_of.get_or_insert(keys[i], 0) = static_cast<uint32_t>(resolved.cuts.size() - 1);
  }
  resolved.natoms = static_cast<uint32_t>(resolved.cuts.size() - 1);
}

Status number_atoms(ResolvedPlan& resolved) {
  FlatMap index_of;
  cut_block(resolved, index_of);
  uint64_t touched = 0;
  for_each_instruction(*resolved.plan, [&](uint32_t, uint32_t, const Instruction& instruction, uint32_t index) {
    const Region& region = extent(instruction);
    if (region.none()) return;
    Step& step = resolved.steps[index];
    step.atom_begin = index_of.find(begin_key(region));
    step.atom_end = index_of.find(end_key(region));
    touched += step.atom_end - step.atom_begin;
  });
  if (touched <= kMaxTouchedAtoms) return {};
  return structure_error("the regions cut a block into " + to_string(resolved.natoms) + " pieces, which the instructions touch " +
                         to_string(touched) + " times; at most " + to_string(kMaxTouchedAtoms) + " can be verified");
}

Status number_cells(ResolvedPlan& resolved, bool in_place) {
  const Collective collective = resolved.program(0).collective;
  if (in_place && !has_in_place(collective)) {
    return structure_error(std::string(collective_name(collective)) + " has no in-place form; verify it out of place");
  }
  uint64_t next = 0;
  for (const Program& program : resolved.plan->ranks) {
    const uint32_t inputs = input_blocks(collective, program.nranks, program.root, program.rank);
    const uint32_t outputs = output_blocks(collective, program.nranks, program.root, program.rank);
    const InPlaceLayout layout =
        in_place ? in_place_layout(collective, program.root, program.rank) : InPlaceLayout{.input_at = 0, .output_at = inputs};
    const uint64_t caller_blocks = std::max(layout.input_at + inputs, layout.output_at + outputs);
    const uint64_t scratch = next + caller_blocks;
    resolved.cells.push_back(
        {static_cast<uint32_t>(next + layout.input_at), static_cast<uint32_t>(next + layout.output_at), static_cast<uint32_t>(scratch)});
    next = scratch + program.scratch_blocks;
    if (next > kMaxCells) {
      return structure_error("rank " + to_string(program.rank) + ": the buffers of the ranks up to this one hold " + to_string(next) +
                             " blocks, " + to_string(program.scratch_blocks) + " of them its scratch; at most " + to_string(kMaxCells) +
                             " can be verified");
    }
  }
  resolved.ncells = static_cast<uint32_t>(next);
  return {};
}

uint32_t cell_of(const RankCells& cells, const Region& region) {
  switch (region.buffer) {
    case Buffer::kNone: break;
    case Buffer::kInput: return cells.input + region.begin / region.den;
    case Buffer::kOutput: return cells.output + region.begin / region.den;
    case Buffer::kScratch: return cells.scratch + region.begin / region.den;
  }
  return kNoIndex;
}

}  // namespace

Status structure_error(const std::string& what) {
  return {Code::kInvalidArgument, "structure: " + what};
}

uint32_t ResolvedPlan::strand_of(uint32_t step) const {
  const auto after = std::upper_bound(strand_begin.begin(), strand_begin.end(), step);
  return static_cast<uint32_t>(after - strand_begin.begin() - 1);
}

Result<ResolvedPlan> resolve(const Plan& plan, const VerifyOptions& options) {
  ResolvedPlan resolved;
  if (Status bad = check_programs(plan); !bad.ok()) return bad;
  if (Status bad = link_messages(plan, resolved); !bad.ok()) return bad;
  if (options.uneven) {
    if (Status bad = check_uneven(resolved); !bad.ok()) return bad;
  }
  if (Status bad = number_atoms(resolved); !bad.ok()) return bad;
  if (Status bad = number_cells(resolved, options.in_place); !bad.ok()) return bad;
  for_each_instruction(plan, [&](uint32_t rank, uint32_t, const Instruction& instruction, uint32_t index) {
    Step& step = resolved.steps[index];
    step.src_cell = cell_of(resolved.cells[rank], instruction.src);
    step.dst_cell = cell_of(resolved.cells[rank], instruction.dst);
    step.reduce = instruction.reduce;
    step.src_first = instruction.src_first;
    step.completes = instruction.completes;
  });
  return resolved;
}

std::vector<Position> sequential_order(const Program& program) {
  std::vector<Position> order;
  std::vector<uint32_t> done(program.channels.size(), 0);
  // Every pass over the channels runs each as far as it can; a pass that runs nothing is the last.
  for (bool progress = true; progress;) {
    progress = false;
    for (uint32_t channel = 0; channel < program.channels.size(); ++channel) {
      const std::vector<Instruction>& list = program.channels[channel];
      for (; done[channel] < list.size(); ++done[channel]) {
        const Instruction& next = list[done[channel]];
        if (next.after_channel >= 0 && done[static_cast<size_t>(next.after_channel)] <= static_cast<uint32_t>(next.after_index)) break;
        order.push_back({channel, done[channel]});
        progress = true;
      }
    }
  }
  return order;
}

bool congruent(const Region& a, const Region& b) {
  const uint64_t a_begin = a.begin % a.den, b_begin = b.begin % b.den;
  const uint64_t a_size = a.end - a.begin, b_size = b.end - b.begin;
  return a_begin * b.den == b_begin * a.den && a_size * b.den == b_size * a.den;
}

std::string describe(const Program& program, uint32_t channel, uint32_t index) {
  return "rank " + to_string(program.rank) + ", channel " + to_string(channel) + ", instruction " + to_string(index) + " (" +
         opcode_name(program.channels[channel][index]) + ")";
}

std::string describe(const ResolvedPlan& plan, uint32_t step) {
  const uint32_t strand = plan.strand_of(step);
  return describe(plan.program(strand / plan.nchannels), strand % plan.nchannels, step - plan.strand_begin[strand]);
}

std::string describe(uint32_t begin_num, uint32_t begin_den, uint32_t end_num, uint32_t end_den) {
  // Appended piece by piece: g++ 12 warns of `"[" + std::string` where it inlines it (-Wrestrict, GCC bug 105651).
  std::string text = "[";
  text += to_string(begin_num) + "/" + to_string(begin_den) + ", ";
  text += to_string(end_num) + "/" + to_string(end_den) + ")";
  return text;
}

std::string describe(const Region& region) {
  return std::string(buffer_name(region.buffer)) + " " + describe(region.begin, region.den, region.end, region.den);
}

}  // namespace tutti::verifier
