// A FIFO between two threads, streamed through by a million messages: ThreadSanitizer's view of fifo.h, and that nothing is lost.
#include <gtest/gtest.h>
#include <sched.h>

#include <thread>

#include "tests/executor/fifo_pair.h"

namespace tutti {
namespace {

constexpr FifoShape kInline = {.slots = 8, .capacity = 56, .payload_offset = 8};
constexpr FifoShape kStaged = {.slots = 4, .capacity = 128, .payload_offset = 64};
constexpr uint64_t kMessages = 1'000'000;

template <class End>
void wait_for(End& end) {
  while (!end.ready()) sched_yield();
}

// The payload's first and last words.
void put_both(FifoSender& sender, uint64_t value) {
  std::memcpy(sender.payload() + sender.capacity() - sizeof value, &value, sizeof value);
  put(sender, value, static_cast<uint16_t>(value));
}

// Whether the next message is `value`.
bool take_both(FifoReceiver& receiver, const FifoShape& shape, uint64_t value) {
  uint64_t last = 0;
  std::memcpy(&last, receiver.payload() + shape.capacity - sizeof last, sizeof last);
  const uint16_t signature = receiver.signature();
  return take(receiver) == value && last == value && signature == static_cast<uint16_t>(value);
}

void stream_one_way(const FifoShape& shape) {
  FifoPair fifo(shape);
  std::thread sender([&] {
    for (uint64_t i = 0; i < kMessages; ++i) {
      wait_for(fifo.sender);
      put_both(fifo.sender, i);
    }
  });
  uint64_t wrong = 0;
  for (uint64_t i = 0; i < kMessages; ++i) {
    wait_for(fifo.receiver);
    wrong += !take_both(fifo.receiver, shape, i);
  }
  sender.join();
  EXPECT_EQ(wrong, 0U);
  EXPECT_FALSE(fifo.receiver.ready());
}

TEST(FifoThreads, OneWayInline) {
  stream_one_way(kInline);
}
TEST(FifoThreads, OneWayStaged) {
  stream_one_way(kStaged);
}

// One rank of a pair with paired opposites: it sends `ahead` messages before it waits for as many.
void one_rank(FifoSender& out, FifoReceiver& in, const FifoShape& shape, uint64_t messages, uint64_t ahead, bool first) {
  uint64_t wrong = 0;
  for (uint64_t i = 0; i < messages; i += ahead) {
    for (int half = 0; half < 2; ++half) {
      const bool sends = (half == 0) == first;
      for (uint64_t j = 0; j < ahead; ++j) {
        if (sends) {
          wait_for(out);
          put_both(out, i + j);
        } else {
          wait_for(in);
          wrong += !take_both(in, shape, i + j);
        }
      }
    }
  }
  EXPECT_EQ(wrong, 0U);
}

void exchange(const FifoShape& shape, uint64_t messages, uint64_t ahead, bool both_first) {
  FifoPair up(shape), down(shape);
  pair_opposite(up.sender, down.receiver);
  pair_opposite(down.sender, up.receiver);
  std::thread upper([&] { one_rank(down.sender, up.receiver, shape, messages, ahead, both_first); });
  one_rank(up.sender, down.receiver, shape, messages, ahead, true);
  upper.join();
  EXPECT_FALSE(up.receiver.ready());
  EXPECT_FALSE(down.receiver.ready());
}

// Past the wrap of every 15- and 16-bit field.
TEST(FifoThreads, PingPongInline) {
  exchange(kInline, 100'000, 1, false);
}
TEST(FifoThreads, PingPongStaged) {
  exchange(kStaged, 100'000, 1, false);
}
TEST(FifoThreads, BurstsBothWaysInline) {
  exchange(kInline, kMessages, kInline.slots, true);
}
TEST(FifoThreads, BurstsBothWaysStaged) {
  exchange(kStaged, kMessages, kStaged.slots, true);
}
TEST(FifoThreads, BurstsTurnByTurn) {
  exchange(kInline, kMessages, 50, false);
}

}  // namespace
}  // namespace tutti
