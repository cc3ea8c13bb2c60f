// The ends of the FIFOs between this rank and one peer, each over memory of its own, and what the connection keeps beside them.
//
// Invariant: of an OutFifo, consumed <= carried <= posted <= consumed + slots; of an InFifo, credited <= consumed <= arrived <=
// credited + slots.
// Threading: as stated; the tables may be read from any thread, and grow under their mutex.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>

#include "executor/transport.h"
#include "transports/tcp/wire.h"

namespace tutti::tcp {

class Connection;

// Zeroed pages, none of them taken before it is touched. Move-only.
class LocalMemory {
 public:
  LocalMemory() = default;
  LocalMemory(LocalMemory&& other) noexcept : data_(std::exchange(other.data_, nullptr)), bytes_(other.bytes_) {}
  LocalMemory& operator=(LocalMemory&&) = delete;
  ~LocalMemory();
  static Result<LocalMemory> allocate(size_t bytes);
  std::byte* data() const { return data_; }

 private:
  LocalMemory(std::byte* data, size_t bytes) : data_(data), bytes_(bytes) {}
  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

// What this rank sends.
class OutFifo final : public Carrier {
 public:
  // `via`: nullptr where the peer has gone: what is posted leads nowhere.
  OutFifo(const FifoKey& fifo_key, const FifoShape& shape, LocalMemory memory, Connection* via)
      : key(fifo_key), end(memory.data(), shape, this), memory_(std::move(memory)), via_(via) {}

  // The reader's thread: the peer has consumed `count` messages in all. What is older than what is known, or more than was posted, changes
  // nothing.
  void credit(uint32_t count);

  void posted(const std::byte* payload, uint32_t bytes, uint16_t signature) override;
  void released() override {}

  const FifoKey key;
  FifoSender end;

 private:
  LocalMemory memory_;
  // By the end's thread, read by credit(). Relaxed: the peer consumes a message after it was posted, and the connection's mutex was taken
  // to send it and to read of it.
  std::atomic<uint32_t> posted_{0};
  Connection* via_;
};

// What this rank receives.
class InFifo final : public Carrier {
 public:
  InFifo(const FifoKey& fifo_key, const FifoShape& fifo_shape, LocalMemory memory)
      : key(fifo_key), shape(fifo_shape), end(memory.data(), fifo_shape, this), memory_(std::move(memory)) {}

  void posted(const std::byte*, uint32_t, uint16_t) override {}
  void released() override;

  // Pairs with FifoReceiver::release.
  uint32_t consumed() const { return std::atomic_ref(*reinterpret_cast<uint32_t*>(memory_.data())).load(std::memory_order_acquire); }
  std::byte* next_payload() const { return next_slot() + shape.payload_offset; }
  void publish(uint16_t signature);

  const FifoKey key;
  const FifoShape shape;
  FifoReceiver end;
  // Where its messages come from; set at the first, before that is published. Relaxed: who released a message has seen its publication.
  std::atomic<Connection*> from{nullptr};
  // Guarded by the mutex of `from`.
  uint32_t arrived = 0;
  uint32_t credited = 0;

 private:
  std::byte* next_slot() const { return memory_.data() + kLineBytes + next_slot_ * shape.stride(); }
  LocalMemory memory_;
  uint32_t next_slot_ = 0;  // of what arrives; guarded as `arrived`
};

class FifoTable {
 public:
  FifoTable(const FifoShapes& shapes, std::shared_ptr<MemoryBudget> budget) : shapes_(shapes), budget_(std::move(budget)) {}
  ~FifoTable();

  // nullptr: not made yet.
  OutFifo* out(const FifoKey& key) const { return outs_[index(key)].load(std::memory_order_acquire); }
  InFifo* in(const FifoKey& key) const { return ins_[index(key)].load(std::memory_order_acquire); }
  // Made where there is none. Errors: kSystem (no memory, or the budget).
  Result<OutFifo*> make_out(const FifoKey& key, Connection* via);
  Result<InFifo*> make_in(const FifoKey& key);

 private:
  static size_t index(const FifoKey& key) { return static_cast<size_t>(key.channel) * 2 + (key.protocol == Protocol::kInline ? 1 : 0); }

  Result<LocalMemory> memory_for(Protocol protocol);

  FifoShapes shapes_;
  std::shared_ptr<MemoryBudget> budget_;  // shared_ptr: the communicator's transports have one
  std::mutex mutex_;
  // Release under the mutex, acquire by readers: the FIFO is whole.
  std::array<std::atomic<OutFifo*>, 2 * kFifoChannels> outs_{};
  std::array<std::atomic<InFifo*>, 2 * kFifoChannels> ins_{};
};

}  // namespace tutti::tcp
