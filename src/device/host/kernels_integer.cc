// The integers. Sum and product wrap, so signed types share the unsigned ones' loops. See kernels.h.
#include "device/host/divisor.h"
#include "device/host/kernels.h"
#include "device/host/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "device/host/kernels_integer.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep: compiles this file once per instruction set
#include <hwy/highway.h>

#if (HWY_TARGET & (HWY_SCALAR | HWY_EMU128)) == 0
#include "device/host/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tutti {
namespace HWY_NAMESPACE {
namespace {

// a * b, wrapped. No CPU multiplies bytes: even and odd ones are multiplied in 16 bits.
template <class D, class V>
HWY_INLINE V multiply(D d, V a, V b) {
  if constexpr (sizeof(hn::TFromD<D>) == 1) {
    const hn::Repartition<uint16_t, D> d16;
    const auto a16 = hn::BitCast(d16, a), b16 = hn::BitCast(d16, b);
    const auto even = hn::Mul(a16, b16);
    const auto odd = hn::ShiftLeft<8>(hn::Mul(hn::ShiftRight<8>(a16), hn::ShiftRight<8>(b16)));
    return hn::BitCast(d, select_bits(hn::Set(d16, uint16_t{0xff}), even, odd));
  } else {
    return hn::Mul(a, b);
  }
}

// The high half of the product of unsigned lanes.
template <class D, class V>
HWY_INLINE V multiply_high(D d, V a, V b) {
  if constexpr (sizeof(hn::TFromD<D>) == 2) {
    return hn::MulHigh(a, b);
  } else if constexpr (sizeof(hn::TFromD<D>) == 4) {
    const hn::Repartition<uint64_t, D> d64;
    const auto even = hn::MulEven(a, b);
    const auto odd =
        hn::MulEven(hn::BitCast(d, hn::ShiftRight<32>(hn::BitCast(d64, a))), hn::BitCast(d, hn::ShiftRight<32>(hn::BitCast(d64, b))));
    return hn::BitCast(d, select_bits(hn::Set(d64, uint64_t{0xffffffff}), hn::ShiftRight<32>(even), odd));
  } else {
    const hn::Repartition<uint32_t, D> d32;
    const V low_half = hn::Set(d, uint64_t{0xffffffff});
    const auto a_low = hn::BitCast(d32, a), b_low = hn::BitCast(d32, b);
    const auto a_high = hn::BitCast(d32, hn::ShiftRight<32>(a)), b_high = hn::BitCast(d32, hn::ShiftRight<32>(b));
    const V middle = hn::Add(hn::MulEven(a_high, b_low), hn::ShiftRight<32>(hn::MulEven(a_low, b_low)));
    const V middle2 = hn::Add(hn::MulEven(a_low, b_high), hn::And(middle, low_half));
    return hn::Add(hn::MulEven(a_high, b_high), hn::Add(hn::ShiftRight<32>(middle), hn::ShiftRight<32>(middle2)));
  }
}

template <class D, class V, class T>
HWY_INLINE V quotient(D d, V v, const Divisor<T>& divisor) {
  const V t = multiply_high(d, v, hn::Set(d, divisor.magic));
  return hn::ShiftRightSame(hn::Add(hn::ShiftRight<1>(hn::Sub(v, t)), t), divisor.shift);
}

// v / divisor of unsigned lanes; bytes in 16 bits.
template <class D, class V, class T>
HWY_INLINE V divide(D d, V v, const Divisor<T>& divisor) {
  if (divisor.beyond) return hn::Zero(d);
  if constexpr (sizeof(hn::TFromD<D>) == 1) {
    const hn::Repartition<uint16_t, D> d16;
    const auto v16 = hn::BitCast(d16, v);
    const auto even = quotient(d16, hn::And(v16, hn::Set(d16, uint16_t{0xff})), divisor);
    const auto odd = quotient(d16, hn::ShiftRight<8>(v16), divisor);
    return hn::BitCast(d, hn::Or(even, hn::ShiftLeft<8>(odd)));
  } else {
    return quotient(d, v, divisor);
  }
}

struct Sum {
  static constexpr bool kHalf = false;
  static constexpr size_t kUnroll = 4;
  template <class D, class V>
  HWY_INLINE V operator()(D /*d*/, V a, V b) const {
    return hn::Add(a, b);
  }
};

struct Prod {
  static constexpr bool kHalf = false;
  static constexpr size_t kUnroll = 4;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    return multiply(d, a, b);
  }
};

struct Minimum {
  static constexpr bool kHalf = false;
  static constexpr size_t kUnroll = 4;
  template <class D, class V>
  HWY_INLINE V operator()(D /*d*/, V a, V b) const {
    return hn::Min(a, b);
  }
};

struct Maximum {
  static constexpr bool kHalf = false;
  static constexpr size_t kUnroll = 4;
  template <class D, class V>
  HWY_INLINE V operator()(D /*d*/, V a, V b) const {
    return hn::Max(a, b);
  }
};

template <class T, bool kSums>
struct Full {
  static constexpr bool kHalf = false;
  static constexpr size_t kUnroll = 1;
  using Unsigned = hwy::MakeUnsigned<T>;
  using Quotient = hwy::UnsignedFromSize<sizeof(T) == 1 ? 2 : sizeof(T)>;

  Step step;
  bool scale_a, scale_b, divided;
  Unsigned scalar;
  Divisor<Quotient> divisor;

  HWY_INLINE Full(const Arithmetic& arithmetic, const void* b)
      : step(step_of(arithmetic, b)),
        scale_a(arithmetic.scale_a),
        scale_b(arithmetic.scale_b),
        divided(arithmetic.divide && arithmetic.divisor > 1),
        divisor(divided ? arithmetic.divisor : 2) {
    std::memcpy(&scalar, arithmetic.scalar, sizeof scalar);
  }

  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    const hn::RebindToUnsigned<D> du;
    const auto factor = hn::Set(du, scalar);
    auto ua = hn::BitCast(du, a), ub = hn::BitCast(du, b);
    if (scale_a) ua = multiply(du, ua, factor);
    if (scale_b) ub = multiply(du, ub, factor);
    switch (kSums ? Step::kSum : step) {
      case Step::kSum: ua = hn::Add(ua, ub); break;
      case Step::kProd: ua = multiply(du, ua, ub); break;
      case Step::kMin: ua = hn::BitCast(du, hn::Min(hn::BitCast(d, ua), hn::BitCast(d, ub))); break;
      case Step::kMax: ua = hn::BitCast(du, hn::Max(hn::BitCast(d, ua), hn::BitCast(d, ub))); break;
      case Step::kKeep: break;
    }
    if (divided) {
      if constexpr (hwy::IsSigned<T>()) {
        const auto sign = hn::BitCast(du, hn::BroadcastSignBit(hn::BitCast(d, ua)));
        const auto magnitude = hn::Sub(hn::Xor(ua, sign), sign);
        ua = hn::Sub(hn::Xor(divide(du, magnitude, divisor), sign), sign);
      } else {
        ua = divide(du, ua, divisor);
      }
    }
    return hn::BitCast(d, ua);
  }
};

template <class T>
void add(DataType type, HostKernels& table) {
  using Unsigned = hwy::MakeUnsigned<T>;
  table.plain(type, Reduction::kSum) = reduce_kernel<Unsigned, Sum>;
  table.plain(type, Reduction::kProd) = reduce_kernel<Unsigned, Prod>;
  table.plain(type, Reduction::kMin) = reduce_kernel<T, Minimum>;
  table.plain(type, Reduction::kMax) = reduce_kernel<T, Maximum>;
  table.full(type) = arithmetic_kernel<T, Full<T, false>, Full<T, true>>;
}

}  // namespace

void add_integer(HostKernels& table) {
  add<int8_t>(DataType::kInt8, table);
  add<int16_t>(DataType::kInt16, table);
  add<int32_t>(DataType::kInt32, table);
  add<int64_t>(DataType::kInt64, table);
  add<uint8_t>(DataType::kUint8, table);
  add<uint16_t>(DataType::kUint16, table);
  add<uint32_t>(DataType::kUint32, table);
  add<uint64_t>(DataType::kUint64, table);
}

}  // namespace HWY_NAMESPACE
}  // namespace tutti
HWY_AFTER_NAMESPACE();
#endif

#if HWY_ONCE
namespace tutti {

void add_integer_kernels(InstructionSet set, HostKernels& table) {
  switch (set) {
    TUTTI_CASE_EACH_SET(add_integer, table)
    default: return;
  }
}

}  // namespace tutti
#endif
