// PAT, parallel aggregated trees: the all-gather of block b goes down a binomial tree whose root is rank b: to the rank o after the root
// from the rank (o without its lowest bit) after it, the farthest first. All ranks do the same offsets at a time. The top of the trees,
// `roots` offsets far apart, comes first, in rounds that double what there is; then the subtrees below these are gone through, at one place
// in all of them at a time. So one parameter goes from log2 n rounds to n-1 rounds. Reduce-scatter is the same backwards, and a rank holds
// only the partial results of the places between the one in hand and the roots.
//
// With A = `roots` = the parameter, rounded down to a power of two, and m the power of two from n on: rounds log2 A + m/A - 1, with A =
// m/2, the default, ceil(log2 n). A rank sends (n-1)/n N bytes, N = bytes of all blocks. Reduce-scatter's scratch: A (log2(m/A) + 1) blocks
// at most, however many ranks there are. Any n; uneven blocks for all-gather; commutative reductions. A region lies inside one block, so
// every block is a message of its own. Jeaugey: "PAT: a new algorithm for all-gather and reduce-scatter operations at scale", arXiv
// 2506.20252, 2025.
#include <algorithm>
#include <bit>
#include <vector>

#include "algorithms/algorithm.h"
#include "algorithms/channel_share.h"
#include "algorithms/rounds.h"
#include "plan/builder.h"

namespace tutti {
namespace {

int max_channels(const PlanRequest& request, const Topology& /*topology*/) {
  switch (request.collective) {
    case Collective::kAllGather: return kMostShares;
    case Collective::kReduceScatter: return request.uneven || request.rank_ordered ? 0 : kMostShares;
    default: return 0;
  }
}

int lowest_bit(int offset) {
  return offset & -offset;
}

// The offsets that blocks reach in each round of the all-gather. All of a round come from as far: their lowest bits are equal.
std::vector<std::vector<int>> rounds_of_offsets(int nranks, int parameter) {
  const int span = static_cast<int>(std::bit_ceil(static_cast<unsigned>(nranks)));
  const int most = std::max(1, span / 2);
  const int roots = parameter <= 0 ? most : std::min(most, static_cast<int>(std::bit_floor(static_cast<unsigned>(parameter))));
  const int below = span / roots;  // places of a subtree
  std::vector<std::vector<int>> rounds;
  const auto add = [&](int first, int stride) {
    std::vector<int> offsets;
    for (int offset = first; offset < nranks; offset += stride) offsets.push_back(offset);
    if (!offsets.empty()) rounds.push_back(std::move(offsets));
  };
  for (int distance = span / 2; distance >= below; distance /= 2) add(distance, 2 * distance);
  for (int place = 1; place < below; ++place) add(place, below);
  return rounds;
}

Program all_gather(const PlanRequest& request, const PlanChoice& choice, int rank) {
  const int n = request.nranks;
  std::vector<Round> rounds;
  for (const std::vector<int>& offsets : rounds_of_offsets(n, choice.parameter)) {
    const int distance = lowest_bit(offsets.front());
    Round round{.to = (rank + distance) % n, .from = (rank + n - distance) % n};
    for (const int offset : offsets) {
      round.sent.push_back((rank + n - (offset - distance)) % n);
      round.received.push_back((rank + n - offset) % n);
    }
    rounds.push_back(std::move(round));
  }
  return gather_in_rounds(request, choice, rank, rounds);
}

// One share. What a rank holds "at" an offset is its partial result of the block of the rank so far before it.
class ReduceScatter {
 public:
  ReduceScatter(const PlanRequest& request, const PlanChoice& choice, int rank)
      : nranks_(request.nranks), rank_(rank), rounds_(rounds_of_offsets(request.nranks, choice.parameter)) {}

  // Returns how many blocks of scratch it needs: the same for every share.
  uint32_t build(Program& program, const ChannelShare& share) {
    share_ = share;
    sending_ = share.index, receiving_ = share.shares + share.index;
    sends_ = &program.channels[static_cast<size_t>(sending_)];
    receives_ = &program.channels[static_cast<size_t>(receiving_)];
    held_.assign(static_cast<size_t>(nranks_), {});
    slots_.clear();
    free_.clear();
    for (auto round = rounds_.rbegin(); round != rounds_.rend(); ++round) {
      for (const int offset : *round) {
        give(offset);
        take(offset);
      }
    }
    return static_cast<uint32_t>(slots_.size());
  }

 private:
  struct Held {
    int slot = -1;
    int latest = -1;  // the receive that reduced it last
    int parts = 0;    // how many it holds beside this rank's own
  };

  int ranks_before(int offset) const { return (rank_ + nranks_ - offset) % nranks_; }

  Region own(int offset) const { return share_.of(Buffer::kInput, ranks_before(offset)); }

  // Up the tree: complete for its subtree by now.
  void give(int offset) {
    const Held& held = held_[static_cast<size_t>(offset)];
    Instruction send{.send_peer = ranks_before(lowest_bit(offset)), .src = own(offset)};
    if (held.latest >= 0) {
      send.src = share_.of(Buffer::kScratch, held.slot);
      send.after_channel = receiving_;
      send.after_index = held.latest;
      slots_[static_cast<size_t>(held.slot)] = static_cast<int>(sends_->size());
      free_.push_back(held.slot);
    }
    sends_->push_back(send);
  }

  // The rank that has the block at `offset` gives it; here it belongs at the offset's parent.
  void take(int offset) {
    const int distance = lowest_bit(offset), parent = offset - distance;
    Held& held = held_[static_cast<size_t>(parent)];
    Instruction receive{.recv_peer = (rank_ + distance) % nranks_, .reduce = true, .src_first = true};
    receive.src = held.latest < 0 ? own(parent) : place(parent);
    if (held.latest < 0 && parent != 0) {
      held.slot = new_slot();
      const int emptied_by = slots_[static_cast<size_t>(held.slot)];
      if (emptied_by >= 0) receive.after_channel = sending_, receive.after_index = emptied_by;
    }
    receive.dst = place(parent);
    receive.completes = parent == 0 && ++held.parts == children_of_root();
    held.latest = static_cast<int>(receives_->size());
    receives_->push_back(receive);
  }

  Region place(int offset) const {
    return offset == 0 ? share_.of(Buffer::kOutput) : share_.of(Buffer::kScratch, held_[static_cast<size_t>(offset)].slot);
  }

  int new_slot() {
    if (free_.empty()) {
      slots_.push_back(-1);
      return static_cast<int>(slots_.size()) - 1;
    }
    const int slot = free_.back();
    free_.pop_back();
    return slot;
  }

  int children_of_root() const { return std::bit_width(static_cast<unsigned>(nranks_ - 1)); }

  const int nranks_;
  const int rank_;
  const std::vector<std::vector<int>> rounds_;
  ChannelShare share_;
  int sending_ = 0, receiving_ = 0;
  std::vector<Instruction>* sends_ = nullptr;
  std::vector<Instruction>* receives_ = nullptr;
  std::vector<Held> held_;  // by offset
  std::vector<int> slots_;  // of each slot of scratch: the send that emptied it last, -1 where none has
  std::vector<int> free_;
};

Program generate(const PlanRequest& request, const PlanChoice& choice, const Topology& /*topology*/, int rank) {
  if (request.nranks == 1) return copy_alone(request, choice);
  if (request.collective == Collective::kAllGather) return all_gather(request, choice, rank);
  ProgramBuilder builder = two_channels_a_share(request, choice, rank);
  builder.largest_message(1, static_cast<uint32_t>(choice.channels));
  Program program = builder.take();
  for (int c = 0; c < choice.channels; ++c) {
    program.scratch_blocks = ReduceScatter(request, choice, rank).build(program, {c, choice.channels});
  }
  return program;
}

}  // namespace

extern const Algorithm pat_algorithm = {
    "pat", "binomial trees from all ranks, the farthest first: ceil(log2 n) rounds, (n-1)/n N bytes sent; a parameter bounds the scratch",
    max_channels, generate};

}  // namespace tutti
