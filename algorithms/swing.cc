// Swing all-reduce on a torus: in step s a rank's partner along an axis is 1, -1, 3, -5, 11, ... places off, forwards for even places and
// backwards for odd ones. So the pairs of recursive doubling are kept, but partners are nearer, and neighbouring pairs use both
// directions of the links between them. Shares start at different axes and go on to the next axis with every step; half of them are
// mirrored, with every distance negated. An axis whose places have all been joined is left out from then on.
//
// parameter 0: reduce-scatter by halving, then all-gather: 2 log2 n steps; a rank sends 2(n-1)/n N bytes, N = bytes of the buffer, which
// load the links of a torus of equal axes 1.20 times as much as bucket's in two dimensions, 1.04 in three, 1.01 in four.
// parameter 1: whole shares are exchanged, the farthest first: log2 n steps, log2 n N bytes, for small buffers.
// All axes powers of two; partners are joined past others, along the shortest way, so an axis that does not wrap is served, but its middle
// links carry more. Commutative reductions. Both partners reduce the same two operands: the same bits everywhere.
// De Sensi, Bonato, Saam, Hoefler: "Swing: short-cutting rings for higher bandwidth allreduce", NSDI 2024.
#include <algorithm>
#include <vector>

#include "algorithms/algorithm.h"
#include "algorithms/channel_share.h"
#include "algorithms/power_of_two.h"
#include "algorithms/torus_axes.h"
#include "plan/builder.h"

namespace tutti {
namespace {

constexpr int kWholeShares = 1;  // the parameter

int max_channels(const PlanRequest& request, const Topology& topology) {
  if (request.collective != Collective::kAllReduce || request.rank_ordered || !topology.torus()) return 0;
  const TorusAxes axes(topology);
  for (int d = 0; d < axes.dimensions(); ++d) {
    if (!is_power_of_two(axes.size(d))) return 0;
  }
  return std::clamp(2 * axes.dimensions(), 1, kMostShares);
}

// The partners of one share.
class Swing {
 public:
  Swing(const TorusAxes& axes, int share) : axes_(axes), mirrored_(share % 2 == 1) {
    const int dimensions = axes.dimensions();
    std::vector<int> joined(static_cast<size_t>(dimensions), 1);  // places along each axis
    int distance = 1;                                             // of a round over the axes
    for (bool any = true; any; distance = 1 - 2 * distance) {
      any = false;
      for (int i = 0; i < dimensions; ++i) {
        const int d = (share / 2 + i) % dimensions;
        int& places = joined[static_cast<size_t>(d)];
        if (places == axes.size(d)) continue;
        places *= 2;
        steps_.push_back({d, distance});
        any = true;
      }
    }
  }

  int steps() const { return static_cast<int>(steps_.size()); }

  int partner(int rank, int step) const {
    const Step& at = steps_[static_cast<size_t>(step)];
    const bool forwards = (axes_.place(rank, at.axis) % 2 == 0) != mirrored_;
    return axes_.moved(rank, at.axis, forwards ? at.distance : -at.distance);
  }

  // The chunk that a rank keeps to the end of reduce-scatter. Of the chunks [0, n) rank 0 and whom it reaches by the later steps keep the
  // lower half, its partner in step 0 and whom he reaches the upper half; and so on. That is consistent: two ranks reach the same ranks by
  // the steps from some step on, or none in common.
  std::vector<int> chunks() const {
    std::vector<int> chunk_of(static_cast<size_t>(axes_.nranks()));
    number(0, 0, 0, chunk_of);
    return chunk_of;
  }

 private:
  struct Step {
    int axis = 0;
    int distance = 0;
  };

  void number(int rank, int step, int first, std::vector<int>& chunk_of) const {
    if (step == steps()) {
      chunk_of[static_cast<size_t>(rank)] = first;
      return;
    }
    number(rank, step + 1, first, chunk_of);
    number(partner(rank, step), step + 1, first + (axes_.nranks() >> (step + 1)), chunk_of);
  }

  const TorusAxes& axes_;
  const bool mirrored_;
  std::vector<Step> steps_;
};

// The last step first: then whoever is joined to a rank holds what it holds for the same ranks in the same order of reduction, as two ranks
// that keep neighbouring chunks do above. In the order of the steps, ranks would end with different groupings, so other bits. Each
// reduction's result goes straight to the next partner.
void exchange_whole(ProgramBuilder::Channel channel, const ChannelShare& share, const Swing& swing, int rank) {
  const Region in = share.of(Buffer::kInput), out = share.of(Buffer::kOutput);
  const int first = swing.steps() - 1;
  channel.send(swing.partner(rank, first), in);
  for (int step = first; step >= 0; --step) {
    const int next = step == 0 ? kNoPeer : swing.partner(rank, step - 1);
    channel.recv_reduce_copy_send(swing.partner(rank, step), step == first ? in : out, out, next).completes(step == 0);
  }
}

void halve_and_double(ProgramBuilder::Channel channel, const ChannelShare& share, const Swing& swing, int nranks, int rank) {
  const int own = swing.chunks()[static_cast<size_t>(rank)];
  const auto chunks = [&](Buffer buffer, int begin, int length) { return share.chunks_of(buffer, begin, begin + length, nranks); };
  Buffer held = Buffer::kInput;
  for (int step = 0, length = nranks / 2; step < swing.steps(); ++step, length /= 2) {
    const int kept = own / length * length, given = kept ^ length, with = swing.partner(rank, step);
    const bool last = step + 1 == swing.steps();
    channel.send(with, chunks(held, given, length));
    channel.recv_reduce_copy_send(with, chunks(held, kept, length), chunks(Buffer::kOutput, kept, length), last ? with : kNoPeer)
        .completes(last);
    held = Buffer::kOutput;
  }
  for (int step = swing.steps() - 1, length = 1; step >= 0; --step, length *= 2) {
    const int kept = own / length * length, with = swing.partner(rank, step);
    if (step + 1 != swing.steps()) channel.send(with, chunks(Buffer::kOutput, kept, length));
    channel.recv(with, chunks(Buffer::kOutput, kept ^ length, length));
  }
}

Program generate(const PlanRequest& request, const PlanChoice& choice, const Topology& topology, int rank) {
  const int n = request.nranks;
  if (n == 1) return copy_alone(request, choice);
  const TorusAxes axes(topology);
  const bool whole = choice.parameter == kWholeShares;
  ProgramBuilder builder(request, choice, rank);
  builder.largest_message(1, static_cast<uint32_t>(whole ? choice.channels : 2 * choice.channels));
  for (int c = 0; c < choice.channels; ++c) {
    const ChannelShare share{c, choice.channels};
    const Swing swing(axes, c);
    if (whole) {
      exchange_whole(builder.channel(c), share, swing, rank);
    } else {
      halve_and_double(builder.channel(c), share, swing, n, rank);
    }
  }
  return builder.take();
}

}  // namespace

extern const Algorithm swing_algorithm = {
    "swing",
    "partners 1, -1, 3, -5, ... off on a torus of 2^k axes: 2 log2 n steps, 2(n-1)/n N bytes sent; parameter 1: log2 n, log2 n N",
    max_channels,
    generate,
    {kWholeShares}};

}  // namespace tutti
