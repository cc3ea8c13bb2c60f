// What the FIFOs of a communicator look like, by its size and its memory.
#include "comm/transports.h"

#include <gtest/gtest.h>

namespace tutti {
namespace {

// FIFOs between all ranks of a node: what a rank holds.
size_t mesh_bytes(int nranks, const FifoShapes& shapes) {
  return static_cast<size_t>(nranks - 1) * (shapes.inlined.bytes() + 2 * shapes.staged.bytes());
}

TEST(FifoShapesOf, AFewRanksHaveWhatIsConfigured) {
  Config config;
  config.transports = "shm,tcp";
  config.slots = 3;
  const FifoShapes shapes = fifo_shapes(8, config);
  EXPECT_EQ(shapes.staged.capacity, config.slot_bytes);
  EXPECT_EQ(shapes.staged.slots, 3U);
}

TEST(FifoShapesOf, ManyRanksKeepWithinTheBudget) {
  Config config;
  config.transports = "shm";
  for (const uint64_t budget : {uint64_t{64} << 20, uint64_t{256} << 20}) {
    config.memory_bytes = budget;
    for (const int nranks : {2, 100, 256, 1000}) {
      const FifoShapes shapes = fifo_shapes(nranks, config);
      EXPECT_GE(shapes.staged.capacity, 4096U);
      const bool least = shapes.staged.capacity == 4096;
      EXPECT_TRUE(least || mesh_bytes(nranks, shapes) <= budget) << nranks;
      FifoShapes next = shapes;  // no smaller than it has to be
      next.staged.capacity *= 2;
      EXPECT_TRUE(shapes.staged.capacity == config.slot_bytes || mesh_bytes(nranks, next) > budget) << nranks;
    }
  }
}

// Both ends' memory is counted where slots are carried; and what memory has no room for is not asked of it.
TEST(FifoShapesOf, ANetworksSlotsAreAsLargeAsMemoryAllows) {
  Config config;
  config.transports = "tcp";
  for (const auto& [nranks, factor] : {std::pair(2, 4U), std::pair(40, 4U), std::pair(100, 2U)}) {
    const auto made = make_transport(0, nranks, config, Key{}, std::make_shared<MemoryBudget>(config.memory_bytes));
    ASSERT_TRUE(made.ok()) << made.status().message();
    const FifoShapes& shapes = made.value()->shapes();
    EXPECT_EQ(shapes.staged.capacity, factor * config.slot_bytes) << nranks;
    EXPECT_LE(2 * mesh_bytes(nranks, shapes), config.memory_bytes) << nranks;
  }
}

TEST(FifoShapesOf, NoneIsSmallerThanTheLeastSlot) {
  Config config;
  config.transports = "shm,tcp";
  config.memory_bytes = 1 << 20;
  EXPECT_EQ(fifo_shapes(100'000, config).staged.capacity, 4096U);
}

}  // namespace
}  // namespace tutti
