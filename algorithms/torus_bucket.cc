// Bucket algorithm on a torus or mesh: a share of the data is reduce-scattered along one axis, what is left of it along the next, and so
// on; the all-gather goes back the same way. There is a share for each axis to start at and, where an axis is a ring, for each direction
// round it: at any time every link carries data.
//
// On a ring, one share runs round each way. On a line (an axis that does not wrap) partial sums run from both ends towards their place.
// That loads the links near the ends (k-1)/k of the data, twice a ring's, but unevenly: all-gather loads just those links little that
// reduce-scatter loads much. So all-reduce, whose slices do both at once, reaches the counting bound on a mesh as on a torus; alone, either
// takes its own bound, the cut around a corner.
//
// Every phase is a channel of its own (a ring two, one each way; a line two, one each way), joined to the phase before by who waits for
// whom: slices go through the phases as through a pipeline, and the links of all axes are busy whether or not phases last equally long.
// Shares are weighted where axes are unequal (torus_shares.h). Blocks take turns on two channels a phase or more, so that one flows while
// another's latency passes (lanes_of_phases).
//
// All-reduce: steps 2 sum(k_i-1); on a torus of equal axes a rank sends 2(n-1)/n N/(2D) bytes over each of its 2D links, N = bytes of the
// buffer. All-gather, reduce-scatter: sum(k_i-1) steps, half the bytes, N = bytes of all blocks. Every block of these is a message of its
// own, n-1 of them a share. Any shape; the starts are four at most. Commutative reductions; uneven blocks for all-gather. Every element is
// summed at one rank and copied from there: the same bits everywhere.
// Sack, Gropp: "Collective algorithms for multiported torus networks", ACM TOPC 2015.
#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "algorithms/algorithm.h"
#include "algorithms/channel_share.h"
#include "algorithms/strands.h"
#include "algorithms/torus_axes.h"
#include "algorithms/torus_shares.h"
#include "plan/builder.h"

namespace tutti {
namespace {

constexpr int kMostStarts = 4;  // of the 8 FIFO channels each takes two: reduce-scatter's and all-gather's, or for blocks by turns

int halves(const TorusAxes& axes) {
  return axes.any_ring() ? 2 : 1;
}

int max_channels(const PlanRequest& request, const Topology& topology) {
  if (!topology.torus()) return 0;
  switch (request.collective) {
    case Collective::kAllReduce:
    case Collective::kReduceScatter:
      if (request.rank_ordered || request.uneven) return 0;
      break;
    case Collective::kAllGather: break;
    default: return 0;
  }
  const TorusAxes axes(topology);
  return std::max(1, std::min(axes.dimensions(), kMostStarts) * halves(axes));
}

class Bucket {
 public:
  Bucket(const PlanRequest& request, const PlanChoice& choice, const TorusAxes& axes, int rank)
      : axes_(axes),
        collective_(request.collective),
        rank_(rank),
        dimensions_(axes.dimensions()),
        halves_(halves(axes)),
        shares_(axis_shares(axes, request.collective == Collective::kAllReduce, halves_, choice.channels)),
        kinds_(request.collective == Collective::kAllReduce ? 2 : 1),
        lanes_(lanes_of_phases(request.collective, axes.dimensions())),
        strands_(empty_program(request, choice)) {}

  Program build() {
    for (start_ = 0; start_ * halves_ < shares(); ++start_) {
      for (int half = 0; half < 2; ++half) held_[half].assign(by_blocks() ? static_cast<size_t>(axes_.nranks()) : 1, {});
      gathers_ = false;
      if (collective_ != Collective::kAllGather) {
        for (phase_ = 0; phase_ < dimensions_; ++phase_) on_ring() ? reduce_on_ring() : reduce_on_line();
      }
      gathers_ = true;
      if (collective_ != Collective::kReduceScatter) {
        for (phase_ = dimensions_ - 1; phase_ >= 0; --phase_) on_ring() ? gather_on_ring() : gather_on_line();
      }
    }
    return strands_.take();
  }

 private:
  int shares() const { return static_cast<int>(shares_.of.size()); }
  int starts() const { return (shares() + halves_ - 1) / halves_; }
  bool by_blocks() const { return collective_ != Collective::kAllReduce; }

  // Of each phase. Reduce-scatter's first phase carries nearly all of a share, and while the pipeline fills its lanes are alone on their
  // links: on 8x8x8 chips with 2 MiB a block, two lanes reached 0.94 of the links' rate, four reach 0.997. All-gather, whose first phase is
  // its last, has two everywhere: a fair share must not go to it that the phases need which feed it.
  static std::vector<int> lanes_of_phases(Collective collective, int dimensions) {
    std::vector<int> lanes(static_cast<size_t>(dimensions), collective != Collective::kAllReduce && dimensions > 1 ? 2 : 1);
    if (collective != Collective::kReduceScatter || dimensions == 1 || dimensions > kMostStarts) return lanes;
    // Eight FIFOs at most.
    lanes[0] = 4;
    if (dimensions == 4) lanes[2] = lanes[3] = 1;
    return lanes;
  }

  // Lanes of all phases before one.
  int first_lane(int phase) const { return std::accumulate(lanes_.begin(), lanes_.begin() + phase, 0); }

  // Where there are as many starts as axes, the phases of one kind have the FIFOs: what starts elsewhere has its phase of the same number
  // along another axis, so with other peers. Else the starts have, as one's phases have different peers. A ring's two directions, and a
  // line's, are at different ends.
  int fifo(int start, bool gather, int lane, int phase) const {
    const int kind = gather ? kinds_ - 1 : 0;
    return dimensions_ <= kMostStarts ? kind * first_lane(dimensions_) + first_lane(phase) + lane
                                      : (start * kinds_ + kind) * lanes_[0] + lane;
  }

  Program empty_program(const PlanRequest& request, const PlanChoice& choice) const {
    PlanChoice all = choice;
    all.channels = starts() * kinds_ * first_lane(dimensions_) * 2;
    ProgramBuilder builder(request, all, rank_);
    for (int start = 0; start < starts(); ++start) {
      for (const bool gather : {false, true}) {
        for (int phase = 0; phase < dimensions_; ++phase) {
          for (int lane = 0; lane < lanes_[static_cast<size_t>(phase)]; ++lane) {
            for (const int direction : {0, 1})
              builder.use_fifos(channel_of(start, gather, lane, phase, direction), fifo(start, gather, lane, phase));
          }
        }
      }
    }
    uint32_t num = 0, den = 1;  // the largest message: a share, of an all-reduce divided by the size of its first axis
    uint32_t scratch = 0;
    for (int s = 0; s < shares(); ++s) {
      const Share& share = shares_.of[static_cast<size_t>(s)];
      const auto k = static_cast<uint32_t>(axes_.size(s / halves_));
      const uint32_t cut = by_blocks() ? 1 : k;
      if (uint64_t{share.end - share.begin} * den > uint64_t{num} * cut) num = share.end - share.begin, den = cut;
      scratch = std::max(scratch, static_cast<uint32_t>(axes_.nranks()) / k);
    }
    builder.largest_message(num, shares_.parts * den);
    if (collective_ == Collective::kReduceScatter && dimensions_ > 1) builder.use_scratch(scratch);
    return builder.take();
  }

  // --- where the phase in hand is

  int axis_of(int phase) const { return (start_ + phase) % dimensions_; }
  int axis() const { return axis_of(phase_); }
  int k() const { return axes_.size(axis()); }
  int place() const { return axes_.place(rank_, axis()); }
  int peer(int steps) const { return axes_.moved(rank_, axis(), steps); }
  bool on_ring() const { return axes_.ring(axis()); }
  int lane(int i) const { return i % lanes_[static_cast<size_t>(phase_)]; }
  int channel(bool gather, int lane, int direction) const { return channel_of(start_, gather, lane, phase_, direction); }
  int channel_of(int start, bool gather, int lane, int phase, int direction) const {
    return ((start * kinds_ + (gather ? kinds_ - 1 : 0)) * first_lane(dimensions_) + first_lane(phase) + lane) * 2 + direction;
  }
  int halves_here() const { return std::min(halves_, shares() - start_ * halves_); }

  // --- pieces: what moves as one, for each place along the axis. An all-reduce has one, the others one for every block.

  // Ranks that differ along the axes of later phases.
  int pieces() const {
    int number = 1;
    for (int phase = phase_ + 1; by_blocks() && phase < dimensions_; ++phase) number *= axes_.size(axis_of(phase));
    return number;
  }

  // Whose block is piece i of a place: this rank's place along the axes of earlier phases, and along those of later ones i's digits, which
  // count places in the order in which the phase before gathers them, or the next one sends them on.
  int block(int half, int i, int place) const {
    int block = axes_.with_place(rank_, axis(), place);
    for (int phase = phase_ + 1; phase < dimensions_; ++phase) {
      const int d = axis_of(phase), size = axes_.size(d), digit = i % size;
      if (axes_.ring(d)) {
        const int steps = gathers_ ? digit : digit + 1;
        block = axes_.moved(block, d, half == 0 ? -steps : steps);
      } else {
        block = axes_.with_place(block, d, axes_.nth_nearest(axes_.place(rank_, d), d, gathers_ ? digit : size - 1 - digit));
      }
      i /= size;
    }
    return block;
  }

  Region region(Buffer buffer, int half, int block) const {
    const Share& share = shares_.of[static_cast<size_t>(start_ * halves_ + half)];
    const uint32_t first = static_cast<uint32_t>(block) * shares_.parts;
    return {buffer, first + share.begin, first + share.end, shares_.parts};
  }

  // Of an all-reduce: the part of the share that this rank's places along the axes up to here, but `place` along this one, select.
  Region chunk(Buffer buffer, int half, int place) const {
    const Share& share = shares_.of[static_cast<size_t>(start_ * halves_ + half)];
    uint32_t chunks = 1, index = 0;
    for (int phase = 0; phase <= phase_; ++phase) {
      const auto size = static_cast<uint32_t>(axes_.size(axis_of(phase)));
      index = index * size + static_cast<uint32_t>(phase == phase_ ? place : axes_.place(rank_, axis_of(phase)));
      chunks *= size;
    }
    const uint32_t first = share.begin * chunks + (share.end - share.begin) * index;
    return {buffer, first, first + share.end - share.begin, shares_.parts * chunks};
  }

  // What this rank has reduced so far of a piece: its input at first.
  Region partial(int half, int i, int place, bool reduced) const {
    if (!by_blocks()) return chunk(reduced ? Buffer::kOutput : Buffer::kInput, half, place);
    const int block = this->block(half, i, place);
    if (!reduced) return region(Buffer::kInput, half, block);
    if (block == rank_) return region(Buffer::kOutput, half, 0);
    int slot = 0;
    for (int phase = 1; phase < dimensions_; ++phase) {
      slot = slot * axes_.size(axis_of(phase)) + axes_.place(block, axis_of(phase));
    }
    return region(Buffer::kScratch, half, slot);
  }
  Region before(int half, int i, int place) const { return partial(half, i, place, phase_ > 0); }
  Region after(int half, int i, int place) const { return partial(half, i, place, true); }
  Region gathered(int half, int i, int place) const {
    return by_blocks() ? region(Buffer::kOutput, half, block(half, i, place)) : chunk(Buffer::kOutput, half, place);
  }

  // The step that made what this rank has of a piece.
  StepRef& held(int half, int i, int place) { return held_[half][by_blocks() ? static_cast<size_t>(block(half, i, place)) : 0]; }

  // --- reduce-scatter

  // The piece of place j starts at the place after j and is complete at j.
  void reduce_on_ring() {
    for (int half = 0; half < halves_here(); ++half) {
      const int direction = half == 0 ? 1 : -1, next = peer(direction), previous = peer(-direction);
      for (int i = 0; i < pieces(); ++i) {
        const int c = channel(false, lane(i), half);
        for (int step = 1; step <= k(); ++step) {
          const int place = ((this->place() - direction * step) % k() + k()) % k();
          Instruction instruction{.src = before(half, i, place)};
          if (step > 1) instruction.recv_peer = previous, instruction.reduce = true;
          if (step < k()) instruction.send_peer = next;
          if (step == k()) instruction.dst = after(half, i, place), instruction.completes = last_phase();
          const StepRef made = strands_.add(c, instruction, {held(half, i, place)});
          if (step == k()) held(half, i, place) = made;
        }
      }
    }
  }

  // Up the line what is for places above, down it what is for places below; this rank's own arrives from both sides.
  void reduce_on_line() {
    const int last = k() - 1;
    for (int i = 0; i < pieces(); ++i) {
      for (int half = 0; half < halves_here(); ++half) {
        const int up = channel(false, lane(i), 0), down = channel(false, lane(i), 1);
        for (int place = last; place > this->place(); --place) pass_on(up, half, i, place, 1);
        for (int place = 0; place < this->place(); ++place) pass_on(down, half, i, place, -1);
        StepRef made = held(half, i, place());
        Region sum = before(half, i, place());
        const Region result = after(half, i, place());
        // Whatever writes the result comes after all that this rank has sent of other places': in place, they are the all-gather's to
        // write.
        if (place() > 0) {
          const Instruction take{
              .recv_peer = peer(-1), .reduce = true, .completes = last_phase() && place() == last, .src = sum, .dst = result};
          made = strands_.add(up, take, {made, strands_.last(down)});
          sum = result;
        }
        if (place() < last) {
          const Instruction take{.recv_peer = peer(1), .reduce = true, .completes = last_phase(), .src = sum, .dst = result};
          made = strands_.add(down, take, {made, strands_.last(up)});
        }
        held(half, i, place()) = made;
      }
    }
  }

  void pass_on(int channel, int half, int i, int place, int direction) {
    Instruction step{.send_peer = peer(direction), .src = before(half, i, place)};
    const bool starts_here = this->place() == (direction > 0 ? 0 : k() - 1);
    if (!starts_here) step.recv_peer = peer(-direction), step.reduce = true;
    strands_.add(channel, step, {held(half, i, place)});
  }

  bool last_phase() const { return phase_ == dimensions_ - 1; }

  // --- all-gather: the phases in the reverse order

  // After which steps a piece of this rank's own place is there: with one piece, after all that the phase before received.
  std::pair<StepRef, StepRef> own_is_there(int half, int i) {
    if (by_blocks() || last_phase()) return {held(half, i, place()), {}};
    const bool ring = axes_.ring(axis_of(phase_ + 1));
    const StepRef a = strands_.last(channel_of(start_, true, 0, phase_ + 1, ring ? half : 0));
    return {a, ring ? StepRef{} : strands_.last(channel_of(start_, true, 0, phase_ + 1, 1))};
  }

  // Sends it, from the input where the output does not have it yet.
  void send_own(int channel, int half, int i, int to) {
    const auto [a, b] = own_is_there(half, i);
    Instruction step{.send_peer = to, .src = gathered(half, i, place())};
    if (by_blocks() && a.none()) {
      step.dst = step.src;
      step.src = region(Buffer::kInput, half, 0);
    }
    const StepRef made = strands_.add(channel, step, {a, b});
    if (by_blocks() && a.none()) held(half, i, place()) = made;
  }

  // In place, an all-reduce overwrites what reduce-scatter has read: it waits until that is over.
  void take(int channel, int half, int i, int place, int from, int to) {
    const auto [a, b] = by_blocks() ? std::pair<StepRef, StepRef>() : own_is_there(half, i);
    const StepRef made = strands_.add(channel, {.recv_peer = from, .send_peer = to, .dst = gathered(half, i, place)}, {a, b});
    if (by_blocks()) held(half, i, place) = made;
  }

  void gather_on_ring() {
    for (int half = 0; half < halves_here(); ++half) {
      const int direction = half == 0 ? 1 : -1, next = peer(direction), previous = peer(-direction);
      for (int i = 0; i < pieces(); ++i) {
        const int c = channel(true, lane(i), half);
        send_own(c, half, i, next);
        for (int step = 1; step < k(); ++step) {
          const int place = ((this->place() - direction * step) % k() + k()) % k();
          take(c, half, i, place, previous, step + 1 < k() ? next : kNoPeer);
        }
      }
    }
  }

  void gather_on_line() {
    const int last = k() - 1;
    for (int i = 0; i < pieces(); ++i) {
      for (int half = 0; half < halves_here(); ++half) {
        const int up = channel(true, lane(i), 0), down = channel(true, lane(i), 1);
        if (place() < last) send_own(up, half, i, peer(1));
        if (place() > 0) send_own(down, half, i, peer(-1));
        for (int place = this->place() - 1; place >= 0; --place)
          take(up, half, i, place, peer(-1), this->place() < last ? peer(1) : kNoPeer);
        for (int place = this->place() + 1; place <= last; ++place)
          take(down, half, i, place, peer(1), this->place() > 0 ? peer(-1) : kNoPeer);
      }
    }
  }

  const TorusAxes& axes_;
  const Collective collective_;
  const int rank_;
  const int dimensions_;
  const int halves_;
  const Shares shares_;
  const int kinds_;
  const std::vector<int> lanes_;
  Strands strands_;
  std::vector<StepRef> held_[2];
  int start_ = 0;
  int phase_ = 0;
  bool gathers_ = false;
};

Program generate(const PlanRequest& request, const PlanChoice& choice, const Topology& topology, int rank) {
  if (request.nranks == 1) return copy_alone(request, choice);
  return Bucket(request, choice, TorusAxes(topology), rank).build();
}

}  // namespace

extern const Algorithm torus_bucket_algorithm = {
    "torus_bucket",
    "along the axes of a torus, from each axis and both ways: sum(k-1) steps, all_reduce twice; 1/(2D) of ring's bytes a link",
    max_channels, generate};

}  // namespace tutti
