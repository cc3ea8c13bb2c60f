// Runs a plan on values, in a random order of what can run: what the verifier is held against, so it shares no code with it, and says in
// its own words what each collective means. Threading: one thread an object.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <tuple>
#include <vector>

#include "plan/program.h"
#include "plan/verifier.h"

namespace tutti {

// The sum tells that each input counts once; the tree tells by which expression; the order, a hash in which power is the base to the number
// of its terms, tells that the terms are folded from left to right.
struct Value {
  uint64_t sum = 0;
  uint64_t tree = 0;
  uint64_t order = 0;
  uint64_t power = 1;

  bool operator==(const Value&) const = default;
};

inline constexpr uint64_t kOdd = 0x9e3779b97f4a7c15u;

inline Value reduced(const Value& left, const Value& right, bool rank_ordered) {
  const bool swap = !rank_ordered && left.tree > right.tree;
  const uint64_t low = swap ? right.tree : left.tree, high = swap ? left.tree : right.tree;
  return {left.sum + right.sum, (low * kOdd ^ high) * 0xbf58476d1ce4e5b9u, left.order * right.power + right.order,
          left.power * right.power};
}

// As with a division, it matters that it is done to the whole, and once.
inline Value completed(const Value& value) {
  const auto once = [](uint64_t x) { return x * kOdd + 12345; };
  return {once(value.sum), once(value.tree), once(value.order), value.power};
}

class Machine {
 public:
  static constexpr int kSliceElems = 24;  // divisible by every denominator of the plans that it is used on
  static constexpr size_t kFifoDepth = 2;

  Machine(const Plan& plan, const VerifyOptions& options, uint32_t seed)
      : plan_(plan),
        collective_(plan.ranks[0].collective),
        options_(options),
        slices_(collective_ == Collective::kBarrier ? 1 : 3),
        random_(seed) {
    for (size_t rank = 0; rank < nranks(); ++rank) {
      caller_.push_back(garbage(2 * nranks()));
      scratch_.push_back(garbage(plan.ranks[rank].scratch_blocks));
      inputs_.push_back(garbage(nranks()));
      done_.push_back(std::vector<size_t>(plan.ranks[rank].channels.size(), 0));
      const size_t blocks = input_is_n_blocks() ? nranks() : 1;
      for (size_t block = 0; has_input(rank) && block < blocks; ++block) {
        const auto first = inputs_[rank].begin() + static_cast<std::ptrdiff_t>(block * stride());
        std::copy(first, first + static_cast<std::ptrdiff_t>(stride()), memory(rank, Buffer::kInput, block));
      }
    }
  }

  // Runs until nothing can run; rank `held` does not begin. False where something remains.
  bool run(size_t held = SIZE_MAX) {
    for (bool progress = true; progress;) {
      progress = false;
      for (size_t rank = 0; rank < nranks(); ++rank) {
        for (size_t channel = 0; rank != held && channel < done_[rank].size(); ++channel) {
          progress = progress || can_run(rank, channel);
          for (size_t most = random_() % 8; most > 0 && can_run(rank, channel); --most) execute(rank, channel);
        }
      }
    }
    for (size_t rank = 0; rank < nranks(); ++rank) {
      if (!ended(rank)) return false;
    }
    return true;
  }

  bool ended(size_t rank) const {
    for (size_t channel = 0; channel < done_[rank].size(); ++channel) {
      if (done_[rank][channel] != slices_ * plan_.ranks[rank].channels[channel].size()) return false;
    }
    return true;
  }

  // Whether every output holds what it should. (A barrier's holds nothing.)
  bool right() {
    for (size_t rank = 0; rank < nranks(); ++rank) {
      for (size_t block = 0; has_output(rank) && block < (output_is_n_blocks() ? nranks() : 1); ++block) {
        const auto values = memory(rank, Buffer::kOutput, block), first_rank = memory(0, Buffer::kOutput, block);
        for (size_t i = 0; i < slices_ * slice_elems(rank, Buffer::kOutput, block); ++i) {
          const auto at = static_cast<std::ptrdiff_t>(i);
          if (!(reduces(collective_) ? right_reduction(rank, i, values[at]) : values[at] == source(rank, block, i))) return false;
          if (collective_ == Collective::kAllReduce && !same_bits(values[at], first_rank[at])) return false;
        }
      }
    }
    return true;
  }

 private:
  using Values = std::vector<Value>;
  using Memory = Values::iterator;

  static constexpr size_t kMostWeight = 2;

  size_t nranks() const { return plan_.ranks.size(); }
  size_t root() const { return static_cast<size_t>(plan_.ranks[0].root); }
  size_t stride() const { return slices_ * kSliceElems * kMostWeight; }  // from block to block, whatever their counts

  bool is(std::initializer_list<Collective> any) const { return std::find(any.begin(), any.end(), collective_) != any.end(); }
  bool input_is_n_blocks() const { return is({Collective::kReduceScatter, Collective::kScatter, Collective::kAllToAll}); }
  bool output_is_n_blocks() const { return is({Collective::kAllGather, Collective::kGather, Collective::kAllToAll}); }
  bool has_input(size_t rank) const { return !is({Collective::kBroadcast, Collective::kScatter}) || rank == root(); }
  bool has_output(size_t rank) const {
    return !is({Collective::kBarrier}) && (!is({Collective::kReduce, Collective::kGather}) || rank == root());
  }

  Values garbage(size_t blocks) {
    Values values(blocks * stride());
    for (Value& value : values) value = {random_() % 1000000u, random_(), random_(), kOdd};
    return values;
  }

  // --- what the collective means

  const Value& input_value(size_t rank, size_t block, size_t elem) const { return inputs_[rank][block * stride() + elem]; }

  const Value& source(size_t rank, size_t block, size_t elem) const {
    if (collective_ == Collective::kBroadcast) return input_value(root(), 0, elem);
    if (collective_ == Collective::kScatter) return input_value(root(), rank, elem);
    return input_value(block, collective_ == Collective::kAllToAll ? rank : 0, elem);
  }

  // Commuting does not change them.
  static bool same_bits(const Value& a, const Value& b) { return a.sum == b.sum && a.tree == b.tree; }

  bool right_reduction(size_t rank, size_t elem, const Value& value) const {
    const size_t block = collective_ == Collective::kReduceScatter ? rank : 0;
    Value fold = input_value(0, block, elem);
    for (size_t from = 1; from < nranks(); ++from) fold = reduced(fold, input_value(from, block, elem), true);
    fold = completed(fold);
    return value.sum == fold.sum && (!options_.rank_ordered || value.order == fold.order);
  }

  // How many elements of a slice a block has: uneven ones 0, 1 or 2 times kSliceElems.
  size_t slice_elems(size_t rank, Buffer buffer, size_t block) const {
    if (!options_.uneven) return kSliceElems;
    const bool mine = buffer == Buffer::kInput;
    if (is({Collective::kAllGather, Collective::kGather})) return kSliceElems * weight(mine ? rank : block);
    if (is({Collective::kReduceScatter, Collective::kScatter})) return kSliceElems * weight(mine ? block : rank);
    return kSliceElems * weight(mine ? rank * nranks() + block : block * nranks() + rank);
  }
  static size_t weight(size_t i) { return (i + 2) * 7 % 3; }

  // --- memory

  // In place, where all-gather's input is its output's block of this rank, and so on; out of place, the output comes n blocks later.
  Memory memory(size_t rank, Buffer buffer, size_t block) {
    if (buffer == Buffer::kScratch) return scratch_[rank].begin() + static_cast<std::ptrdiff_t>(block * stride());
    size_t shift = buffer == Buffer::kOutput && !options_.in_place ? nranks() : 0;
    const bool at_root = rank == root();
    if (options_.in_place && buffer == Buffer::kInput) {
      if (is({Collective::kAllGather}) || (is({Collective::kGather}) && at_root)) shift = rank;
    } else if (options_.in_place) {
      if (is({Collective::kReduceScatter}) || (is({Collective::kScatter}) && at_root)) shift = rank;
    }
    return caller_[rank].begin() + static_cast<std::ptrdiff_t>((shift + block) * stride());
  }

  // A region's elements in one slice, of a block with `elems` in a slice.
  Memory begin(size_t rank, const Region& region, size_t slice, size_t elems) {
    const size_t skipped = slice * elems + elems * (region.begin % region.den) / region.den;
    return memory(rank, region.buffer, region.begin / region.den) + static_cast<std::ptrdiff_t>(skipped);
  }
  Values read(size_t rank, const Region& region, size_t slice, size_t elems) {
    const Memory first = begin(rank, region, slice, elems);
    return Values(first, first + static_cast<std::ptrdiff_t>(elems * (region.end - region.begin) / region.den));
  }

  // --- execution

  std::deque<Values>& fifo(int channel, int from, int to) { return fifos_[{channel, from, to}]; }

  bool can_run(size_t rank, size_t channel) {
    const Program& program = plan_.ranks[rank];
    const size_t length = program.channels[channel].size(), done = done_[rank][channel];
    if (done == slices_ * length) return false;
    const Instruction& next = program.channels[channel][done % length];
    if (next.after_channel >= 0) {
      const auto target = static_cast<size_t>(next.after_channel);
      const size_t needed = done / length * program.channels[target].size() + static_cast<size_t>(next.after_index) + 1;
      if (done_[rank][target] < needed) return false;
    }
    const int fifo_channel = program.fifo(channel);
    if (next.recv_peer != kNoPeer && fifo(fifo_channel, next.recv_peer, program.rank).empty()) return false;
    return next.send_peer == kNoPeer || fifo(fifo_channel, program.rank, next.send_peer).size() < kFifoDepth;
  }

  // As many as the block of an operand has that is not scratch, whose count would not be known.
  size_t elems_of(size_t rank, const Instruction& instruction) const {
    for (const Region& region : {instruction.src, instruction.dst}) {
      const bool tells = region.buffer == Buffer::kInput || region.buffer == Buffer::kOutput;
      if (tells) return slice_elems(rank, region.buffer, region.begin / region.den);
    }
    return kSliceElems;
  }

  void execute(size_t rank, size_t channel) {
    const Program& program = plan_.ranks[rank];
    const Instruction& instruction = program.channels[channel][done_[rank][channel] % program.channels[channel].size()];
    const size_t slice = done_[rank][channel]++ / program.channels[channel].size();
    const size_t elems = elems_of(rank, instruction);
    Values values;
    if (instruction.recv_peer != kNoPeer) {
      auto& arriving = fifo(program.fifo(channel), instruction.recv_peer, program.rank);
      values = arriving.front();
      arriving.pop_front();
    } else if (instruction.reduce) {
      values = read(rank, instruction.dst, slice, elems);
    } else if (!instruction.src.none()) {
      values = read(rank, instruction.src, slice, elems);
    }
    if (instruction.reduce) {
      const Values operand = read(rank, instruction.src, slice, elems);
      for (size_t i = 0; i < std::min(values.size(), operand.size()); ++i) {
        values[i] = instruction.src_first ? reduced(operand[i], values[i], options_.rank_ordered)
                                          : reduced(values[i], operand[i], options_.rank_ordered);
      }
    }
    if (instruction.completes) std::transform(values.begin(), values.end(), values.begin(), completed);
    if (!instruction.dst.none()) std::copy(values.begin(), values.end(), begin(rank, instruction.dst, slice, elems));
    if (instruction.send_peer != kNoPeer) fifo(program.fifo(channel), program.rank, instruction.send_peer).push_back(values);
  }

  const Plan& plan_;
  const Collective collective_;
  const VerifyOptions options_;
  const size_t slices_;
  std::mt19937_64 random_;
  std::vector<Values> caller_;  // of each rank: its input and its output
  std::vector<Values> scratch_;
  std::vector<Values> inputs_;             // as they were
  std::vector<std::vector<size_t>> done_;  // of each rank and channel: instructions completed, over all slices
  std::map<std::tuple<int, int, int>, std::deque<Values>> fifos_;
};

}  // namespace tutti
