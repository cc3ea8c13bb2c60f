// See collective.h.
#include "collective.h"

#include <array>

namespace perf {
namespace {

// What a rank's links have to carry at least, as a multiple of the bytes that are counted.
double factor_none(int /*ranks*/) {
  return 0;
}
double factor_once(int /*ranks*/) {
  return 1;
}
double factor_others(int ranks) {
  return static_cast<double>(ranks - 1) / ranks;
}
double factor_all_reduce(int ranks) {
  return 2 * factor_others(ranks);
}

size_t at(int rank) {
  return static_cast<size_t>(rank);
}

tuttiResult_t all_reduce(const Call& c) {
  return tuttiAllReduce(c.send, c.recv, c.count, c.type, c.op, c.comm, nullptr);
}

tuttiResult_t all_gather(const Call& c) {
  return tuttiAllGather(c.send, c.recv, c.count, c.type, c.comm, nullptr);
}

tuttiResult_t reduce_scatter(const Call& c) {
  return tuttiReduceScatter(c.send, c.recv, c.count, c.type, c.op, c.comm, nullptr);
}

tuttiResult_t broadcast(const Call& c) {
  if (c.in_place) return tuttiBcast(c.recv, c.count, c.type, c.place.root, c.comm, nullptr);
  return tuttiBroadcast(c.send, c.recv, c.count, c.type, c.place.root, c.comm, nullptr);
}

tuttiResult_t reduce(const Call& c) {
  return tuttiReduce(c.send, c.recv, c.count, c.type, c.op, c.place.root, c.comm, nullptr);
}

tuttiResult_t gather(const Call& c) {
  return tuttiGather(c.send, c.recv, c.count, c.type, c.place.root, c.comm, nullptr);
}

tuttiResult_t scatter(const Call& c) {
  return tuttiScatter(c.send, c.recv, c.count, c.type, c.place.root, c.comm, nullptr);
}

tuttiResult_t alltoall(const Call& c) {
  return tuttiAllToAll(c.send, c.recv, c.count, c.type, c.comm, nullptr);
}

tuttiResult_t alltoallv(const Call& c) {
  const Blocks& send = c.layout.send_blocks;
  const Blocks& recv = c.layout.recv_blocks;
  return tuttiAllToAllV(c.send, send.counts.data(), send.displs.data(), c.recv, recv.counts.data(), recv.displs.data(), c.type, c.comm,
                        nullptr);
}

tuttiResult_t all_gather_v(const Call& c) {
  const Blocks& recv = c.layout.recv_blocks;
  return tuttiAllGatherV(c.send, recv.counts[at(c.place.rank)], c.recv, recv.counts.data(), recv.displs.data(), c.type, c.comm, nullptr);
}

tuttiResult_t reduce_scatter_v(const Call& c) {
  const Blocks& send = c.layout.send_blocks;
  return tuttiReduceScatterV(c.send, send.counts.data(), send.displs.data(), c.recv, c.type, c.op, c.comm, nullptr);
}

tuttiResult_t sendrecv(const Call& c) {
  const int ranks = c.place.ranks, next = (c.place.rank + 1) % ranks, before = (c.place.rank + ranks - 1) % ranks;
  if (const tuttiResult_t result = tuttiGroupStart(); result != tuttiSuccess) return result;
  tuttiSend(c.send, c.count, c.type, next, c.comm, nullptr);  // what these refuse, GroupEnd returns
  tuttiRecv(c.recv, c.count, c.type, before, c.comm, nullptr);
  return tuttiGroupEnd();
}

tuttiResult_t barrier(const Call& c) {
  return tuttiBarrier(c.comm, nullptr);
}

// name, id, reduces, rooted, in place, sizing, factor of the bus bandwidth, layout, call
constexpr std::array kCollectives{
    Collective{"all_reduce", tuttiCollectiveAllReduce, true, false, true, Sizing::kCount, factor_all_reduce, layout_all_reduce, all_reduce},
    Collective{"all_gather", tuttiCollectiveAllGather, false, false, true, Sizing::kBlocks, factor_others, layout_all_gather, all_gather},
    Collective{"reduce_scatter", tuttiCollectiveReduceScatter, true, false, true, Sizing::kBlocks, factor_others, layout_reduce_scatter,
               reduce_scatter},
    Collective{"broadcast", tuttiCollectiveBroadcast, false, true, true, Sizing::kCount, factor_once, layout_broadcast, broadcast},
    Collective{"reduce", tuttiCollectiveReduce, true, true, true, Sizing::kCount, factor_once, layout_reduce, reduce},
    Collective{"gather", tuttiCollectiveGather, false, true, true, Sizing::kBlocks, factor_others, layout_gather, gather},
    Collective{"scatter", tuttiCollectiveScatter, false, true, true, Sizing::kBlocks, factor_others, layout_scatter, scatter},
    Collective{"alltoall", tuttiCollectiveAllToAll, false, false, false, Sizing::kBlocks, factor_others, layout_alltoall, alltoall},
    Collective{"alltoallv", std::nullopt, false, false, false, Sizing::kBlocks, factor_others, layout_alltoallv, alltoallv},
    Collective{"all_gather_v", std::nullopt, false, false, false, Sizing::kBlocks, factor_others, layout_all_gather_v, all_gather_v},
    Collective{"reduce_scatter_v", std::nullopt, true, false, false, Sizing::kBlocks, factor_others, layout_reduce_scatter_v,
               reduce_scatter_v},
    Collective{"sendrecv", std::nullopt, false, false, false, Sizing::kCount, factor_once, layout_sendrecv, sendrecv},
    Collective{"barrier", tuttiCollectiveBarrier, false, false, false, Sizing::kNothing, factor_none, layout_barrier, barrier},
};

}  // namespace

Shape Collective::shape(size_t bytes, size_t elem_bytes, int ranks) const {
  switch (sizing) {
    case Sizing::kNothing: break;
    case Sizing::kCount: return {bytes / elem_bytes * elem_bytes, bytes / elem_bytes};
    case Sizing::kBlocks: {
      const size_t row = elem_bytes * at(ranks);
      return {bytes / row * row, bytes / row};
    }
  }
  return {0, 0};
}

std::span<const Collective> collectives() {
  return kCollectives;
}

}  // namespace perf
