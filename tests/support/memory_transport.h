// The simplest Transport: FIFOs on the heap, between ranks of one process. All ranks belong to one MemoryWorld, which must outlive them.
// Nobody hears of a death; a farewell is known at once.
// Threading: as Transport; ranks may be driven by different threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <tuple>
#include <vector>

#include "executor/transport.h"

namespace tutti {

class MemoryWorld {
 public:
  MemoryWorld(int nranks, const FifoShapes& shapes) : shapes_(shapes), states_(static_cast<size_t>(nranks)) {
    for (int rank = 0; rank < nranks; ++rank) ranks_.push_back(std::make_unique<Rank>(*this, rank));
  }

  int nranks() const { return static_cast<int>(ranks_.size()); }
  Transport& transport(int rank) { return *ranks_[static_cast<size_t>(rank)]; }

 private:
  struct Free {
    void operator()(std::byte* p) const { ::operator delete (p, std::align_val_t{kLineBytes}); }
  };
  using Memory = std::unique_ptr<std::byte, Free>;

  class Rank final : public Transport {
   public:
    Rank(MemoryWorld& world, int rank) : world_(world), rank_(rank) {}
    const char* name() const override { return "memory"; }
    uint32_t abilities() const override { return kAbilityMapped | kAbilityInline; }
    const FifoShapes& shapes() const override { return world_.shapes_; }
    std::span<const std::byte> address() const override { return {}; }
    Status introduce(std::vector<std::vector<std::byte>>) override { return {}; }

    Result<FifoSender*> sender(const FifoKey& key, double) override {
      const auto [found, fresh] = senders_.try_emplace(key);
      if (fresh) found->second = FifoSender(world_.memory(rank_, key.peer, key), shapes().of(key.protocol));
      if (fresh) pair_up(key);
      return &found->second;
    }
    Result<FifoReceiver*> receiver(const FifoKey& key, double) override {
      const auto [found, fresh] = receivers_.try_emplace(key);
      if (fresh) found->second = FifoReceiver(world_.memory(key.peer, rank_, key), shapes().of(key.protocol));
      if (fresh) pair_up(key);
      return &found->second;
    }

    PeerState peer_state(int peer) const override { return world_.states_[static_cast<size_t>(peer)].load(); }
    void farewell(PeerState state) override { world_.states_[static_cast<size_t>(rank_)] = state; }

   private:
    void pair_up(const FifoKey& key) {
      if (senders_.contains(key) && receivers_.contains(key)) pair_opposite(senders_[key], receivers_[key]);
    }

    MemoryWorld& world_;
    int rank_;
    std::map<FifoKey, FifoSender> senders_;
    std::map<FifoKey, FifoReceiver> receivers_;
  };

  std::byte* memory(int from, int to, const FifoKey& key) {
    std::lock_guard lock(mutex_);
    Memory& memory = memory_[{from, to, key.channel, key.protocol}];
    if (!memory) {
      const size_t bytes = shapes_.of(key.protocol).bytes();
      memory.reset(static_cast<std::byte*>(::operator new (bytes, std::align_val_t{kLineBytes})));
      std::fill_n(memory.get(), bytes, std::byte{0});
    }
    return memory.get();
  }

  FifoShapes shapes_;
  std::mutex mutex_;
  std::map<std::tuple<int, int, int, Protocol>, Memory> memory_;
  std::vector<std::atomic<PeerState>> states_;
  std::vector<std::unique_ptr<Rank>> ranks_;
};

}  // namespace tutti
