// Division of unsigned lanes by one number without a division (Granlund and Montgomery, "Division by invariant integers using
// multiplication", PLDI 1994, figure 4.1): with t = high half of x * magic, x / d = ((x - t) / 2 + t) >> shift. Exact for every x.
#pragma once

#include <cstdint>

namespace tutti {

// T: uint16_t, uint32_t or uint64_t, the lanes.
template <class T>
struct Divisor {
  T magic = 0;
  int shift = 0;
  bool beyond = false;  // d is more than a T holds: every quotient is 0

  // 2 <= d.
  explicit Divisor(uint32_t d) {
    constexpr int kBits = 8 * sizeof(T);
    if (kBits < 32 && d >> (kBits % 32) != 0) {
      beyond = true;
      return;
    }
    const int log = 32 - __builtin_clz(d - 1);  // of the least power of two that is not less than d
    const unsigned __int128 excess = (static_cast<unsigned __int128>(1) << log) - d;
    magic = static_cast<T>((excess << kBits) / d + 1);
    shift = log - 1;
  }
};

}  // namespace tutti
