// The race check. A rank at a time, in two passes: the first finds the (cell, atom)s that several channels touch and some channel
// writes, which most plans do not have; the second orders just those, with one vector clock an instruction.
//
// An instruction's clock holds, for each channel, how many of its instructions are known to have completed before. The second pass walks
// a sequential order, so of two accesses the earlier one can only be ordered before the later, and program order makes the last access of
// a channel stand for all before it.
// Threading: pure functions.
#include <algorithm>
#include <string>

#include "plan/checks.h"
#include "plan/flat_map.h"

namespace tutti::verifier {
namespace {

constexpr uint32_t kNever = 0;  // in counts of completed instructions, an access "0" has not happened

class RankRaces {
 public:
  explicit RankRaces(const ResolvedPlan& plan) : plan_(plan), nchannels_(plan.nchannels) {}

  Status check(uint32_t rank) {
    rank_ = rank;
    if (!find_contested()) return {};
    return order_contested();
  }

 private:
  // What the first pass knows of a (cell, atom), packed: the channel of its first access, whether another channel came, whether one wrote.
  static constexpr uint32_t kShared = 1u << 31;
  static constexpr uint32_t kWritten = 1u << 30;

  struct Access {
    uint32_t channel = 0;
    uint32_t count = kNever;  // the instruction's index + 1
    bool write = false;
  };

  uint32_t first_step(uint32_t channel) const { return plan_.strand_begin[rank_ * nchannels_ + channel]; }
  uint32_t end_step(uint32_t channel) const { return plan_.strand_begin[rank_ * nchannels_ + channel + 1]; }

  // Calls visit(key of the (cell, atom), write) for everything that the step reads and writes.
  template <class Visit>
  static void for_each_access(const Step& step, Visit visit) {
    for (uint32_t atom = step.atom_begin; atom < step.atom_end; ++atom) {
      if (step.src_cell != kNoIndex) visit(uint64_t{step.src_cell} << 32 | atom, false);
      if (step.dst_cell != kNoIndex) visit(uint64_t{step.dst_cell} << 32 | atom, true);
    }
  }

  bool find_contested() {
    touched_.clear();
    bool contested = false;
    for (uint32_t channel = 0; channel < nchannels_; ++channel) {
      for (uint32_t step = first_step(channel); step < end_step(channel); ++step) {
        for_each_access(plan_.steps[step], [&](uint64_t key, bool write) {
          uint32_t& state = touched_.get_or_insert(key, channel);
          if ((state & ~(kShared | kWritten)) != channel) state |= kShared;
          if (write) state |= kWritten;
          contested = contested || (state & (kShared | kWritten)) == (kShared | kWritten);
        });
      }
    }
    return contested;
  }

  Status order_contested() {
    const Program& program = plan_.program(rank_);
    contested_.clear();
    last_.clear();
    clocks_.assign(size_t{end_step(nchannels_ - 1) - first_step(0)} * nchannels_, kNever);
    for (const Position& position : sequential_order(program)) {
      uint32_t* clock = set_clock(program, position);
      const uint32_t step = first_step(position.channel) + position.index;
      Status race;
      for_each_access(plan_.steps[step], [&](uint64_t key, bool write) {
        const uint32_t state = touched_.find(key);
        if ((state & kShared) == 0 || (state & kWritten) == 0 || !race.ok()) return;
        race = enter({position.channel, position.index + 1, write}, key, clock);
      });
      if (!race.ok()) return race;
    }
    return {};
  }

  uint32_t* clock_of(uint32_t channel, uint32_t index) {
    return clocks_.data() + size_t{first_step(channel) - first_step(0) + index} * nchannels_;
  }

  // An instruction comes after all that its predecessor in the channel and its `after` come after, and after those two.
  uint32_t* set_clock(const Program& program, const Position& position) {
    uint32_t* clock = clock_of(position.channel, position.index);
    const auto join = [&](uint32_t channel, uint32_t index) {
      const uint32_t* earlier = clock_of(channel, index);
      for (uint32_t c = 0; c < nchannels_; ++c) clock[c] = std::max(clock[c], earlier[c]);
      clock[channel] = std::max(clock[channel], index + 1);
    };
    if (position.index > 0) join(position.channel, position.index - 1);
    const Instruction& instruction = program.channels[position.channel][position.index];
    if (instruction.after_channel >= 0) {
      join(static_cast<uint32_t>(instruction.after_channel), static_cast<uint32_t>(instruction.after_index));
    }
    return clock;
  }

  // Compares an access with the last read and the last write of every other channel, and then becomes its own channel's last.
  Status enter(const Access& access, uint64_t key, const uint32_t* clock) {
    const auto next = static_cast<uint32_t>(contested_.size());
    const uint32_t id = contested_.get_or_insert(key, next);
    if (id == next) last_.resize(last_.size() + size_t{2} * nchannels_, kNever);
    uint32_t* last = last_.data() + size_t{2} * nchannels_ * id;  // read and write of channel 0, of channel 1, ...
    for (uint32_t channel = 0; channel < nchannels_; ++channel) {
      if (channel == access.channel) continue;
      const uint32_t read = last[2 * channel], write = last[2 * channel + 1];
      if (write > clock[channel]) return race({channel, write, true}, access);
      if (access.write && read > clock[channel]) return race({channel, read, false}, access);
    }
    last[2 * access.channel + (access.write ? 1 : 0)] = access.count;
    return {};
  }

  std::string text(const Access& access) const {
    const Program& program = plan_.program(rank_);
    const Instruction& instruction = program.channels[access.channel][access.count - 1];
    return describe(program, access.channel, access.count - 1) + (access.write ? " writes " : " reads ") +
           describe(access.write ? instruction.dst : instruction.src);
  }

  Status race(const Access& earlier, const Access& later) const {
    return {Code::kInvalidArgument, "race: " + text(earlier) + " while " + text(later) +
                                        ", and nothing orders them: let one wait for the other by `after`, or keep to separate regions"};
  }

  const ResolvedPlan& plan_;
  const uint32_t nchannels_;
  uint32_t rank_ = 0;
  FlatMap touched_;
  FlatMap contested_;           // numbers the contested (cell, atom)s
  std::vector<uint32_t> last_;  // of each contested (cell, atom), for each channel: its last read and its last write, as counts
  std::vector<uint32_t> clocks_;
};

}  // namespace

Status check_races(const ResolvedPlan& plan) {
  if (plan.nchannels < 2) return {};
  RankRaces races(plan);
  for (uint32_t rank = 0; rank < plan.nranks; ++rank) {
    if (Status race = races.check(rank); !race.ok()) return race;
  }
  return {};
}

}  // namespace tutti::verifier
