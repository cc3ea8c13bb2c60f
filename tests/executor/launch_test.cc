// How elements are cut: scale(), make_slicing(), and a launch's extents.
#include "executor/launch.h"

#include <gtest/gtest.h>

#include <numeric>

#include "plan/builder.h"

namespace tutti {
namespace {

using Wide = unsigned __int128;

TEST(Scale, IsExactUpToTheLargestSize) {
  const size_t elems[] = {0,          1,    2, 3, 7, 1000, (1u << 31) - 1, 1ull << 32, 1000000007ull, (1ull << 62) + 1, (1ull << 63) - 1,
                          1ull << 63, ~0ull};
  const uint32_t dens[] = {1, 2, 3, 5, 64, 97, 512, 1u << 20, (1u << 31) - 1, ~0u};
  for (const size_t e : elems) {
    for (const uint32_t den : dens) {
      for (const uint32_t num : {0u, 1u, den / 2, den - 1, den}) {
        EXPECT_EQ(scale(e, num, den), static_cast<size_t>(Wide{e} * num / den)) << e << " " << num << "/" << den;
      }
    }
  }
}

struct Fraction {
  uint32_t num, den;
};

constexpr Fraction kLargest[] = {{1, 1},  {1, 2},  {1, 3},   {2, 3},   {1, 7},    {5, 7},
                                 {1, 16}, {1, 64}, {63, 64}, {1, 128}, {1, 1000}, {999, 1000}};
constexpr size_t kCounts[] = {0, 1, 2, 3, 5, 7, 15, 16, 17, 31, 97, 100, 127, 128, 1000, 1009, 4096, 7919, 65536, 104729, 1000003};
constexpr size_t kCapacities[] = {1, 2, 3, 7, 16, 64, 1000, 1024, 4096, 16384};

// The most elements of a message of num/den blocks in a slice of `elems`, wherever in the block it begins.
size_t longest_message(size_t elems, const Fraction& largest) {
  return static_cast<size_t>((Wide{elems} * largest.num + largest.den - 1) / largest.den);
}

void expect_good_cut(size_t count, const Fraction& largest, size_t capacity) {
  SCOPED_TRACE(std::to_string(count) + " elements, largest " + std::to_string(largest.num) + "/" + std::to_string(largest.den) +
               ", capacity " + std::to_string(capacity));
  const Slicing cut = make_slicing(count, largest.num, largest.den, capacity);
  if (count == 0) {
    EXPECT_EQ(cut.slices, 0U);
    return;
  }
  ASSERT_GE(cut.slices, 1U);
  ASSERT_GE(cut.slice_elems, 1U);
  // All elements, each once, none of the slices empty.
  EXPECT_EQ(Wide{cut.slices - 1} * cut.slice_elems + cut.last_elems, Wide{count});
  EXPECT_GE(cut.last_elems, 1U);
  EXPECT_LE(cut.last_elems, cut.slice_elems);
  // No message is over capacity. Rounding up of a slice's fraction adds less than one element, and only a whole multiple adds none.
  EXPECT_LE(longest_message(cut.slice_elems, largest), capacity);
  EXPECT_LE(longest_message(cut.last_elems, largest), capacity);
}

TEST(MakeSlicing, CoversEveryElementOnceWithNoMessageOverCapacity) {
  for (const size_t count : kCounts) {
    for (const Fraction& largest : kLargest) {
      for (const size_t capacity : kCapacities) expect_good_cut(count, largest, capacity);
    }
  }
}

TEST(MakeSlicing, HugeCounts) {
  for (const size_t count : {size_t{1} << 31, (size_t{1} << 40) + 1, (size_t{1} << 62) - 1, (size_t{1} << 63) - 1}) {
    for (const Fraction& largest : kLargest) expect_good_cut(count, largest, 16384);
  }
}

TEST(MakeSlicing, WhatFitsIsOneSlice) {
  EXPECT_EQ(make_slicing(1000, 1, 1, 1000).slices, 1U);
  EXPECT_EQ(make_slicing(1001, 1, 1, 1000).slices, 2U);
  EXPECT_EQ(make_slicing(8000, 1, 8, 1000).slices, 1U);
  EXPECT_EQ(make_slicing(8001, 1, 8, 1000).slices, 2U);
}

TEST(MakeSlicing, SlicesAreNearlyEqual) {
  const Slicing cut = make_slicing(100000, 1, 8, 1024);  // 12.2 slots' worth
  EXPECT_EQ(cut.slices, 13U);
  EXPECT_GT(cut.last_elems, cut.slice_elems * 3 / 4);
}

// A ring-like program of every block fraction, and one that uses whole blocks of several.
Program sample_program(int nranks, uint32_t parts) {
  ProgramBuilder builder({.nranks = nranks}, {.channels = 1}, 0);
  auto channel = builder.channel(0);
  for (uint32_t part = 0; part < parts; ++part) channel.copy(input(part, part + 1, parts), output(part, part + 1, parts));
  builder.largest_message(1, parts);
  return builder.take();
}

std::unique_ptr<Launch> bound(const Program& program, uint32_t message_bytes) {
  auto launch = std::make_unique<Launch>();
  launch->program = &program;
  launch->message_bytes = message_bytes;
  for (const auto& list : program.channels) launch->channels.emplace_back(list.size());
  return launch;
}

// Marks what every slice of every instruction writes: each element exactly once.
TEST(Launch, ExtentsTileTheBlock) {
  for (const uint32_t parts : {1u, 2u, 3u, 7u, 16u, 100u}) {
    const Program program = sample_program(2, parts);
    const auto launch = bound(program, 64);
    for (const size_t count : {size_t{0}, size_t{1}, size_t{2}, size_t{5}, size_t{97}, size_t{1000}, size_t{4099}}) {
      launch->resolve(count, 4);
      std::vector<int> touched(count);
      for (size_t slice = 0; slice < launch->slicing.slices; ++slice) {
        for (const Step& step : launch->channels[0]) {
          const Extent& extent = slice + 1 == launch->slicing.slices ? step.last : step.full;
          EXPECT_LE(extent.elems * 4, 64U);
          EXPECT_EQ(extent.src, extent.dst);
          const size_t begin = extent.dst / 4 + slice * launch->slicing.slice_elems;
          ASSERT_LE(begin + extent.elems, count);
          for (size_t i = begin; i < begin + extent.elems; ++i) ++touched[i];
        }
      }
      for (size_t i = 0; i < count; ++i) ASSERT_EQ(touched[i], 1) << i << " of " << count << " in " << parts;
    }
  }
}

// Both ends of a message cut the same elements though the one reads a block of its output and the other writes a block of scratch.
TEST(Launch, BothEndsOfAMessageAgree) {
  ProgramBuilder builder({.nranks = 4}, {.channels = 1}, 0);
  auto channel = builder.channel(0);
  for (uint32_t part = 0; part < 6; ++part) channel.send(1, input(part, part + 1, 6));
  for (uint32_t part = 0; part < 6; ++part) channel.recv(1, scratch(12 + part, 13 + part, 6));
  const Program program = builder.take();
  const auto launch = bound(program, 256);
  for (size_t count = 0; count < 700; ++count) {
    launch->resolve(count, 4);
    for (size_t part = 0; part < 6; ++part) {
      const Step &send = launch->channels[0][part], &recv = launch->channels[0][6 + part];
      ASSERT_EQ(send.full.elems, recv.full.elems);
      ASSERT_EQ(send.last.elems, recv.last.elems);
      ASSERT_EQ(send.full.src + 2 * count * 4, recv.full.dst);
      ASSERT_EQ(send.last.src + 2 * count * 4, recv.last.dst);
    }
  }
}

// A region up to the very end of a block.
TEST(Launch, WholeBlocks) {
  ProgramBuilder builder({.nranks = 4}, {.channels = 1}, 0);
  builder.channel(0).copy(input(0, 1, 1), output(3, 4, 1));
  const Program program = builder.take();
  const auto launch = bound(program, 1 << 20);
  launch->resolve(10, 4);
  EXPECT_EQ(launch->channels[0][0].last.elems, 10U);
  EXPECT_EQ(launch->channels[0][0].last.src, 0U);
  EXPECT_EQ(launch->channels[0][0].last.dst, 30U * 4);
}

TEST(Launch, ResolvingAgainDoesNothing) {
  const Program program = sample_program(2, 4);
  const auto launch = bound(program, 64);
  launch->resolve(1000, 4);
  launch->channels[0][0].full.src = 12345;  // would be overwritten
  launch->resolve(1000, 4);
  EXPECT_EQ(launch->channels[0][0].full.src, 12345U);
  launch->resolve(1000, 8);
  EXPECT_EQ(launch->channels[0][0].full.src, 0U);
  launch->channels[0][0].full.src = 12345;
  launch->resolve(1001, 8);
  EXPECT_EQ(launch->channels[0][0].full.src, 0U);
}

}  // namespace
}  // namespace tutti
