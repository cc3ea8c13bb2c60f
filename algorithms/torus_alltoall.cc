// All-to-all on a torus or mesh: every block is cut into a share for each axis, and share s travels along the axes s, s+1, ... in turn,
// from neighbour to neighbour, the shorter way round a ring. So all axes carry data at once, and of a ring both directions the same: a
// block that goes half-way round is halved, one half each way. Ranks between pass on what arrives; where a block turns into the next axis
// it waits in scratch.
//
// A phase of a share is two channels each way, on which blocks take turns, so that one flows while the other's latency passes; slices go
// through the phases as through a pipeline. On a way, a pass is one block of every rank to the rank a distance off: h sends and h receives
// for a distance h, all ranks in step. So a rank's instructions are as many as the blocks that it sends and relays, and a few more.
//
// Steps: the blocks a link carries, at most n k/8 a share, D shares at once. On a torus of equal axes a link carries Nk/8 bytes for even k,
// N(k^2-1)/(8k) for odd, N = bytes of the input: the bound of the cut through the middle; half of what a mesh's middle links carry. With
// unequal axes, those of the longest axis bind, and are always busy. Scratch: (D-1) N bytes, and 4D blocks. Any shape, D <= 8; even blocks.
// Derived here from dimension-ordered routing; the bound is that of Dally, Towles: "Principles and practices of interconnection networks",
// 2004.
#include <algorithm>
#include <array>
#include <vector>

#include "algorithms/algorithm.h"
#include "algorithms/channel_share.h"
#include "algorithms/strands.h"
#include "algorithms/torus_axes.h"
#include "plan/builder.h"

namespace tutti {
namespace {

int max_channels(const PlanRequest& request, const Topology& topology) {
  if (request.collective != Collective::kAllToAll || request.uneven || !topology.torus()) return 0;
  return std::clamp(TorusAxes(topology).dimensions(), 1, kMostShares);
}

// What a rank holds before phase p is named by a rank: its places along the axes that were travelled are the sender's, the others the
// receiver's. Before the first phase that is the block of the input, after the last the block of the output.
class AllToAll {
 public:
  AllToAll(const PlanRequest& request, const PlanChoice& choice, const TorusAxes& axes, int rank)
      : axes_(axes),
        rank_(rank),
        nranks_(request.nranks),
        dimensions_(axes.dimensions()),
        shares_(choice.channels),
        lanes_(2 * choice.channels <= kMostShares ? 2 : 1),
        strands_(empty_program(request, choice)) {}

  Program build() {
    for (share_ = 0; share_ < shares_; ++share_) {
      arrivals_.assign(static_cast<size_t>(dimensions_ * nranks_), {});
      for (phase_ = 0; phase_ < dimensions_; ++phase_) travel();
      phase_ = 0;
      strands_.add(channel(0, 1), {.src = region(Buffer::kInput, rank_), .dst = region(Buffer::kOutput, rank_)});
    }
    return strands_.take();
  }

 private:
  enum class Part : uint8_t { kWhole, kFirstHalf, kSecondHalf };

  Program empty_program(const PlanRequest& request, const PlanChoice& choice) const {
    PlanChoice all = choice;
    all.channels = shares_ * lanes_ * dimensions_ * 2;
    ProgramBuilder builder(request, all, rank_);
    // The phases of a share have different peers, its two ways different ends: they share FIFOs.
    for (int c = 0; c < all.channels; ++c) builder.use_fifos(c, c / (2 * dimensions_));
    builder.largest_message(1, static_cast<uint32_t>(shares_));
    builder.use_scratch(static_cast<uint32_t>(first_relay() + 2 * lanes_ * dimensions_));
    return builder.take();
  }

  int axis(int phase) const { return (share_ + phase) % dimensions_; }
  int place() const { return axes_.place(rank_, axis(phase_)); }
  int k() const { return axes_.size(axis(phase_)); }
  int channel(int lane, int direction) const { return ((share_ * lanes_ + lane) * dimensions_ + phase_) * 2 + (direction > 0 ? 0 : 1); }
  // Scratch: n blocks for each phase but the last, and what a channel passes on.
  int first_relay() const { return (dimensions_ - 1) * nranks_; }
  bool at_home(int name, int phase) const { return axes_.place(name, axis(phase)) == axes_.place(rank_, axis(phase)); }

  Region region(Buffer buffer, int block, Part part = Part::kWhole) const {
    const auto begin = static_cast<uint32_t>(2 * (block * shares_ + share_) + (part == Part::kSecondHalf ? 1 : 0));
    return {buffer, begin, begin + (part == Part::kWhole ? 2 : 1), static_cast<uint32_t>(2 * shares_)};
  }

  // Where a block lies that arrived in a phase: in the output, if it has no farther to go.
  Region arrived_at(int name, int phase, Part part) const {
    for (int later = phase + 1; later < dimensions_; ++later) {
      if (!at_home(name, later)) return region(Buffer::kScratch, phase * nranks_ + name, part);
    }
    return region(Buffer::kOutput, name, part);
  }

  struct Held {
    Region region;
    StepRef after[2];  // both halves' arrivals, where it came so
  };

  // Where a block is that goes on now: it came in the latest phase in which it moved.
  Held held(int name, Part part) const {
    for (int earlier = phase_ - 1; earlier >= 0; --earlier) {
      if (at_home(name, earlier)) continue;
      const auto& halves = arrivals_[static_cast<size_t>(earlier * nranks_ + name)];
      return {arrived_at(name, earlier, part),
              {part == Part::kSecondHalf ? StepRef{} : halves[0], part == Part::kFirstHalf ? StepRef{} : halves[1]}};
    }
    return {region(Buffer::kInput, name, part), {}};
  }

  void note_arrival(int name, Part part, StepRef step) {
    auto& halves = arrivals_[static_cast<size_t>(phase_ * nranks_ + name)];
    if (part != Part::kSecondHalf) halves[0] = step;
    if (part != Part::kFirstHalf) halves[1] = step;
  }

  // One of the n/k blocks for a place; the same on all ranks of the row. Number 0 has the farthest to go along all other axes, or came from
  // farthest, and those along later phases' axes count more.
  int name_of(int number, int place) const {
    int name = axes_.with_place(rank_, axis(phase_), place);
    for (int phase = 0; phase < dimensions_; ++phase) {
      if (phase == phase_) continue;
      const int d = axis(phase), size = axes_.size(d);
      name = axes_.with_place(name, d, axes_.nth_nearest(axes_.place(rank_, d), d, size - 1 - number % size));
      number /= size;
    }
    return name;
  }

  // Every rank's block of a number for the rank `distance` off, all the way.
  void pass(int number, int distance, int lane, int direction, Part part) {
    const int c = channel(lane, direction), last = k() - 1;
    const bool ring = axes_.ring(axis(phase_));
    const auto place_off = [&](int steps) { return ((place() + direction * steps) % k() + k()) % k(); };
    const auto exists = [&](int steps) { return ring || (place() + direction * steps >= 0 && place() + direction * steps <= last); };
    const int next = axes_.moved(rank_, axis(phase_), direction), previous = axes_.moved(rank_, axis(phase_), -direction);
    if (exists(distance)) {
      const Held own = held(name_of(number, place_off(distance)), part);
      strands_.add(c, {.send_peer = next, .src = own.region}, {own.after[0], own.after[1]});
    }
    const Region relay = region(Buffer::kScratch, first_relay() + 2 * (lane * dimensions_ + phase_) + (direction > 0 ? 0 : 1), part);
    for (int hop = 1; hop < distance; ++hop) {
      if (exists(-hop) && exists(distance - hop)) strands_.add(c, {.recv_peer = previous, .send_peer = next, .dst = relay});
    }
    if (!exists(-distance)) return;
    const int name = name_of(number, place_off(-distance));
    note_arrival(name, part, strands_.add(c, {.recv_peer = previous, .dst = arrived_at(name, phase_, part)}));
  }

  // All phases take the blocks in one order: by the distance along the last phase's axis, then along the one before, and so on, the
  // farthest first. So each finds what it needs where the phase before has just been, and all phases are busy at once.
  void travel() {
    const bool ring = axes_.ring(axis(phase_));
    int nearer = 1;  // blocks that differ along the axes of earlier phases
    for (int phase = 0; phase < phase_; ++phase) nearer *= axes_.size(axis(phase));
    for (int first = 0, group = 0; first < nranks_ / k(); first += nearer, ++group) {
      for (int distance = ring ? k() / 2 : k() - 1; distance >= 1; --distance) {
        const bool half_way = ring && 2 * distance == k();
        for (int i = 0; i < nearer; ++i) {
          const int lane = (group + distance + i) % lanes_;
          pass(first + i, distance, lane, 1, half_way ? Part::kFirstHalf : Part::kWhole);
          pass(first + i, distance, lane, -1, half_way ? Part::kSecondHalf : Part::kWhole);
        }
      }
    }
  }

  const TorusAxes& axes_;
  const int rank_;
  const int nranks_;
  const int dimensions_;
  const int shares_;
  const int lanes_;
  Strands strands_;
  std::vector<std::array<StepRef, 2>> arrivals_;  // of the share in hand, by phase and name: the first and the second half's
  int share_ = 0;
  int phase_ = 0;
};

Program generate(const PlanRequest& request, const PlanChoice& choice, const Topology& topology, int rank) {
  if (request.nranks == 1) return copy_alone(request, choice);
  return AllToAll(request, choice, TorusAxes(topology), rank).build();
}

}  // namespace

extern const Algorithm torus_alltoall_algorithm = {
    "torus_alltoall", "along the axes in D orders at once, from neighbour to neighbour: Nk/8 bytes a link on a torus of equal even axes k",
    max_channels, generate};

}  // namespace tutti
