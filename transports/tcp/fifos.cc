#include "transports/tcp/fifos.h"

#include <sys/mman.h>

#include <cerrno>

#include "transports/tcp/connection.h"

namespace tutti::tcp {

LocalMemory::~LocalMemory() {
  if (data_ != nullptr) munmap(data_, bytes_);
}

Result<LocalMemory> LocalMemory::allocate(size_t bytes) {
  void* const data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) return system_error("allocate " + std::to_string(bytes) + " bytes for a FIFO", errno);
  return LocalMemory(static_cast<std::byte*>(data), bytes);
}

void OutFifo::credit(uint32_t count) {
  const std::atomic_ref word(*reinterpret_cast<uint32_t*>(memory_.data()));
  // Pairs with FifoSender::ready: the slot has been sent before it is written again. Two readers may bring credits at once.
  uint32_t known = word.load(std::memory_order_relaxed);
  const uint32_t posted = posted_.load(std::memory_order_relaxed);
  while (count - known - 1 < posted - known &&
         !word.compare_exchange_weak(known, count, std::memory_order_release, std::memory_order_relaxed)) {
  }
}

void OutFifo::posted(const std::byte* payload, uint32_t bytes, uint16_t signature) {
  posted_.store(posted_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  if (via_ != nullptr) via_->post(*this, payload, bytes, signature);
}

void InFifo::released() {
  if (Connection* const connection = from.load(std::memory_order_relaxed)) connection->released(*this);
}

void InFifo::publish(uint16_t signature) {
  std::byte* const slot = next_slot();
  ++arrived;
  next_slot_ = next_slot_ + 1 == shape.slots ? 0 : next_slot_ + 1;
  // As FifoSender::post. Pairs with FifoReceiver::ready: payload before header.
  const uint64_t header = static_cast<uint16_t>(arrived) | uint64_t{signature} << 48;
  std::atomic_ref(*reinterpret_cast<uint64_t*>(slot)).store(header, std::memory_order_release);
}

FifoTable::~FifoTable() {
  for (auto& out : outs_) delete out.load(std::memory_order_relaxed);
  for (auto& in : ins_) delete in.load(std::memory_order_relaxed);
}

Result<LocalMemory> FifoTable::memory_for(Protocol protocol) {
  const size_t bytes = shapes_.of(protocol).bytes();
  if (Status status = budget_->take(bytes); !status.ok()) return status;
  return LocalMemory::allocate(bytes);
}

Result<OutFifo*> FifoTable::make_out(const FifoKey& key, Connection* via) {
  std::lock_guard lock(mutex_);
  if (OutFifo* const found = out(key)) return found;
  Result<LocalMemory> memory = memory_for(key.protocol);
  if (!memory.ok()) return memory.status();
  auto* const made = new OutFifo(key, shapes_.of(key.protocol), std::move(*memory), via);
  outs_[index(key)].store(made, std::memory_order_release);
  return made;
}

Result<InFifo*> FifoTable::make_in(const FifoKey& key) {
  std::lock_guard lock(mutex_);
  if (InFifo* const found = in(key)) return found;
  Result<LocalMemory> memory = memory_for(key.protocol);
  if (!memory.ok()) return memory.status();
  auto* const made = new InFifo(key, shapes_.of(key.protocol), std::move(*memory));
  ins_[index(key)].store(made, std::memory_order_release);
  return made;
}

}  // namespace tutti::tcp
