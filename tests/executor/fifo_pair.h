// A FIFO on the heap with both its ends, and the hook that puts its counters anywhere.
// Threading: as the ends'.
#pragma once

#include <cstring>
#include <memory>
#include <vector>

#include "executor/fifo.h"

namespace tutti {

// Friend of both ends.
struct FifoTestAccess {
  // As if `count` messages had been sent and consumed, `count` a multiple of the slots. Call before the first message.
  static void fast_forward(std::byte* memory, FifoSender& sender, FifoReceiver& receiver, uint32_t count) {
    sender.sent_ = sender.consumed_ = receiver.received_ = count;
    std::memcpy(memory, &count, sizeof count);
    for (uint32_t slot = 0; slot < sender.shape_.slots; ++slot) {
      const uint64_t header = static_cast<uint16_t>(count - sender.shape_.slots + slot + 1);  // the last message that it held
      std::memcpy(memory + kLineBytes + slot * sender.stride_, &header, sizeof header);
    }
  }

  static uint32_t known_consumed(const FifoSender& sender) { return sender.consumed_; }
  static uint32_t outstanding(const FifoSender& sender) { return sender.sent_ - sender.consumed_; }
};

class FifoPair {
 public:
  explicit FifoPair(const FifoShape& shape)
      : memory_(static_cast<std::byte*>(::operator new (shape.bytes(), std::align_val_t{kLineBytes}))),
        shape_(shape),
        sender(memory_.get(), shape),
        receiver(memory_.get(), shape) {
    std::memset(memory_.get(), 0, shape.bytes());
  }

  std::byte* memory() const { return memory_.get(); }
  void fast_forward(uint32_t count) { FifoTestAccess::fast_forward(memory(), sender, receiver, count); }

 private:
  struct Free {
    void operator()(std::byte* p) const { ::operator delete (p, std::align_val_t{kLineBytes}); }
  };
  std::unique_ptr<std::byte, Free> memory_;
  FifoShape shape_;

 public:
  FifoSender sender;
  FifoReceiver receiver;
};

inline void put(FifoSender& sender, uint64_t value, uint16_t signature = 1) {
  std::memcpy(sender.payload(), &value, sizeof value);
  sender.post(signature, sizeof value);
}

inline uint64_t take(FifoReceiver& receiver) {
  uint64_t value = 0;
  std::memcpy(&value, receiver.payload(), sizeof value);
  receiver.release();
  return value;
}

}  // namespace tutti
