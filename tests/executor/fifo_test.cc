// One FIFO, both ends in one thread: order, credits, slots and counters that wrap, credits carried back by the opposite FIFO.
#include "executor/fifo.h"

#include <gtest/gtest.h>

#include "tests/executor/fifo_pair.h"

namespace tutti {
namespace {

constexpr FifoShape kInline = {.slots = 8, .capacity = 200, .payload_offset = 8};
constexpr FifoShape kStaged = {.slots = 3, .capacity = 1000, .payload_offset = 64};

TEST(FifoShape, StridesAreWholeLines) {
  EXPECT_EQ(kInline.stride(), 256U);
  EXPECT_EQ(kStaged.stride(), 1088U);
  EXPECT_EQ((FifoShape{.slots = 1, .capacity = 56, .payload_offset = 8}).stride(), 64U);
  EXPECT_EQ((FifoShape{.slots = 1, .capacity = 57, .payload_offset = 8}).stride(), 128U);
  EXPECT_EQ(kInline.bytes(), 64U + 8 * 256);
  EXPECT_EQ(kStaged.bytes(), 64U + 3 * 1088);
}

TEST(Fifo, InlinePayloadSharesTheHeadersLineAndStagedIsAligned) {
  const FifoPair inlined(kInline), staged(kStaged);
  EXPECT_EQ(inlined.sender.payload() - inlined.memory(), 64 + 8);
  EXPECT_EQ(inlined.receiver.payload() - inlined.memory(), 64 + 8);
  EXPECT_EQ(staged.sender.payload() - staged.memory(), 64 + 64);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(staged.receiver.payload()) % kLineBytes, 0U);
  EXPECT_EQ(staged.sender.capacity(), 1000U);
}

TEST(Fifo, SlotsDoNotOverlapAndStayInTheMemory) {
  for (const FifoShape& shape : {kInline, kStaged}) {
    FifoPair fifo(shape);
    std::byte* previous_end = fifo.memory() + kLineBytes;
    for (uint32_t slot = 0; slot < shape.slots; ++slot) {
      EXPECT_GE(fifo.sender.payload(), previous_end + sizeof(uint64_t));
      std::memset(fifo.sender.payload(), 0xff, shape.capacity);
      previous_end = fifo.sender.payload() + shape.capacity;
      fifo.sender.post(1, 0);
    }
    EXPECT_LE(previous_end, fifo.memory() + shape.bytes());
    for (uint32_t slot = 0; slot < shape.slots; ++slot) {
      ASSERT_TRUE(fifo.receiver.ready());  // no payload ran over a header
      fifo.receiver.release();
    }
  }
}

TEST(Fifo, NothingIsReadyAtFirst) {
  FifoPair fifo(kStaged);
  EXPECT_TRUE(fifo.sender.ready());
  EXPECT_FALSE(fifo.receiver.ready());
}

TEST(Fifo, MessagesArriveInOrderWithTheirSignatures) {
  FifoPair fifo(kStaged);
  uint64_t received = 0;
  for (uint64_t sent = 0; sent < 1000;) {
    for (uint64_t burst = 0; burst <= sent % kStaged.slots; ++burst, ++sent) {
      ASSERT_TRUE(fifo.sender.ready());
      put(fifo.sender, sent, static_cast<uint16_t>(sent * 257));
    }
    for (; received < sent; ++received) {
      ASSERT_TRUE(fifo.receiver.ready());
      EXPECT_EQ(fifo.receiver.signature(), static_cast<uint16_t>(received * 257));
      ASSERT_EQ(take(fifo.receiver), received);
    }
    ASSERT_FALSE(fifo.receiver.ready());
  }
}

TEST(Fifo, EverySignatureTravels) {
  FifoPair fifo(kInline);
  for (uint32_t signature = 0; signature <= 0xffff; ++signature) {
    ASSERT_TRUE(fifo.sender.ready());
    fifo.sender.post(static_cast<uint16_t>(signature), 0);
    ASSERT_TRUE(fifo.receiver.ready());
    ASSERT_EQ(fifo.receiver.signature(), signature);
    fifo.receiver.release();
  }
}

TEST(Fifo, CreditsRunOutAndComeBackOneByOne) {
  for (const FifoShape& shape : {kInline, kStaged, FifoShape{.slots = 1, .capacity = 8, .payload_offset = 8}}) {
    FifoPair fifo(shape);
    for (uint32_t i = 0; i < shape.slots; ++i) {
      ASSERT_TRUE(fifo.sender.ready());
      put(fifo.sender, i);
    }
    EXPECT_FALSE(fifo.sender.ready());
    for (uint32_t i = 0; i < 3 * shape.slots; ++i) {
      ASSERT_TRUE(fifo.receiver.ready());
      EXPECT_FALSE(fifo.sender.ready());  // it was only looked at
      EXPECT_EQ(take(fifo.receiver), i);
      EXPECT_TRUE(fifo.sender.ready());
      put(fifo.sender, i + shape.slots);
      EXPECT_FALSE(fifo.sender.ready());
    }
  }
}

// Counters of messages wrap; slots whose number divides no power of two keep their place.
TEST(Fifo, CountersWrap) {
  for (const FifoShape& shape : {kInline, kStaged}) {
    for (const uint64_t wrap : {uint64_t{1} << 15, uint64_t{1} << 16, uint64_t{1} << 31, uint64_t{1} << 32}) {
      FifoPair fifo(shape);
      const auto before = static_cast<uint32_t>((wrap - 1) / shape.slots * shape.slots);
      fifo.fast_forward(before);
      EXPECT_FALSE(fifo.receiver.ready());
      uint64_t received = 0;
      for (uint64_t sent = 0; sent < 50; ++sent) {
        while (fifo.sender.ready() && FifoTestAccess::outstanding(fifo.sender) < shape.slots) put(fifo.sender, sent++);
        --sent;
        EXPECT_FALSE(fifo.sender.ready());
        ASSERT_TRUE(fifo.receiver.ready());
        ASSERT_EQ(take(fifo.receiver), received++);
      }
    }
  }
}

// Two ends of two opposite FIFOs, as the two ranks hold them.
struct Duplex {
  explicit Duplex(const FifoShape& shape) : up(shape), down(shape) {
    pair_opposite(up.sender, down.receiver);  // the lower rank's ends
    pair_opposite(down.sender, up.receiver);  // the upper rank's
  }
  FifoPair up, down;
};

TEST(PiggyBack, AnArrivingMessageBringsTheCredits) {
  Duplex d(kStaged);
  put(d.up.sender, 1);
  put(d.up.sender, 2);
  ASSERT_TRUE(d.up.receiver.ready());
  take(d.up.receiver);
  EXPECT_EQ(FifoTestAccess::known_consumed(d.up.sender), 0U);
  put(d.down.sender, 3);
  ASSERT_TRUE(d.down.receiver.ready());
  take(d.down.receiver);
  EXPECT_EQ(FifoTestAccess::known_consumed(d.up.sender), 1U);
}

TEST(PiggyBack, OneSideAloneMayBePaired) {
  FifoPair up(kStaged), down(kStaged);
  pair_opposite(up.sender, down.receiver);  // the upper rank has not: its headers carry nothing
  for (uint64_t i = 0; i < 100; ++i) {
    ASSERT_TRUE(up.sender.ready());
    put(up.sender, i);
    ASSERT_TRUE(up.receiver.ready());
    ASSERT_EQ(take(up.receiver), i);
    ASSERT_TRUE(down.sender.ready());
    put(down.sender, i);
    ASSERT_TRUE(down.receiver.ready());
    ASSERT_EQ(take(down.receiver), i);
  }
  // What the unpaired rank sent carried nothing: all that is known was read from the credit line, when the slots had run out.
  EXPECT_EQ(FifoTestAccess::known_consumed(up.sender), 99U);
}

// Ping-pong over the wraps of the credit field and of the counters: the sender never learns too much or too little.
TEST(PiggyBack, CreditsWrap) {
  for (const uint64_t wrap : {uint64_t{1} << 15, uint64_t{1} << 16, uint64_t{1} << 31, uint64_t{1} << 32}) {
    Duplex d(kStaged);
    const auto before = static_cast<uint32_t>((wrap - 1) / kStaged.slots * kStaged.slots);
    d.up.fast_forward(before);
    d.down.fast_forward(before);
    for (uint32_t i = 1; i <= 20; ++i) {
      put(d.up.sender, i);
      ASSERT_TRUE(d.up.receiver.ready());
      ASSERT_EQ(take(d.up.receiver), i);
      put(d.down.sender, i);
      ASSERT_TRUE(d.down.receiver.ready());
      ASSERT_EQ(take(d.down.receiver), i);
      EXPECT_EQ(FifoTestAccess::known_consumed(d.up.sender), before + i);
      EXPECT_EQ(FifoTestAccess::outstanding(d.up.sender), 0U);
    }
  }
}

// The upper rank's message waits unread while `later` messages go up and are known to be consumed; then `unread` more are sent. Its
// old count must give no credit for those.
void expect_no_credit_from_an_old_count(uint32_t later, uint32_t unread) {
  Duplex d(kInline);
  put(d.down.sender, 0);
  for (uint32_t i = 0; i < later; ++i) {
    ASSERT_TRUE(d.up.sender.ready());
    put(d.up.sender, i);
    ASSERT_TRUE(d.up.receiver.ready());
    take(d.up.receiver);
    while (FifoTestAccess::outstanding(d.up.sender) == kInline.slots) ASSERT_TRUE(d.up.sender.ready());
  }
  const uint32_t known = FifoTestAccess::known_consumed(d.up.sender);
  const uint32_t sent = known + FifoTestAccess::outstanding(d.up.sender);
  uint32_t free = kInline.slots - (sent - known);
  for (uint32_t i = 0; i < std::min(unread, free); ++i) put(d.up.sender, i);
  ASSERT_TRUE(d.down.receiver.ready());
  take(d.down.receiver);
  EXPECT_EQ(FifoTestAccess::known_consumed(d.up.sender), known) << later << " messages later";
}

TEST(PiggyBack, AnOldCountGivesNothing) {
  for (const uint32_t later : {0U, 1U, 8U, 100U, 5000U}) expect_no_credit_from_an_old_count(later, 4);
}

// However old: a rank may send gigabytes before it looks at what arrived meanwhile.
TEST(PiggyBack, AVeryOldCountGivesNothing) {
  for (uint32_t later = (1U << 15) - 20; later < (1U << 15) + 20; ++later) expect_no_credit_from_an_old_count(later, 4);
  for (uint32_t later = (1U << 16) - 20; later < (1U << 16) + 20; later += 3) expect_no_credit_from_an_old_count(later, 4);
}

}  // namespace
}  // namespace tutti
