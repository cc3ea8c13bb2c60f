// Bruck all-to-all of radix r, the parameter (2 by default): a block's way to its destination, in ranks, is written in base r; for digit k
// and each of its values z but 0 there is a round, in which a rank sends to the rank z r^k after it every block whose way has z there. A
// block's first send is from the input and its last receive into the output, so no rotation is copied; between, it is in scratch.
//
// Steps (r-1) ceil(log_r n), with as many ranks; at most 1/r of the blocks are sent in each, so a rank sends about (r-1)/r N log_r n bytes,
// N = bytes of its input: a greater radix is nearer to pairwise. Any n, even blocks. A region lies inside one block, so every block is a
// message of its own: rounds are few, messages are not, and this wins over pairwise only where a round's messages overlap and
// connections are dear.
// A share's sends and its receives are two channels on the same FIFOs, joined block by block: a send waits for the receive that put the
// block into scratch, and a receive that puts another block there for that send.
// Bruck, Ho, Kipnis, Upfal, Weathersby: "Efficient algorithms for all-to-all communications in multiport message-passing systems",
// IEEE TPDS 1997.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "algorithms/algorithm.h"
#include "algorithms/channel_share.h"
#include "plan/builder.h"

namespace tutti {
namespace {

int max_channels(const PlanRequest& request, const Topology& /*topology*/) {
  return request.collective == Collective::kAllToAll && !request.uneven ? kMostShares : 0;
}

// The value of the digit of weight `hop`.
int digit(int distance, int hop, int radix) {
  return distance / hop % radix;
}

// Whether its blocks go all the way at once: only one digit is not 0.
bool one_hop(int distance, int radix) {
  while (distance % radix == 0) distance /= radix;
  return distance < radix;
}

// The places in scratch, by distance: one for each whose blocks take several hops.
std::vector<int> scratch_places(int nranks, int radix, uint32_t& blocks) {
  std::vector<int> places(static_cast<size_t>(nranks), 0);
  blocks = 0;
  for (int distance = 1; distance < nranks; ++distance) {
    if (!one_hop(distance, radix)) places[static_cast<size_t>(distance)] = static_cast<int>(blocks++);
  }
  return places;
}

// All rounds of one share. What a rank holds "at" a distance is the block that is to go that far from where it started.
class Exchange {
 public:
  Exchange(Program& program, const ChannelShare& share, const std::vector<int>& places)
      : share_(share),
        places_(places),
        n_(program.nranks),
        rank_(program.rank),
        sends_(program.channels[static_cast<size_t>(share.index)]),
        receives_(program.channels[static_cast<size_t>(receiving())]),
        arrival_(static_cast<size_t>(program.nranks), -1) {}

  void build(int radix) {
    for (int64_t weight = 1; weight < n_; weight *= radix) {
      const int hop = static_cast<int>(weight);
      for (int z = 1; z < radix && z * weight < n_; ++z) {
        for (int distance = z * hop; distance < n_; ++distance) {
          if (digit(distance, hop, radix) == z) move(distance, z * hop, distance < (z + 1) * weight);
        }
      }
    }
    sends_.push_back({.src = share_.of(Buffer::kInput, rank_), .dst = share_.of(Buffer::kOutput, rank_)});
  }

 private:
  int receiving() const { return share_.shares + share_.index; }

  // The block at a distance, here and at all other ranks, `by` ranks on.
  void move(int distance, int by, bool last_hop) {
    const Region held = share_.of(Buffer::kScratch, places_[static_cast<size_t>(distance)]);
    int& arrived = arrival_[static_cast<size_t>(distance)];
    Instruction send{.send_peer = (rank_ + by) % n_, .src = share_.of(Buffer::kInput, (rank_ + distance) % n_)};
    Instruction receive{.recv_peer = (rank_ + n_ - by) % n_, .dst = share_.of(Buffer::kOutput, (rank_ + n_ - distance) % n_)};
    const bool first_hop = arrived < 0;
    if (!first_hop) {
      send.src = held;
      send.after_channel = receiving();
      send.after_index = arrived;
    }
    if (!last_hop) {
      receive.dst = held;
      if (!first_hop) {
        receive.after_channel = share_.index;
        receive.after_index = static_cast<int>(sends_.size());
      }
      arrived = static_cast<int>(receives_.size());
    }
    sends_.push_back(send);
    receives_.push_back(receive);
  }

  const ChannelShare share_;
  const std::vector<int>& places_;
  const int n_;
  const int rank_;
  std::vector<Instruction>& sends_;
  std::vector<Instruction>& receives_;
  std::vector<int> arrival_;  // at each distance: the index of the receive into scratch
};

Program generate(const PlanRequest& request, const PlanChoice& choice, const Topology& /*topology*/, int rank) {
  if (request.nranks == 1) return copy_alone(request, choice);
  ProgramBuilder builder = two_channels_a_share(request, choice, rank);
  builder.largest_message(1, static_cast<uint32_t>(choice.channels));
  uint32_t scratch_blocks = 0;
  const int radix = choice.parameter < 2 ? 2 : std::min(choice.parameter, request.nranks);
  const std::vector<int> places = scratch_places(request.nranks, radix, scratch_blocks);
  builder.use_scratch(scratch_blocks);
  Program program = builder.take();
  for (int c = 0; c < choice.channels; ++c) Exchange(program, {c, choice.channels}, places).build(radix);
  return program;
}

}  // namespace

extern const Algorithm bruck_alltoall_algorithm = {
    "bruck_alltoall",
    "blocks by the digits of their distance, of radix r, the parameter (2): (r-1) ceil(log_r n) steps, (r-1)/r N log_r n bytes sent",
    max_channels, generate,
    {4, 16}};

}  // namespace tutti
