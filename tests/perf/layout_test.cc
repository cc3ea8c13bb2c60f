// The reference of each collective: what it says about the ranks fits together.
#include "perf/layout.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "perf/collective.h"
#include "perf/pattern.h"

namespace perf {
namespace {

constexpr size_t kCount = 10;

class Layouts : public ::testing::TestWithParam<int> {};

// Each element of each output is expected once, and comes from inside an input.
TEST_P(Layouts, OutputsAreCoveredFromInsideInputs) {
  const int ranks = GetParam();
  for (const Collective& collective : collectives()) {
    for (int root = 0; root < (collective.rooted ? ranks : 1); ++root) {
      for (int rank = 0; rank < ranks; ++rank) {
        SCOPED_TRACE(std::string(collective.name) + " rank " + std::to_string(rank) + " root " + std::to_string(root));
        const Layout layout = collective.layout(kCount, {rank, ranks, root});
        size_t covered = 0;
        for (const Expectation& e : layout.expected) {
          EXPECT_EQ(e.offset, covered);
          covered += e.elems;
          EXPECT_EQ(e.source == Pattern::kReduction, collective.reduces);
          const int source = std::max(e.source, 0);
          EXPECT_LE(e.first_index + e.elems, collective.layout(kCount, {source, ranks, root}).send_elems);
        }
        EXPECT_EQ(covered, layout.recv_elems);
      }
    }
  }
}

TEST_P(Layouts, UnevenCountsAreOfTheMeanAndHaveZeros) {
  const int ranks = GetParam();
  for (const size_t count : {size_t{0}, size_t{1}, size_t{2}, kCount}) {
    const std::vector<size_t> counts = layout_all_gather_v(count, {0, ranks, 0}).recv_blocks.counts;
    size_t total = 0;
    for (const size_t one : counts) total += one;
    EXPECT_EQ(total, count * static_cast<size_t>(ranks));
    EXPECT_EQ(counts, layout_reduce_scatter_v(count, {ranks - 1, ranks, 0}).send_blocks.counts);
    const auto [least, most] = std::minmax_element(counts.begin(), counts.end());
    EXPECT_EQ(*least<*most, ranks> 1 && count > 0);
    EXPECT_EQ(*least == 0, ranks > 2 || count == 0 || (ranks == 2 && count < 3));
  }
}

TEST_P(Layouts, AllToAllVsCountsMeet) {
  const int ranks = GetParam();
  for (int from = 0; from < ranks; ++from) {
    const Layout sender = layout_alltoallv(kCount, {from, ranks, 0});
    EXPECT_EQ(sender.send_elems, kCount * static_cast<size_t>(ranks));
    EXPECT_EQ(sender.recv_elems, kCount * static_cast<size_t>(ranks));
    for (int to = 0; to < ranks; ++to) {
      const Layout receiver = layout_alltoallv(kCount, {to, ranks, 0});
      EXPECT_EQ(sender.send_blocks.counts[static_cast<size_t>(to)], receiver.recv_blocks.counts[static_cast<size_t>(from)]);
      EXPECT_EQ(sender.send_blocks.displs[static_cast<size_t>(to)], receiver.expected[static_cast<size_t>(from)].first_index);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Ranks, Layouts, ::testing::Values(1, 2, 3, 4, 5, 8));

// In place, input and output lie as include/tutti/tutti.h says.
TEST(Layout, InPlaceForms) {
  const Place place{1, 3, 1}, other{2, 3, 1};
  EXPECT_EQ(layout_all_gather(kCount, other).send_at, 20u);
  EXPECT_EQ(layout_reduce_scatter(kCount, other).recv_at, 20u);
  EXPECT_EQ(layout_gather(kCount, place).send_at, 10u);
  EXPECT_EQ(layout_gather(kCount, other).send_at, 0u);
  EXPECT_EQ(layout_scatter(kCount, place).recv_at, 10u);
  EXPECT_EQ(layout_scatter(kCount, other).recv_at, 0u);
  EXPECT_EQ(layout_scatter(kCount, place).in_place_elems(), 30u);
  EXPECT_EQ(layout_scatter(kCount, other).in_place_elems(), 10u);
}

}  // namespace
}  // namespace perf
