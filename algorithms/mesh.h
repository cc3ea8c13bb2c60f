// What the algorithms share in which everybody sends to everybody.
// Threading: pure functions.
#pragma once

#include "plan/builder.h"

namespace tutti {

// Reduces `own` with what every other rank sends into `out`, and sends the result to `forward_to` (unless kNoPeer). The fold starts at this
// rank and goes left to rank 0, then right to the last: always a range of neighbours, so good for reductions that do not commute, and in
// place without scratch, since this rank's own data is used first.
inline void fold_outwards(ProgramBuilder::Channel channel, int nranks, int rank, Region own, Region out, int forward_to) {
  for (int i = 1; i < nranks; ++i) {
    const bool from_left = i <= rank, last = i == nranks - 1;
    const int from = from_left ? rank - i : i;
    channel.recv_reduce_copy_send(from, i == 1 ? own : out, out, last ? forward_to : kNoPeer).completes(last);
    if (!from_left) channel.src_first();
  }
}

}  // namespace tutti
