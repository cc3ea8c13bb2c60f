// For tiny buffers on a torus or mesh: along one axis after another, every rank tells its value to all ranks of its row, from neighbour to
// neighbour both ways at once, and all fold the same values in the same order. So the steps are as many links as the farthest two ranks are
// apart, which no algorithm can undercut; what it pays is bytes: a row's whole values pass over its links.
//
// Steps: sum of floor(k/2) over the axes that wrap and k-1 over the others; a rank sends about (k-1) N bytes an axis, N = bytes of the
// buffer. Any shape. The last axis, whose rows are ranges of ranks, comes first: reductions in the order of the ranks. Barrier: the same
// with tokens, and nothing to fold. Derived here; the exchange along a ring is that of Chan, Heimlich, Purkayastha, van de Geijn:
// "Collective communication: theory, practice, and experience", Concurrency and Computation 2007.
#include <vector>

#include "algorithms/algorithm.h"
#include "algorithms/channel_share.h"
#include "algorithms/strands.h"
#include "algorithms/torus_axes.h"
#include "plan/builder.h"

namespace tutti {
namespace {

constexpr int kUp = 0, kDown = 1;  // the channels

int max_channels(const PlanRequest& request, const Topology& topology) {
  const bool can = request.collective == Collective::kAllReduce || request.collective == Collective::kBarrier;
  return can && topology.torus() ? 1 : 0;
}

class Exchange {
 public:
  Exchange(const PlanRequest& request, const PlanChoice& choice, const TorusAxes& axes, int rank)
      : axes_(axes), rank_(rank), folds_(request.collective == Collective::kAllReduce), strands_(empty_program(request, choice)) {}

  Program build() {
    Region own = input(0, 1, 1);
    uint32_t first_slot = 0;
    for (int d = axes_.dimensions() - 1; d >= 0; --d) {
      tell(d, own, first_slot);
      before_[kUp] = strands_.last(kUp);
      before_[kDown] = strands_.last(kDown);
      if (folds_) own = fold(d, own, first_slot);
      first_slot += static_cast<uint32_t>(axes_.size(d));
    }
    if (folds_) strands_.add(kUp, {.src = own, .dst = output(0, 1, 1)});
    return strands_.take();
  }

 private:
  // A slot of scratch for every place of every axis.
  Program empty_program(const PlanRequest& request, const PlanChoice& choice) const {
    PlanChoice two = choice;
    two.channels = 2;
    ProgramBuilder builder(request, two, rank_);
    uint32_t slots = 0;
    for (int d = 0; d < axes_.dimensions(); ++d) slots += static_cast<uint32_t>(axes_.size(d));
    builder.use_scratch(slots);
    return builder.take();
  }

  static Region slot(uint32_t first, int place) {
    const uint32_t block = first + static_cast<uint32_t>(place);
    return scratch(block, block + 1, 1);
  }

  // How far up and down a row this rank's value goes, and from how far up and down it hears.
  void tell(int d, Region own, uint32_t first_slot) {
    const int k = axes_.size(d), place = axes_.place(rank_, d);
    for (const int channel : {kUp, kDown}) {
      const int direction = channel == kUp ? 1 : -1;
      const int behind = channel == kUp ? place : k - 1 - place;  // how many there are on a line
      const int heard = axes_.ring(d) ? (channel == kUp ? k / 2 : (k - 1) / 2) : behind;
      const int next = axes_.ring(d) || behind < k - 1 ? axes_.moved(rank_, d, direction) : kNoPeer;
      const int previous = axes_.moved(rank_, d, -direction);
      if (next != kNoPeer) strands_.add(channel, {.send_peer = next, .src = own}, {before_[kUp], before_[kDown]});
      for (int hop = 1; hop <= heard; ++hop) {
        const Region arrives = slot(first_slot, ((place - direction * hop) % k + k) % k);
        // A ring's farthest stay; a line's go on to its end.
        const bool goes_on = next != kNoPeer && !(axes_.ring(d) && hop == heard);
        strands_.add(channel, {.recv_peer = previous, .send_peer = goes_on ? next : kNoPeer, .dst = arrives});
      }
    }
  }

  // In the order of the places, into the slot of the first.
  Region fold(int d, Region own, uint32_t first_slot) {
    const int k = axes_.size(d), place = axes_.place(rank_, d);
    const Region sum = slot(first_slot, 0);
    if (place == 0) strands_.add(kUp, {.src = own, .dst = sum});
    for (int other = 1; other < k; ++other) {
      const Instruction add{
          .reduce = true, .completes = d == 0 && other == k - 1, .src = other == place ? own : slot(first_slot, other), .dst = sum};
      // The other channel has sent from the slots, and received into them.
      before_[kUp] = strands_.add(kUp, add, {before_[kDown]});
    }
    return sum;
  }

  const TorusAxes& axes_;
  const int rank_;
  const bool folds_;
  Strands strands_;
  StepRef before_[2];  // what ends the axis before
};

Program generate(const PlanRequest& request, const PlanChoice& choice, const Topology& topology, int rank) {
  if (request.nranks == 1)
    return request.collective == Collective::kBarrier ? ProgramBuilder(request, choice, 0).take() : copy_alone(request, choice);
  return Exchange(request, choice, TorusAxes(topology), rank).build();
}

}  // namespace

extern const Algorithm torus_exchange_algorithm = {
    "torus_exchange", "all values along one axis after another: as many steps as links across; about (k-1) N bytes sent an axis of k",
    max_channels, generate};

}  // namespace tutti
