// Scatter, then all-gather: the root gives every other rank a part of the buffer, and each passes its part on to all the others; reduce
// goes the same way backwards. Pipelined over slices both go on at once, so that on a switch and on a full mesh alike every link out of
// the root is full all the time, and no rank sends more than it.
//
// Steps 2; the root sends N bytes, the others (n-2)/(n-1) N, N = bytes of the buffer: on a switch N/B, on a full mesh of links of b bytes/s
// N/((n-1) b), which is the bound of both. Any n, any root. The root owns no part: it would have to send that part n-1 times.
// Reduce: every rank sends each owner its part, the owner adds and sends the sum to the root, which adds its own and completes it:
// commutative reductions; partial results are in scratch. Each element is summed in one place: the same bits run after run.
//
// van de Geijn: "On global combine operations", JPDC 1994; Thakur, Rabenseifner, Gropp: "Optimization of collective communication
// operations in MPICH", IJHPCA 2005 (with a ring, or recursive doubling, for the second half).
#include <vector>

#include "algorithms/algorithm.h"
#include "algorithms/weave.h"

namespace tutti {
namespace {

// Nothing waits for its turn (weave.h), so one share has as much under way as several would.
constexpr int kScattered = 0, kGathered = 1;  // FIFOs for the root's messages, and for the others'

int max_channels(const PlanRequest& request, const Topology& /*topology*/) {
  if (request.collective == Collective::kBroadcast) return 1;
  return request.collective == Collective::kReduce && !request.rank_ordered ? 1 : 0;
}

// As one rank sees it. Ranks are counted from the root; part k is owned by the rank k + 1 after it.
struct View {
  int nranks;
  int root;
  int place;

  int rank_of(int other_place) const { return (root + other_place) % nranks; }
  Region part(Buffer buffer, int owner) const { return ChannelShare{}.chunks_of(buffer, owner - 1, owner, nranks - 1); }
  // The k-th of the others who are not the root, from this rank's next on; or, where backwards, from the one before it.
  int other(int k, bool backwards = false) const {
    const int owners = nranks - 1;
    return (place - 1 + (backwards ? owners - k : k)) % owners + 1;
  }
};

void broadcast(Weave& weave, const View& view) {
  const int n = view.nranks;
  if (view.place == 0) {
    for (int owner = 1; owner < n; ++owner) {
      weave.add({.send_peer = view.rank_of(owner), .src = view.part(Buffer::kInput, owner), .dst = view.part(Buffer::kOutput, owner)},
                kScattered);
    }
    return;
  }
  const Region own = view.part(Buffer::kOutput, view.place);
  const StepDone here = weave.recv(view.root, kScattered, own);
  for (int k = 1; k < n - 1; ++k) weave.send(view.rank_of(view.other(k)), kGathered, own, here);
  for (int k = 1; k < n - 1; ++k) {
    const int owner = view.other(k, true);
    weave.recv(view.rank_of(owner), kGathered, view.part(Buffer::kOutput, owner));
  }
}

void reduce(Weave& weave, const View& view) {
  const int n = view.nranks;
  if (view.place == 0) {
    for (int owner = 1; owner < n; ++owner) {
      const Region in = view.part(Buffer::kInput, owner), out = view.part(Buffer::kOutput, owner);
      weave.recv_reduce(view.rank_of(owner), kScattered, in, out, true);
    }
    return;
  }
  for (int k = 1; k < n - 1; ++k) {
    const int owner = view.other(k);
    weave.send(view.rank_of(owner), kGathered, view.part(Buffer::kInput, owner));
  }
  Region held = view.part(Buffer::kInput, view.place);
  StepDone since;
  for (int k = 1; k < n - 1; ++k) {
    const Region sum = view.part(Buffer::kScratch, view.place);
    since = weave.recv_reduce(view.rank_of(view.other(k, true)), kGathered, held, sum, false, since);
    held = sum;
  }
  weave.send(view.root, kScattered, held, since);
}

Program generate(const PlanRequest& request, const PlanChoice& choice, const Topology& /*topology*/, int rank) {
  const int n = request.nranks;
  if (n == 1) return copy_alone(request, choice);
  Weave weave(request, choice, rank);
  weave.builder().largest_message(1, static_cast<uint32_t>(n - 1));
  const View view{n, request.root, (rank + n - request.root) % n};
  request.collective == Collective::kBroadcast ? broadcast(weave, view) : reduce(weave, view);
  if (request.collective == Collective::kReduce && rank != request.root && n > 2) weave.builder().use_scratch(1);
  return weave.take(2 * (n - 1));
}

}  // namespace

extern const Algorithm scatter_all_gather_algorithm = {
    "scatter_all_gather", "a part to each, and each to all, pipelined (reduce: backwards): 2 steps, at most N bytes sent by any rank",
    max_channels, generate};

}  // namespace tutti
