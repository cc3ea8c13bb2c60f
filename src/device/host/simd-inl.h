// The loop that every kernel is, and the arithmetic that several share. Compiled once per target: no include guard but Highway's toggle,
// and no inline function of the standard library, whose AVX-512 version the linker could keep for everybody.
#if defined(TUTTI_DEVICE_HOST_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TUTTI_DEVICE_HOST_SIMD_INL_H_
#undef TUTTI_DEVICE_HOST_SIMD_INL_H_
#else
#define TUTTI_DEVICE_HOST_SIMD_INL_H_
#endif

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <cstring>

#include "device/device.h"

HWY_BEFORE_NAMESPACE();
namespace tutti {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// An Op says which lanes it takes at a time (kHalf: half a vector, where its result is narrower than what it computes with) and how many
// of these (kUnroll: 1, 2 or 4) a round of the loop takes; op(d, a, b) is the result for these lanes.
template <class T, class Op>
struct LanesOf {
  using D = hn::ScalableTag<T>;
};
template <class T, class Op>
  requires(Op::kHalf)
struct LanesOf<T, Op> {
  using D = hn::Half<hn::ScalableTag<T>>;
};

// The elements [begin, end), in vectors and at last part of one, whose other lanes are not touched. Not inlined: small counts need only
// this, and get here by a jump (hence no operands by reference but `to`, which is the caller's).
template <class T, class Op>
HWY_NOINLINE void run_unaligned(const Destination& to, const void* a_bytes, const void* b_bytes, size_t begin, size_t end, Op op) {
  const typename LanesOf<T, Op>::D d;
  const size_t lanes = hn::Lanes(d);
  T* const first = static_cast<T*>(to.first);
  T* const second = static_cast<T*>(to.second);
  const T* const a = static_cast<const T*>(a_bytes);
  const T* const b = static_cast<const T*>(b_bytes);
  size_t i = begin;
  for (; i + lanes <= end; i += lanes) {
    const auto v = op(d, hn::LoadU(d, a + i), hn::LoadU(d, b + i));
    hn::StoreU(v, d, first + i);
    if (second != nullptr) hn::StoreU(v, d, second + i);
  }
  if (i == end) return;
#if HWY_TARGET == HWY_AVX3
  const auto mask = hn::FirstN(d, end - i);
  const auto v = op(d, hn::MaskedLoad(mask, d, a + i), hn::MaskedLoad(mask, d, b + i));
  hn::BlendedStore(v, mask, d, first + i);
  if (second != nullptr) hn::BlendedStore(v, mask, d, second + i);
#else
  const size_t bytes = (end - i) * sizeof(T);
  HWY_ALIGN T last_a[hn::MaxLanes(d)] = {};
  HWY_ALIGN T last_b[hn::MaxLanes(d)] = {};
  std::memcpy(last_a, a + i, bytes);
  std::memcpy(last_b, b + i, bytes);
  hn::Store(op(d, hn::Load(d, last_a), hn::Load(d, last_b)), d, last_a);
  std::memcpy(first + i, last_a, bytes);
  if (second != nullptr) std::memcpy(second + i, last_a, bytes);
#endif
}

// The loop for many elements: whole rounds, stored aligned to `first`.
template <class T, class Op>
HWY_NOINLINE void run_aligned(const Destination& to, const void* a_bytes, const void* b_bytes, size_t count, Op op) {
  const typename LanesOf<T, Op>::D d;
  const size_t lanes = hn::Lanes(d);
  const size_t round = Op::kUnroll * lanes;
  T* const first = static_cast<T*>(to.first);
  T* const second = static_cast<T*>(to.second);
  const T* const a = static_cast<const T*>(a_bytes);
  const T* const b = static_cast<const T*>(b_bytes);
  const bool stream = to.stream;  // in a local, since stores of bytes could change *to
  const size_t vector_bytes = lanes * sizeof(T);
  size_t i = (0 - reinterpret_cast<uintptr_t>(first)) % vector_bytes / sizeof(T);
  if (i != 0) run_unaligned<T>(to, a, b, 0, i, op);
  for (; i + round <= count; i += round) {
    const auto v0 = op(d, hn::LoadU(d, a + i), hn::LoadU(d, b + i));
    auto v1 = v0, v2 = v0, v3 = v0;
    if constexpr (Op::kUnroll >= 2) v1 = op(d, hn::LoadU(d, a + i + lanes), hn::LoadU(d, b + i + lanes));
    if constexpr (Op::kUnroll == 4) {
      v2 = op(d, hn::LoadU(d, a + i + 2 * lanes), hn::LoadU(d, b + i + 2 * lanes));
      v3 = op(d, hn::LoadU(d, a + i + 3 * lanes), hn::LoadU(d, b + i + 3 * lanes));
    }
    if (stream) {
      hn::Stream(v0, d, first + i);
      if constexpr (Op::kUnroll >= 2) hn::Stream(v1, d, first + i + lanes);
      if constexpr (Op::kUnroll == 4) {
        hn::Stream(v2, d, first + i + 2 * lanes);
        hn::Stream(v3, d, first + i + 3 * lanes);
      }
    } else {
      hn::Store(v0, d, first + i);
      if constexpr (Op::kUnroll >= 2) hn::Store(v1, d, first + i + lanes);
      if constexpr (Op::kUnroll == 4) {
        hn::Store(v2, d, first + i + 2 * lanes);
        hn::Store(v3, d, first + i + 3 * lanes);
      }
    }
    if (second != nullptr) {
      hn::StoreU(v0, d, second + i);
      if constexpr (Op::kUnroll >= 2) hn::StoreU(v1, d, second + i + lanes);
      if constexpr (Op::kUnroll == 4) {
        hn::StoreU(v2, d, second + i + 2 * lanes);
        hn::StoreU(v3, d, second + i + 3 * lanes);
      }
    }
  }
  // Streamed stores are ordered neither by the release that posts a slot nor by the return of the call.
  if (stream) hwy::FlushStream();
  if (i != count) run_unaligned<T>(to, a, b, i, count, op);
}

// Every destination's element i becomes op of a's and b's.
template <class T, class Op>
HWY_INLINE void run(const Destination& to, const void* a, const void* b, size_t count, const Op& op) {
  const size_t round = Op::kUnroll * hn::Lanes(typename LanesOf<T, Op>::D());
  if (count < 4 * round) {
    run_unaligned<T>(to, a, b, 0, count, op);
  } else {
    run_aligned<T>(to, a, b, count, op);
  }
}

// Bits of v where mask is 1, of w where it is 0.
template <class V>
HWY_INLINE V select_bits(V mask, V v, V w) {
  return hn::Or(hn::And(mask, v), hn::AndNot(mask, w));
}

// What an operation is at run time; kKeep is transform().
enum class Step : uint8_t { kSum, kProd, kMin, kMax, kKeep };

inline Step step_of(const Arithmetic& arithmetic, const void* b) {
  return b == nullptr ? Step::kKeep : static_cast<Step>(arithmetic.op);
}

// ---- float32 and float64 lanes

#if HWY_TARGET == HWY_AVX3
// One instruction, where a comparison and a blend are two: fixupimm looks up what to do by the kind of number, here keep the constant
// for quiet and signalling NaN (0) and take v for all others (1). float16 sums gained a third from it.
constexpr int kFixNaN = 0x11111100;

HWY_INLINE hn::Vec512<float> canonical_nan(hn::Full512<float> /*d*/, hn::Vec512<float> v) {
  return hn::Vec512<float>{_mm512_fixupimm_ps(_mm512_castsi512_ps(_mm512_set1_epi32(0x7fc00000)), v.raw, _mm512_set1_epi32(kFixNaN), 0)};
}
HWY_INLINE hn::Vec512<double> canonical_nan(hn::Full512<double> /*d*/, hn::Vec512<double> v) {
  return hn::Vec512<double>{
      _mm512_fixupimm_pd(_mm512_castsi512_pd(_mm512_set1_epi64(0x7ff8000000000000)), v.raw, _mm512_set1_epi64(kFixNaN), 0)};
}
#else
template <class D, class V>
HWY_INLINE V canonical_nan(D d, V v) {
  const hn::RebindToUnsigned<D> du;
  using T = hn::TFromD<decltype(du)>;
  constexpr T kNaN = sizeof(T) == 4 ? static_cast<T>(0x7fc00000) : static_cast<T>(0x7ff8000000000000);
  return hn::IfThenElse(hn::Eq(v, v), v, hn::BitCast(d, hn::Set(du, kNaN)));
}
#endif

// Some NaN where an operand is NaN; -0 < +0. Of equal operands the bits differ in the sign of zero only: the minimum is their or.
// Min and Max give NaN where b is NaN: x86 takes its second operand then, others give NaN for either.
template <class D, class V>
HWY_INLINE V min_float(D /*d*/, V a, V b) {
  const V either = hn::IfThenElse(hn::Eq(a, b), hn::Or(a, b), hn::Min(a, b));
  return hn::IfThenElse(hn::Eq(a, a), either, a);
}
template <class D, class V>
HWY_INLINE V max_float(D /*d*/, V a, V b) {
  const V either = hn::IfThenElse(hn::Eq(a, b), hn::And(a, b), hn::Max(a, b));
  return hn::IfThenElse(hn::Eq(a, a), either, a);
}

struct AddLanes {
  template <class D, class V>
  HWY_INLINE V operator()(D /*d*/, V a, V b) const {
    return hn::Add(a, b);
  }
};

struct MulLanes {
  template <class D, class V>
  HWY_INLINE V operator()(D /*d*/, V a, V b) const {
    return hn::Mul(a, b);
  }
};

// Scales, operates and divides lanes of T. Scaling by 1 is exact, and so is multiplication by the reciprocal of a power of two, which
// stands for the division wherever it can. Gives some NaN, not always the one. kSums: the step is known to be kSum (averages, premulsum).
template <class T, bool kSums>
struct FloatSteps {
  Step step;
  T scale_a, scale_b;
  bool divide;
  T last;  // divisor, or what to multiply by

  HWY_INLINE FloatSteps(const Arithmetic& arithmetic, const void* b, T scalar)
      : step(step_of(arithmetic, b)),
        scale_a(arithmetic.scale_a ? scalar : T(1)),
        scale_b(arithmetic.scale_b ? scalar : T(1)),
        divide(arithmetic.divide && (arithmetic.divisor & (arithmetic.divisor - 1)) != 0),
        last(divide ? static_cast<T>(arithmetic.divisor) : arithmetic.divide ? T(1) / static_cast<T>(arithmetic.divisor) : T(1)) {}

  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    V v = hn::Mul(a, hn::Set(d, scale_a));
    const V w = hn::Mul(b, hn::Set(d, scale_b));
    switch (kSums ? Step::kSum : step) {
      case Step::kSum: v = hn::Add(v, w); break;
      case Step::kProd: v = hn::Mul(v, w); break;
      case Step::kMin: v = min_float(d, v, w); break;
      case Step::kMax: v = max_float(d, v, w); break;
      case Step::kKeep: break;
    }
    return divide ? hn::Div(v, hn::Set(d, last)) : hn::Mul(v, hn::Set(d, last));
  }
};

// ---- 16- and 8-bit floats, as packed integers

// Their order as signed integers: negative numbers' magnitude bits inverted. Its own inverse.
template <class DI, class VI>
HWY_INLINE VI ordered(DI di, VI v) {
  return hn::Xor(v, hn::And(hn::BroadcastSignBit(v), hn::Set(di, hwy::LimitsMax<hn::TFromD<DI>>())));
}

// The one NaN where v's magnitude is beyond the last number. Format as in PackedExtreme.
template <class Format, class D, class V>
HWY_INLINE V canonical_packed_nan(D d, V v) {
  const hn::RebindToSigned<D> di;
  using TI = hn::TFromD<decltype(di)>;
  const auto magnitude = hn::And(hn::BitCast(di, v), hn::Set(di, hwy::LimitsMax<TI>()));
  const auto nan = hn::Gt(magnitude, hn::Set(di, static_cast<TI>(Format::kLastNumber)));
  return hn::BitCast(d, hn::IfThenElse(nan, hn::Set(di, static_cast<TI>(Format::kNaN)), hn::BitCast(di, v)));
}

// Minimum and maximum of a packed format without widening it. Format: Lane (unsigned), kLastNumber (infinity, or the greatest number
// where there is none), kNaN.
template <class Format, bool kMaximum>
struct PackedExtreme {
  static constexpr bool kHalf = false;
  static constexpr size_t kUnroll = 2;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    const hn::RebindToSigned<D> di;
    using TI = hn::TFromD<decltype(di)>;
    const auto ia = hn::BitCast(di, a), ib = hn::BitCast(di, b);
    const auto ka = ordered(di, ia), kb = ordered(di, ib);
    auto k = ka;
    if constexpr (kMaximum) {
      k = hn::Max(ka, kb);
    } else {
      k = hn::Min(ka, kb);
    }
    const auto all = hn::Set(di, hwy::LimitsMax<TI>());
    const auto greater = hn::Max(hn::And(ia, all), hn::And(ib, all));
    const auto nan = hn::Gt(greater, hn::Set(di, static_cast<TI>(Format::kLastNumber)));
    return hn::BitCast(d, hn::IfThenElse(nan, hn::Set(di, static_cast<TI>(Format::kNaN)), ordered(di, k)));
  }
};

// ---- Kernels

template <class T, class Op>
void reduce_kernel(const Destination& to, const void* a, const void* b, size_t count) {
  run<T>(to, a, b, count, Op());
}

// Op(arithmetic, b) is everything that the arithmetic says; SumOp the same where it is a sum.
template <class T, class Op, class SumOp>
void arithmetic_kernel(const Destination& to, const void* a, const void* b, size_t count, const Arithmetic& arithmetic) {
  if (step_of(arithmetic, b) == Step::kSum) {
    run<T>(to, a, b, count, SumOp(arithmetic, b));
  } else {
    run<T>(to, a, b == nullptr ? a : b, count, Op(arithmetic, b));
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tutti
HWY_AFTER_NAMESPACE();

#endif  // toggle
