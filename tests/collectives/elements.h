// The 14 element types, encoded and decoded by this folder's own code: nothing here is shared with the library's kernels.
// Threading: pure functions.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include "tutti/tutti.h"

namespace tutti::test {

struct TypeInfo {
  tuttiDataType_t type;
  const char* name;
  size_t bytes;
  bool is_float;
  int significand_bits;  // of floats, the hidden one counted: integers up to 2^significand_bits are exact
};

inline constexpr int kTypes = 14;
// By tuttiDataType_t.
std::span<const TypeInfo, kTypes> all_types();
const TypeInfo& info_of(tuttiDataType_t type);

// Integers: two's complement, all arithmetic modulo 2^bits.
template <class T>
struct IntegerCodec {
  using Value = T;
  using Bits = T;
  static T decode(T bits) { return bits; }
  static T encode(T value) { return value; }
  // Through uint64_t: no signed overflow, no promotion.
  static T wrap(uint64_t value) { return static_cast<T>(static_cast<std::make_unsigned_t<T>>(value)); }
  static T add(T a, T b) { return wrap(static_cast<uint64_t>(a) + static_cast<uint64_t>(b)); }
  static T multiply(T a, T b) { return wrap(static_cast<uint64_t>(a) * static_cast<uint64_t>(b)); }
  static T divide(T a, int n) {
    return std::is_signed_v<T> ? wrap(static_cast<uint64_t>(static_cast<int64_t>(a) / n))
                               : wrap(static_cast<uint64_t>(a) / static_cast<uint64_t>(n));
  }
};

// What floats share: they compute in double. The tests' values make every result but a quotient exact, and a quotient of two small
// integers rounds the same way whether or not it passes through a wider format.
struct DoubleArithmetic {
  using Value = double;
  static double add(double a, double b) { return a + b; }
  static double multiply(double a, double b) { return a * b; }
  static double divide(double a, int n) { return a / n; }
};

template <class T>
struct NativeFloatCodec : DoubleArithmetic {
  using Bits = T;
  static double decode(T bits) { return bits; }
  static T encode(double value) { return static_cast<T>(value); }
};

// A float of 1 sign bit, kExponentBits and kMantissaBits, in the width of BitsT. Finite numbers only, and none that overflows.
template <class BitsT, int kExponentBits, int kMantissaBits>
struct SmallFloatCodec : DoubleArithmetic {
  using Bits = BitsT;
  static constexpr int kBias = (1 << (kExponentBits - 1)) - 1;
  static constexpr int kLeastExponent = 1 - kBias;  // of normal numbers; denormals share it

  static double decode(Bits bits) {
    const int mantissa = bits & ((1 << kMantissaBits) - 1);
    const int exponent = bits >> kMantissaBits & ((1 << kExponentBits) - 1);
    const double magnitude = exponent == 0 ? std::ldexp(mantissa, kLeastExponent - kMantissaBits)
                                           : std::ldexp(mantissa + (1 << kMantissaBits), exponent - kBias - kMantissaBits);
    return bits >> (kExponentBits + kMantissaBits) != 0 ? -magnitude : magnitude;
  }

  // To nearest, ties to even.
  static Bits encode(double value) {
    const auto sign = static_cast<Bits>(int{std::signbit(value)} << (kExponentBits + kMantissaBits));
    if (value == 0) return sign;
    const int exponent = std::max(std::ilogb(value), kLeastExponent);
    // In units of the last place; a carry into the next power of two carries into the exponent field by itself.
    const auto units = static_cast<int>(std::nearbyint(std::ldexp(std::fabs(value), kMantissaBits - exponent)));
    const int field = ((exponent + kBias - 1) << kMantissaBits) + units;
    return static_cast<Bits>(sign | field);
  }
};

// Calls body(codec) with the type's codec.
template <class Body>
auto with_codec(tuttiDataType_t type, const Body& body) {
  switch (type) {
    case tuttiInt8: return body(IntegerCodec<int8_t>());
    case tuttiUint8: return body(IntegerCodec<uint8_t>());
    case tuttiInt16: return body(IntegerCodec<int16_t>());
    case tuttiUint16: return body(IntegerCodec<uint16_t>());
    case tuttiInt32: return body(IntegerCodec<int32_t>());
    case tuttiUint32: return body(IntegerCodec<uint32_t>());
    case tuttiInt64: return body(IntegerCodec<int64_t>());
    case tuttiUint64: return body(IntegerCodec<uint64_t>());
    case tuttiFloat16: return body(SmallFloatCodec<uint16_t, 5, 10>());
    case tuttiBfloat16: return body(SmallFloatCodec<uint16_t, 8, 7>());
    case tuttiFloat8e4m3: return body(SmallFloatCodec<uint8_t, 4, 3>());
    case tuttiFloat8e5m2: return body(SmallFloatCodec<uint8_t, 5, 2>());
    case tuttiFloat32: return body(NativeFloatCodec<float>());
    case tuttiFloat64: break;
  }
  return body(NativeFloatCodec<double>());
}

}  // namespace tutti::test
