// See layout.h.
#include "layout.h"

#include "pattern.h"

namespace perf {
namespace {

size_t at(int rank) {
  return static_cast<size_t>(rank);
}

// Block r of the output is `elems` elements of rank r's input from `first_index` on.
std::vector<Expectation> block_of_each(size_t elems, size_t first_index, const Place& p) {
  std::vector<Expectation> expected;
  for (int r = 0; r < p.ranks; ++r) expected.push_back({at(r) * elems, elems, first_index, r});
  return expected;
}

// Three ranks have 4/3, 5/3 and 0 of the mean, and so on; two that remain 5/3 and 1/3 (below 3 elements: 2 and 0), one that remains 1.
std::vector<size_t> uneven_counts(size_t mean, int ranks) {
  const size_t third = mean / 3;
  std::vector<size_t> counts;
  int left = ranks;
  for (; left >= 3; left -= 3) counts.insert(counts.end(), {mean + third, 2 * mean - third, 0});
  if (left == 2) counts.insert(counts.end(), {2 * mean - third, third});
  if (left == 1) counts.push_back(mean);
  return counts;
}

// Block r has counts[select(r)], one after another.
template <class Select>
Blocks blocks(const std::vector<size_t>& counts, Select select) {
  Blocks result;
  for (int r = 0; r < static_cast<int>(counts.size()); ++r) {
    result.counts.push_back(counts[at(select(r))]);
    result.displs.push_back(result.total);
    result.total += result.counts.back();
  }
  return result;
}

Blocks uneven_blocks(size_t mean, int ranks) {
  return blocks(uneven_counts(mean, ranks), [](int r) { return r; });
}

// Rank `rank`'s row of the matrix of alltoallv's counts: every row is the one before, moved by one, so that all rows and columns have one
// sum.
Blocks sent_by(size_t mean, int rank, int ranks) {
  return blocks(uneven_counts(mean, ranks), [=](int to) { return (to - rank + ranks) % ranks; });
}

Blocks received_by(size_t mean, int rank, int ranks) {
  return blocks(uneven_counts(mean, ranks), [=](int from) { return (rank - from + ranks) % ranks; });
}

}  // namespace

Layout layout_barrier(size_t /*count*/, const Place& /*p*/) {
  return {};
}

Layout layout_all_reduce(size_t count, const Place& /*p*/) {
  return {.send_elems = count, .recv_elems = count, .expected = {{0, count, 0, Pattern::kReduction}}};
}

Layout layout_all_gather(size_t count, const Place& p) {
  return {.send_elems = count, .recv_elems = at(p.ranks) * count, .send_at = at(p.rank) * count, .expected = block_of_each(count, 0, p)};
}

Layout layout_reduce_scatter(size_t count, const Place& p) {
  const size_t mine = at(p.rank) * count;
  return {.send_elems = at(p.ranks) * count, .recv_elems = count, .recv_at = mine, .expected = {{0, count, mine, Pattern::kReduction}}};
}

Layout layout_broadcast(size_t count, const Place& p) {
  return {.send_elems = p.rank == p.root ? count : 0, .recv_elems = count, .expected = {{0, count, 0, p.root}}};
}

Layout layout_reduce(size_t count, const Place& p) {
  if (p.rank != p.root) return {.send_elems = count};
  return {.send_elems = count, .recv_elems = count, .expected = {{0, count, 0, Pattern::kReduction}}};
}

Layout layout_gather(size_t count, const Place& p) {
  if (p.rank != p.root) return {.send_elems = count};
  return layout_all_gather(count, p);
}

Layout layout_scatter(size_t count, const Place& p) {
  const size_t mine = at(p.rank) * count;
  const bool is_root = p.rank == p.root;
  return {.send_elems = is_root ? at(p.ranks) * count : 0,
          .recv_elems = count,
          .recv_at = is_root ? mine : 0,
          .expected = {{0, count, mine, p.root}}};
}

Layout layout_alltoall(size_t count, const Place& p) {
  const size_t all = at(p.ranks) * count;
  return {.send_elems = all, .recv_elems = all, .expected = block_of_each(count, at(p.rank) * count, p)};
}

Layout layout_sendrecv(size_t count, const Place& p) {
  return {.send_elems = count, .recv_elems = count, .expected = {{0, count, 0, (p.rank + p.ranks - 1) % p.ranks}}};
}

Layout layout_all_gather_v(size_t count, const Place& p) {
  const Blocks all = uneven_blocks(count, p.ranks);
  Layout layout{.send_elems = all.counts[at(p.rank)], .recv_elems = all.total, .recv_blocks = all};
  for (int r = 0; r < p.ranks; ++r) layout.expected.push_back({all.displs[at(r)], all.counts[at(r)], 0, r});
  return layout;
}

Layout layout_reduce_scatter_v(size_t count, const Place& p) {
  const Blocks all = uneven_blocks(count, p.ranks);
  const size_t mine = all.counts[at(p.rank)];
  return {.send_elems = all.total,
          .recv_elems = mine,
          .expected = {{0, mine, all.displs[at(p.rank)], Pattern::kReduction}},
          .send_blocks = all};
}

Layout layout_alltoallv(size_t count, const Place& p) {
  const Blocks sent = sent_by(count, p.rank, p.ranks), received = received_by(count, p.rank, p.ranks);
  Layout layout{.send_elems = sent.total, .recv_elems = received.total, .send_blocks = sent, .recv_blocks = received};
  for (int r = 0; r < p.ranks; ++r) {
    const size_t first_index = sent_by(count, r, p.ranks).displs[at(p.rank)];
    layout.expected.push_back({received.displs[at(r)], received.counts[at(r)], first_index, r});
  }
  return layout;
}

}  // namespace perf
