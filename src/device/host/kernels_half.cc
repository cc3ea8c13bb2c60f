// float16 and bfloat16: widened to float32 and rounded once to nearest even; minimum and maximum on their bits. See kernels.h.
#include "device/host/float_formats.h"
#include "device/host/kernels.h"
#include "device/host/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "device/host/kernels_half.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep: compiles this file once per instruction set
#include <hwy/highway.h>

#if (HWY_TARGET & (HWY_SCALAR | HWY_EMU128)) == 0
#include "device/host/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tutti {
namespace HWY_NAMESPACE {
namespace {

// A codec hands the elements to `f`, widened, and takes what it returns back: f(df, x, y) is a vector of float32.

// Half a vector at a time, so that the CPU's conversions need no vectors cut and joined.
struct Float16Codec {
  using Format = Float16;
  static constexpr bool kHalf = true;

  template <class D, class V, class F>
  static HWY_INLINE V apply(D d, V a, V b, const F& f) {
    const hn::Rebind<float, D> df;
    const hn::Rebind<hwy::float16_t, D> df16;
    const auto v = f(df, hn::PromoteTo(df, hn::BitCast(df16, a)), hn::PromoteTo(df, hn::BitCast(df16, b)));
    return hn::BitCast(d, hn::DemoteTo(df16, canonical_nan(df, v)));
  }
};

// Highway's own conversion truncates. Even elements are the low halves of 32-bit lanes, odd ones the high halves, which makes widening a
// shift or a mask.
struct Bfloat16Codec {
  using Format = Bfloat16;
  static constexpr bool kHalf = false;

  template <class D, class V, class F>
  static HWY_INLINE V apply(D d, V a, V b, const F& f) {
    const hn::Repartition<float, D> df;
    const hn::Repartition<uint32_t, D> d32;
    const auto upper = hn::Set(d32, 0xffff0000u);
    const auto a32 = hn::BitCast(d32, a), b32 = hn::BitCast(d32, b);
    const auto even = f(df, hn::BitCast(df, hn::ShiftLeft<16>(a32)), hn::BitCast(df, hn::ShiftLeft<16>(b32)));
    const auto odd = f(df, hn::BitCast(df, hn::And(a32, upper)), hn::BitCast(df, hn::And(b32, upper)));
    return hn::BitCast(d,
                       select_bits(upper, rounded(d32, canonical_nan(df, odd)), hn::ShiftRight<16>(rounded(d32, canonical_nan(df, even)))));
  }

  // To nearest even, in the upper halves.
  template <class D, class VF>
  static HWY_INLINE hn::Vec<D> rounded(D d32, VF v) {
    const auto bits = hn::BitCast(d32, v);
    const auto last = hn::And(hn::ShiftRight<16>(bits), hn::Set(d32, 1u));
    return hn::Add(hn::Add(bits, hn::Set(d32, 0x7fffu)), last);
  }
};

template <class Codec, class Lanes>
struct Plain {
  static constexpr bool kHalf = Codec::kHalf;
  static constexpr size_t kUnroll = kHalf ? 4 : 2;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    return Codec::apply(d, a, b, Lanes());
  }
};

template <class Codec, bool kSums>
struct Full {
  static constexpr bool kHalf = Codec::kHalf;
  static constexpr size_t kUnroll = 1;
  FloatSteps<float, kSums> steps;

  HWY_INLINE Full(const Arithmetic& arithmetic, const void* b) : steps(arithmetic, b, widened_scalar(arithmetic)) {}
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    return Codec::apply(d, a, b, steps);
  }
};

template <class Codec>
void add(DataType type, HostKernels& table) {
  table.plain(type, Reduction::kSum) = reduce_kernel<uint16_t, Plain<Codec, AddLanes>>;
  table.plain(type, Reduction::kProd) = reduce_kernel<uint16_t, Plain<Codec, MulLanes>>;
  table.plain(type, Reduction::kMin) = reduce_kernel<uint16_t, PackedExtreme<typename Codec::Format, false>>;
  table.plain(type, Reduction::kMax) = reduce_kernel<uint16_t, PackedExtreme<typename Codec::Format, true>>;
  table.full(type) = arithmetic_kernel<uint16_t, Full<Codec, false>, Full<Codec, true>>;
}

}  // namespace

void add_half(HostKernels& table) {
  add<Float16Codec>(DataType::kFloat16, table);
  add<Bfloat16Codec>(DataType::kBfloat16, table);
}

}  // namespace HWY_NAMESPACE
}  // namespace tutti
HWY_AFTER_NAMESPACE();
#endif

#if HWY_ONCE
namespace tutti {

void add_half_kernels(InstructionSet set, HostKernels& table) {
  switch (set) {
    TUTTI_CASE_EACH_SET(add_half, table)
    default: return;
  }
}

}  // namespace tutti
#endif
