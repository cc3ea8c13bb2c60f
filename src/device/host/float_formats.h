// The 16- and 8-bit floats, one element at a time, without the CPU's help: exact widening to float32, rounding to nearest even from it.
// For scalars of an Arithmetic, and for the plain C++ kernels.
#pragma once

#include <bit>
#include <cstdint>

namespace tutti {

// A binary format of kExponentBits and kMantissaBits. kLastNumber: the last magnitude that is not NaN. kSaturates: it is finite, and takes
// the place of infinity.
template <class LaneType, int kExponentBits, int kMantissaBits, LaneType kLast, LaneType kQuietNaN, bool kSaturates>
struct FloatFormat {
  using Lane = LaneType;
  static constexpr Lane kLastNumber = kLast;
  static constexpr Lane kNaN = kQuietNaN;
  static constexpr Lane kSign = static_cast<Lane>(1 << (kExponentBits + kMantissaBits));
  static constexpr int kBias = (1 << (kExponentBits - 1)) - 1;
  static constexpr int kShift = 23 - kMantissaBits;  // between the two formats' mantissas

  static float widen(Lane bits) {
    const uint32_t magnitude = bits & (kSign - 1u);
    const uint32_t sign = (bits & kSign) != 0 ? 0x80000000u : 0;
    if (magnitude > kLastNumber) return std::bit_cast<float>(sign | 0x7fc00000u);
    if (!kSaturates && magnitude == kLastNumber) return std::bit_cast<float>(sign | 0x7f800000u);
    if constexpr (kExponentBits == 8) {
      return std::bit_cast<float>(sign | magnitude << kShift);
    } else {
      // Taken as a float32 it is too small by the difference of the biases; the multiplication is exact, for denormals too.
      const float scaled = std::bit_cast<float>(magnitude << kShift) * std::bit_cast<float>(uint32_t{254 - kBias} << 23);
      return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(scaled));
    }
  }

  static Lane narrow(float value) {
    const uint32_t bits = std::bit_cast<uint32_t>(value);
    const uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return kNaN;
    const uint32_t sign = (bits >> 31) * kSign;
    uint32_t code;
    constexpr uint32_t kLeastExponent = 128 - kBias;  // biased for float32, of the least normal number
    if (kExponentBits == 8 || magnitude >= kLeastExponent << 23) {
      const uint32_t rebased = magnitude - ((kLeastExponent - 1) << 23);
      code = (rebased + (1u << (kShift - 1)) - 1 + (rebased >> kShift & 1)) >> kShift;
    } else {
      // Adding 2^k, whose last bit is the format's least denormal, lets the addition round.
      constexpr uint32_t kMagic = (kLeastExponent + kShift) << 23;
      code = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + std::bit_cast<float>(kMagic)) - kMagic;
    }
    if (code > kLastNumber) code = kLastNumber;
    return static_cast<Lane>(sign | code);
  }
};

using Float16 = FloatFormat<uint16_t, 5, 10, 0x7c00, 0x7e00, false>;
using Bfloat16 = FloatFormat<uint16_t, 8, 7, 0x7f80, 0x7fc0, false>;
using Float8E4m3 = FloatFormat<uint8_t, 4, 3, 0x7e, 0x7f, true>;
using Float8E5m2 = FloatFormat<uint8_t, 5, 2, 0x7c, 0x7e, false>;

}  // namespace tutti
