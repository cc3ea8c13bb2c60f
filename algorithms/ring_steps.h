// What is done along a ring of ranks, wherever it is laid. A Ring is one rank's view of one ring and of the part of the data that goes
// round it:
//   nranks; next() and previous(), ranks; upstream(steps), the rank so many steps before this one;
//   chunk(buffer, k), of n chunks of the part of block 0; of(buffer, block), the part of a block.
// Threading: pure functions.
#pragma once

#include "plan/builder.h"

namespace tutti {

// Chunk k starts at rank k and is complete at the rank before it.
template <class Ring>
void all_reduce_round(ProgramBuilder::Channel channel, const Ring& ring) {
  const int n = ring.nranks, next = ring.next(), previous = ring.previous();
  const auto chunk = [&](Buffer buffer, int steps) { return ring.chunk(buffer, ring.upstream(steps)); };
  channel.send(next, chunk(Buffer::kInput, 0));
  for (int step = 1; step < n - 1; ++step) channel.recv_reduce_send(previous, chunk(Buffer::kInput, step), next);
  channel.recv_reduce_copy_send(previous, chunk(Buffer::kInput, n - 1), chunk(Buffer::kOutput, n - 1), next).completes();
  for (int step = 0; step < n - 2; ++step) channel.recv_copy_send(previous, chunk(Buffer::kOutput, step), next);
  channel.recv(previous, chunk(Buffer::kOutput, n - 2));
}

template <class Ring>
void all_gather_round(ProgramBuilder::Channel channel, const Ring& ring) {
  const int n = ring.nranks, next = ring.next(), previous = ring.previous();
  const auto block = [&](int steps) { return ring.of(Buffer::kOutput, ring.upstream(steps)); };
  channel.copy_send(ring.of(Buffer::kInput), block(0), next);
  for (int step = 1; step < n - 1; ++step) channel.recv_copy_send(previous, block(step), next);
  channel.recv(previous, block(n - 1));
}

// Block k starts at the rank after rank k and is complete at rank k.
template <class Ring>
void reduce_scatter_round(ProgramBuilder::Channel channel, const Ring& ring) {
  const int n = ring.nranks, next = ring.next(), previous = ring.previous();
  const auto block = [&](int steps) { return ring.of(Buffer::kInput, ring.upstream(steps)); };
  channel.send(next, block(1));
  for (int step = 2; step < n; ++step) channel.recv_reduce_send(previous, block(step), next);
  channel.recv_reduce_copy(previous, block(n), ring.of(Buffer::kOutput)).completes();
}

template <class Ring>
void go_round(ProgramBuilder::Channel channel, Collective collective, const Ring& ring) {
  switch (collective) {
    case Collective::kAllGather: all_gather_round(channel, ring); break;
    case Collective::kReduceScatter: reduce_scatter_round(channel, ring); break;
    default: all_reduce_round(channel, ring); break;
  }
}

}  // namespace tutti
