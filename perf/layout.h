// Where the data of each collective lies on one rank, and what has to be in its output: the reference that tutti-perf checks against.
// One function for each meaning; all amounts are in elements.
// Threads: pure functions.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace perf {

struct Place {
  int rank;
  int ranks;
  int root;  // 0 where the collective has none
};

// Blocks of counts that differ, one for each rank.
struct Blocks {
  std::vector<size_t> counts;
  std::vector<size_t> displs;
  size_t total = 0;
};

// recv[offset, offset + elems) has to hold, from index first_index of it, rank `source`'s input or (Pattern::kReduction) the reduction.
struct Expectation {
  size_t offset;
  size_t elems;
  size_t first_index;
  int source;
};

struct Layout {
  size_t send_elems = 0;
  size_t recv_elems = 0;
  size_t send_at = 0;  // in place, where in the one buffer the input and the output begin
  size_t recv_at = 0;
  std::vector<Expectation> expected = {};
  Blocks send_blocks = {};  // where the collective takes them
  Blocks recv_blocks = {};

  size_t in_place_elems() const { return std::max(send_at + send_elems, recv_at + recv_elems); }  // of the one buffer
};

Layout layout_barrier(size_t count, const Place& place);
Layout layout_all_reduce(size_t count, const Place& place);
Layout layout_all_gather(size_t count, const Place& place);
Layout layout_reduce_scatter(size_t count, const Place& place);
Layout layout_broadcast(size_t count, const Place& place);
Layout layout_reduce(size_t count, const Place& place);
Layout layout_gather(size_t count, const Place& place);
Layout layout_scatter(size_t count, const Place& place);
Layout layout_alltoall(size_t count, const Place& place);
// To the next rank, from the one before.
Layout layout_sendrecv(size_t count, const Place& place);

// With counts that differ, of `count` in the mean, some of them 0.
Layout layout_all_gather_v(size_t count, const Place& place);
Layout layout_reduce_scatter_v(size_t count, const Place& place);
// All ranks send and receive ranks * count elements.
Layout layout_alltoallv(size_t count, const Place& place);

}  // namespace perf
