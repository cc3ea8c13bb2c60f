// A hash map from 64-bit keys to 32-bit values for the verifier's inner loops: open addressing, and a clear() that costs only what was
// inserted, because the symbolic check clears it once per atom.
// Invariant: at least half of the slots are free, so every probe ends. Threading: one thread an object.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace tutti {

class FlatMap {
 public:
  static constexpr uint32_t kAbsent = 0xffffffffu;  // never a stored value

  FlatMap() : slots_(kFirstSlots) {}

  size_t size() const { return used_.size(); }

  uint32_t find(uint64_t key) const { return slots_[slot_of(key)].value; }

  // The value of `key`, which is `initial` where the key is new. The reference holds until the next call.
  uint32_t& get_or_insert(uint64_t key, uint32_t initial) {
    if (2 * (used_.size() + 1) > slots_.size()) grow();
    const size_t slot = slot_of(key);
    if (slots_[slot].value == kAbsent) {
      slots_[slot] = {key, initial};
      used_.push_back(static_cast<uint32_t>(slot));
    }
    return slots_[slot].value;
  }

  void clear() {
    for (const uint32_t slot : used_) slots_[slot].value = kAbsent;
    used_.clear();
  }

 private:
  static constexpr size_t kFirstSlots = 64;  // a power of two

  struct Slot {
    uint64_t key = 0;
    uint32_t value = kAbsent;
  };

  size_t slot_of(uint64_t key) const {
    const size_t mask = slots_.size() - 1;
    // Fibonacci hashing; the high half is the well-mixed one.
    size_t slot = ((key * 0x9e3779b97f4a7c15u) >> 32) & mask;
    while (slots_[slot].value != kAbsent && slots_[slot].key != key) slot = (slot + 1) & mask;
    return slot;
  }

  void grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    std::vector<uint32_t> old_used;
    old_used.swap(used_);
    used_.reserve(old_used.size() * 2);
    for (const uint32_t from : old_used) {
      const size_t to = slot_of(old[from].key);
      slots_[to] = old[from];
      used_.push_back(static_cast<uint32_t>(to));
    }
  }

  std::vector<Slot> slots_;
  std::vector<uint32_t> used_;
};

}  // namespace tutti
