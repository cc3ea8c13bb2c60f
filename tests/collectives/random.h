// Random numbers that every rank draws alike from a seed, whatever the standard library.
// Threading: value types.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace tutti::test {

inline uint64_t mixed(uint64_t x) {  // splitmix64's finisher
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

inline uint64_t mixed(uint64_t a, uint64_t b) {
  return mixed(mixed(a + 0x9e3779b97f4a7c15u) ^ (b + 0x9e3779b97f4a7c15u));
}

class Random {
 public:
  explicit Random(uint64_t seed) : state_(mixed(seed)) {}

  uint64_t next() { return mixed(state_ += 0x9e3779b97f4a7c15u); }
  // 0 .. bound - 1.
  size_t below(size_t bound) { return static_cast<size_t>(next() % bound); }
  int below(int bound) { return static_cast<int>(next() % static_cast<uint64_t>(bound)); }
  bool one_in(uint64_t n) { return next() % n == 0; }
  template <class T>
  void shuffle(std::vector<T>& list) {
    for (size_t i = list.size(); i > 1; --i) std::swap(list[i - 1], list[below(i)]);
  }

 private:
  uint64_t state_;
};

}  // namespace tutti::test
