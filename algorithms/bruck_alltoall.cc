// Bruck all-to-all, radix 2: in round k a rank sends to the rank 2^k after it every block whose way to its destination, in ranks, has bit k
// set. A block's first send is from the input and its last receive into the output, so no rotation is copied; between, it is in scratch.
//
// Steps ceil(log2 n), with as many ranks; at most half the blocks are sent in each, so a rank sends about N/2 log2 n bytes, N = bytes of
// its input. Any n, even blocks. A region lies inside one block, so every block is a message of its own: rounds are few, messages are not,
// and this wins over pairwise only where a round's messages overlap and connections are dear.
// A share's sends and its receives are two channels on the same FIFOs, joined block by block: a send waits for the receive that put the
// block into scratch, and a receive that puts another block there for that send.
// Bruck, Ho, Kipnis, Upfal, Weathersby: "Efficient algorithms for all-to-all communications in multiport message-passing systems",
// IEEE TPDS 1997.
#include <bit>
#include <vector>

#include "algorithms/algorithm.h"
#include "algorithms/channel_share.h"
#include "plan/builder.h"

namespace tutti {
namespace {

int max_channels(const PlanRequest& request, const Topology& /*topology*/) {
  return request.collective == Collective::kAllToAll && !request.uneven ? kMostShares : 0;
}

// The places in scratch, by distance: one for each that is no power of two, since its blocks take several hops.
std::vector<int> scratch_places(int nranks, uint32_t& blocks) {
  std::vector<int> places(static_cast<size_t>(nranks), 0);
  blocks = 0;
  for (int distance = 1; distance < nranks; ++distance) {
    if (!std::has_single_bit(static_cast<unsigned>(distance))) places[static_cast<size_t>(distance)] = static_cast<int>(blocks++);
  }
  return places;
}

// All rounds of one share. What a rank holds "at" a distance is the block that is to go that far from where it started.
void exchange(Program& program, const ChannelShare& share, const std::vector<int>& places) {
  const int n = program.nranks, rank = program.rank, sending = share.index, receiving = share.shares + share.index;
  auto& sends = program.channels[static_cast<size_t>(sending)];
  auto& receives = program.channels[static_cast<size_t>(receiving)];
  std::vector<int> arrival(static_cast<size_t>(n), -1);  // at each distance: the index of the receive into scratch
  for (int hop = 1; hop < n; hop *= 2) {
    for (int distance = hop; distance < n; ++distance) {
      if ((distance & hop) == 0) continue;
      const Region held = share.of(Buffer::kScratch, places[static_cast<size_t>(distance)]);
      int& arrived = arrival[static_cast<size_t>(distance)];
      Instruction send{.send_peer = (rank + hop) % n, .src = share.of(Buffer::kInput, (rank + distance) % n)};
      Instruction receive{.recv_peer = (rank + n - hop) % n, .dst = share.of(Buffer::kOutput, (rank + n - distance) % n)};
      const bool first_hop = arrived < 0, last_hop = distance < 2 * hop;
      if (!first_hop) {
        send.src = held;
        send.after_channel = receiving;
        send.after_index = arrived;
      }
      if (!last_hop) {
        receive.dst = held;
        if (!first_hop) {
          receive.after_channel = sending;
          receive.after_index = static_cast<int>(sends.size());
        }
        arrived = static_cast<int>(receives.size());
      }
      sends.push_back(send);
      receives.push_back(receive);
    }
  }
  sends.push_back({.src = share.of(Buffer::kInput, rank), .dst = share.of(Buffer::kOutput, rank)});
}

Program generate(const PlanRequest& request, const PlanChoice& choice, const Topology& /*topology*/, int rank) {
  if (request.nranks == 1) return copy_alone(request, choice);
  ProgramBuilder builder = two_channels_a_share(request, choice, rank);
  builder.largest_message(1, static_cast<uint32_t>(choice.channels));
  uint32_t scratch_blocks = 0;
  const std::vector<int> places = scratch_places(request.nranks, scratch_blocks);
  builder.use_scratch(scratch_blocks);
  Program program = builder.take();
  for (int c = 0; c < choice.channels; ++c) exchange(program, {c, choice.channels}, places);
  return program;
}

}  // namespace

extern const Algorithm bruck_alltoall_algorithm = {
    "bruck_alltoall", "blocks by the bits of their distance: ceil(log2 n) steps, about N/2 log2 n bytes sent; any n", max_channels,
    generate};

}  // namespace tutti
