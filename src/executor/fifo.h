// A connection: a FIFO of slots with credits, in memory that both ends touch. One sender, one receiver.
//
// Memory: one line with the receiver's count of consumed messages, then the slots. A slot starts with a header word
//   [ sequence number : 16 | credit : 31, has credit : 1 | signature : 16 ]   (low bits first)
// whose store publishes the slot. The payload follows at `payload_offset`: 8 (inline protocol: a small message and its flag
// are one cache line, one transfer) or 64 (staged protocol: aligned payload). The header carries back, piggy-backed, how many messages
// of the opposite FIFO its sender has consumed, so that a two-way exchange never reads the credit line. A header may lie unread while
// gigabytes pass the other way, so the count has to be long; the sequence number only tells a slot's message from the one before it.
//
// Invariant: 0 <= sent - consumed <= slots. Sequence numbers start at 1 and wrap; memory starts zeroed.
// Ordering: (1) header: release store by the sender, acquire load by the receiver: orders the payload. (2) consumed count: release store
// by the receiver, acquire load by the sender: the slot is read before it is written again; a piggy-backed count travels under (1), whose
// release covers the same reads. No fences.
// Threading: each end belongs to one thread at a time.
//
// Where the far side cannot be mapped (tcp), each rank has memory of its own for its end, and a Carrier hears what the end did: it takes
// posted slots across, and brings credits back into the line of consumed messages.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace tutti {

inline constexpr size_t kLineBytes = 64;

struct FifoShape {
  uint32_t slots = 0;
  uint32_t capacity = 0;  // payload bytes of a slot
  uint32_t payload_offset = 0;

  size_t stride() const { return (payload_offset + capacity + kLineBytes - 1) / kLineBytes * kLineBytes; }
  size_t bytes() const { return kLineBytes + slots * stride(); }
  bool operator==(const FifoShape&) const = default;
};

inline constexpr uint32_t kHasCredit = 0x8000'0000;  // in the header's credit field, above the count's low 31 bits

// What moves slots and credits between the two ends' memories. Called by the thread that uses the end, right after the act. It may try the
// kernel, and never waits.
class Carrier {
 public:
  // `payload`: the slot's, untouched until the credit for it has come.
  virtual void posted(const std::byte* payload, uint32_t bytes, uint16_t signature) = 0;
  virtual void released() = 0;

 protected:
  ~Carrier() = default;
};

class FifoReceiver;
struct FifoTestAccess;  // tests/executor/fifo_pair.h: sets counters near their wraps

class FifoSender {
 public:
  FifoSender() = default;
  // `carrier`: nullptr where both ends touch this memory; else it outlives the end.
  FifoSender(std::byte* memory, const FifoShape& shape, Carrier* carrier = nullptr)
      : memory_(memory), shape_(shape), stride_(shape.stride()), slot_(first_slot()), carrier_(carrier) {}

  uint32_t capacity() const { return shape_.capacity; }

  // Whether a slot is free.
  bool ready() {
    if (sent_ - consumed_ < shape_.slots) return true;
    // Pairs with FifoReceiver::release.
    consumed_ = consumed_word().load(std::memory_order_acquire);
    return sent_ - consumed_ < shape_.slots;
  }

  // The free slot's payload. Precondition: ready().
  std::byte* payload() const { return slot_ + shape_.payload_offset; }

  // Publishes the slot, of which `bytes` were written, and moves to the next.
  void post(uint16_t signature, uint32_t bytes);

 private:
  friend class FifoReceiver;
  friend struct FifoTestAccess;
  friend void pair_opposite(FifoSender& sender, FifoReceiver& receiver);

  std::byte* first_slot() const { return memory_ + kLineBytes; }
  std::atomic_ref<uint32_t> consumed_word() const { return std::atomic_ref(*reinterpret_cast<uint32_t*>(memory_)); }

  // An older count than what is known already looks like a gain of nearly 2^31, more than can be outstanding.
  void credit(uint32_t field) {
    if ((field & kHasCredit) == 0) return;
    const uint32_t gained = (field - consumed_) & (kHasCredit - 1);
    if (gained <= sent_ - consumed_) consumed_ += gained;
  }

  std::byte* memory_ = nullptr;
  FifoShape shape_;
  size_t stride_ = 0;
  std::byte* slot_ = nullptr;
  uint32_t next_slot_ = 0;
  uint32_t sent_ = 0;
  uint32_t consumed_ = 0;                   // as far as known here
  const FifoReceiver* opposite_ = nullptr;  // whose count post() carries back
  Carrier* carrier_ = nullptr;
};

class FifoReceiver {
 public:
  FifoReceiver() = default;
  FifoReceiver(std::byte* memory, const FifoShape& shape, Carrier* carrier = nullptr)
      : memory_(memory), shape_(shape), stride_(shape.stride()), slot_(memory + kLineBytes), carrier_(carrier) {}

  // Whether the next message is there.
  bool ready() {
    // Pairs with FifoSender::post.
    header_ = header_word().load(std::memory_order_acquire);
    return static_cast<uint16_t>(header_) == static_cast<uint16_t>(received_ + 1);
  }

  // Precondition of all three: ready().
  const std::byte* payload() const { return slot_ + shape_.payload_offset; }
  uint16_t signature() const { return static_cast<uint16_t>(header_ >> 48); }
  void release();

  uint32_t received() const { return received_; }

 private:
  friend struct FifoTestAccess;
  friend void pair_opposite(FifoSender& sender, FifoReceiver& receiver);

  std::atomic_ref<uint64_t> header_word() const { return std::atomic_ref(*reinterpret_cast<uint64_t*>(slot_)); }

  std::byte* memory_ = nullptr;
  FifoShape shape_;
  size_t stride_ = 0;
  std::byte* slot_ = nullptr;
  uint32_t next_slot_ = 0;
  uint32_t received_ = 0;
  uint64_t header_ = 0;
  FifoSender* opposite_ = nullptr;  // to whom arriving headers give credit
  Carrier* carrier_ = nullptr;
};

// Joins the two opposite FIFOs of a pair of ranks, so that each carries the other's credits. Both ranks need not do it: a header that
// carries nothing new changes nothing, and one that nobody reads costs nothing.
inline void pair_opposite(FifoSender& sender, FifoReceiver& receiver) {
  sender.opposite_ = &receiver;
  receiver.opposite_ = &sender;
}

inline void FifoSender::post(uint16_t signature, uint32_t bytes) {
  ++sent_;
  const uint64_t credit_field = opposite_ != nullptr ? (opposite_->received() & (kHasCredit - 1)) | kHasCredit : 0;
  const uint64_t header = static_cast<uint16_t>(sent_) | credit_field << 16 | uint64_t{signature} << 48;
  // Pairs with FifoReceiver::ready: payload before header.
  std::atomic_ref(*reinterpret_cast<uint64_t*>(slot_)).store(header, std::memory_order_release);
  const std::byte* const posted = payload();
  const bool wraps = ++next_slot_ == shape_.slots;
  next_slot_ = wraps ? 0 : next_slot_;
  slot_ = wraps ? first_slot() : slot_ + stride_;
  if (carrier_ != nullptr) carrier_->posted(posted, bytes, signature);
}

inline void FifoReceiver::release() {
  if (opposite_ != nullptr) opposite_->credit(static_cast<uint32_t>(header_ >> 16));
  ++received_;
  // Pairs with FifoSender::ready: the slot was read before it is free.
  std::atomic_ref(*reinterpret_cast<uint32_t*>(memory_)).store(received_, std::memory_order_release);
  const bool wraps = ++next_slot_ == shape_.slots;
  next_slot_ = wraps ? 0 : next_slot_;
  slot_ = wraps ? memory_ + kLineBytes : slot_ + stride_;
  if (carrier_ != nullptr) carrier_->released();
}

}  // namespace tutti
