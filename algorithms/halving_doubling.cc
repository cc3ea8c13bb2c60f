// Halving and doubling (Rabenseifner's algorithm): in round k of a reduce-scatter a rank and the one at distance 2^k give each other half
// of what both still hold, and reduce the other half; an all-gather goes the same way back. The first and largest halves go to neighbours.
//
// All-reduce: steps 2 log2 n; a rank sends 2(n-1)/n N bytes, N = bytes of the buffer. Where n is no power of two, neighbours are paired
// first: 2 steps more, of N bytes. Any n. An element is reduced by one tree and copied from its root: the same bits everywhere.
// Reduce-scatter: log2 n steps, (n-1)/n N bytes, N = bytes of all blocks; n a power of two; blocks alike (partial results are in scratch).
// Both in the order of the ranks, since what is reduced is always two neighbouring ranges of them.
// Rabenseifner: "Optimization of collective reduction operations", ICCS 2004.
#include <utility>
#include <vector>

#include "algorithms/algorithm.h"
#include "algorithms/channel_share.h"
#include "algorithms/power_of_two.h"
#include "algorithms/rounds.h"
#include "plan/builder.h"

namespace tutti {
namespace {

int max_channels(const PlanRequest& request, const Topology& /*topology*/) {
  switch (request.collective) {
    case Collective::kAllReduce: return kMostShares;
    case Collective::kReduceScatter: return is_power_of_two(request.nranks) && !request.uneven ? kMostShares : 0;
    default: return 0;
  }
}

// One rank's all-reduce of one share, which is cut into `fold.size` chunks.
class AllReduce {
 public:
  AllReduce(ProgramBuilder::Channel channel, const ChannelShare& share, int nranks, int rank)
      : channel_(channel), share_(share), fold_(nranks, rank), rank_(rank), length_(fold_.size) {}

  void build() {
    if (fold_.sits_out) {
      for (const int half : {0, 1}) channel_.send(rank_ + 1, half_of(Buffer::kInput, half));
      for (const int half : {0, 1}) channel_.recv(rank_ + 1, half_of(Buffer::kOutput, half));
      return;
    }
    if (fold_.stands_in) {
      for (const int half : {0, 1}) channel_.recv_reduce_copy(rank_ - 1, half_of(Buffer::kInput, half), half_of(Buffer::kOutput, half));
    }
    reduce_scatter();
    all_gather();
    if (fold_.stands_in) {
      for (const int half : {0, 1}) channel_.send(rank_ - 1, half_of(Buffer::kOutput, half));
    }
  }

 private:
  Region chunks(Buffer buffer, int begin) const { return share_.chunks_of(buffer, begin, begin + length_, fold_.size); }
  Region half_of(Buffer buffer, int half) const {
    return share_.chunks_of(buffer, half * fold_.size / 2, (half + 1) * fold_.size / 2, fold_.size);
  }
  int partner(int distance) const { return fold_.rank_of(fold_.index ^ distance); }

  // Leaves this rank with one chunk, sent already to the partner at the greatest distance, with whom the all-gather begins.
  void reduce_scatter() {
    Buffer held = fold_.stands_in ? Buffer::kOutput : Buffer::kInput;
    for (int distance = 1; distance < fold_.size; distance *= 2) {
      length_ /= 2;
      const bool keep_upper = (fold_.index & distance) != 0, last = 2 * distance == fold_.size;
      const int kept = begin_ + (keep_upper ? length_ : 0), given = begin_ + (keep_upper ? 0 : length_);
      const int with = partner(distance);
      channel_.send(with, chunks(held, given));
      channel_.recv_reduce_copy_send(with, chunks(held, kept), chunks(Buffer::kOutput, kept), last ? with : kNoPeer).completes(last);
      if (!keep_upper) channel_.src_first();
      begin_ = kept;
      held = Buffer::kOutput;
    }
  }

  void all_gather() {
    for (int distance = fold_.size / 2; distance >= 1; distance /= 2) {
      if (distance != fold_.size / 2) channel_.send(partner(distance), chunks(Buffer::kOutput, begin_));
      channel_.recv(partner(distance), chunks(Buffer::kOutput, begin_ ^ length_));
      begin_ &= ~length_;
      length_ *= 2;
    }
  }

  ProgramBuilder::Channel channel_;
  const ChannelShare share_;
  const PowerOfTwoFold fold_;
  const int rank_;
  int begin_ = 0;  // the chunks that this rank still reduces, or has gathered: [begin_, begin_ + length_)
  int length_;
};

// Before the round of distance d a rank holds the blocks that are its own modulo d.
std::vector<Round> reduce_scatter_rounds(int nranks, int rank) {
  std::vector<Round> rounds;
  for (int distance = 1; distance < nranks; distance *= 2) {
    const int partner = rank ^ distance;
    Round round{.to = partner, .from = partner, .arriving_first = partner < rank};
    for (int high = 0; high < nranks; high += 2 * distance) {
      round.sent.push_back(partner ^ high);
      round.received.push_back(rank ^ high);
    }
    rounds.push_back(std::move(round));
  }
  return rounds;
}

Program generate(const PlanRequest& request, const PlanChoice& choice, const Topology& /*topology*/, int rank) {
  const int n = request.nranks;
  if (n == 1) return copy_alone(request, choice);
  if (request.collective == Collective::kReduceScatter) {
    return reduce_scatter_in_rounds(request, choice, rank, reduce_scatter_rounds(n, rank));
  }
  ProgramBuilder builder(request, choice, rank);
  builder.largest_message(1, static_cast<uint32_t>(2 * choice.channels));
  for (int c = 0; c < choice.channels; ++c) AllReduce(builder.channel(c), {c, choice.channels}, n, rank).build();
  return builder.take();
}

}  // namespace

extern const Algorithm halving_doubling_algorithm = {
    "halving_doubling", "halves at doubling distances: log2 n steps, (n-1)/n N bytes sent; all_reduce twice both (+2 steps of N to fold)",
    max_channels, generate};

}  // namespace tutti
