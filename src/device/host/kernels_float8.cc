// float8 e4m3 and e5m2: widened through float16 to float32, rounded to nearest even back. Minimum and maximum on their bits. See kernels.h.
//
// e5m2 is float16's upper byte. e4m3's bits, placed at float16's exponent, are the number times 2^-8 (denormals too), which is how the
// lanes here hold it; its only NaN, 0x7f, gets lost on that way and is carried beside it.
//
// A sum or product of two elements may be rounded to float16 first: a format of at least 2 q + 2 = 10 bits between the exact result and q
// bits changes nothing (Figueroa, "When is double rounding innocuous?", 1995), and float16 has 11; its denormals are as fine as these
// products need, which the tests show for all pairs. A result of scaling and division is rounded to q bits in float32 before.
#include "device/host/float_formats.h"
#include "device/host/kernels.h"
#include "device/host/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "device/host/kernels_float8.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep: compiles this file once per instruction set
#include <hwy/highway.h>

#if (HWY_TARGET & (HWY_SCALAR | HWY_EMU128)) == 0
#include "device/host/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tutti {
namespace HWY_NAMESPACE {
namespace {

// A vector of bytes as four of float32: the halves of its even bytes, the halves of its odd bytes.
template <class VF>
struct Quad {
  VF v0, v1, v2, v3;
};

// 16-bit lanes as float16 bits, to and from two vectors of float32.
template <class D16, class V16, class VF>
HWY_INLINE void widen_float16(D16 /*d16*/, V16 v, VF& low, VF& high) {
  const hn::Repartition<float, D16> df;
  const hn::Half<D16> dh;
  const hn::Rebind<hwy::float16_t, decltype(df)> df16;
  low = hn::PromoteTo(df, hn::BitCast(df16, hn::LowerHalf(dh, v)));
  high = hn::PromoteTo(df, hn::BitCast(df16, hn::UpperHalf(dh, v)));
}

template <class D16, class VF>
HWY_INLINE hn::Vec<D16> narrow_float16(D16 d16, VF low, VF high) {
  const hn::Half<D16> dh;
  const hn::Rebind<hwy::float16_t, hn::Repartition<float, D16>> df16;
  return hn::Combine(d16, hn::BitCast(dh, hn::DemoteTo(df16, high)), hn::BitCast(dh, hn::DemoteTo(df16, low)));
}

// What the formats give: kProductScale, by which a product of two widened elements has to be multiplied; kMagic, see round_early;
// upper(), float16 bits from elements in the upper bytes of 16-bit lanes; back(), the reverse with rounding (the lower bytes are junk).
struct E4m3 {
  using Format = Float8E4m3;
  static constexpr float kProductScale = 256;
  static constexpr uint32_t kMagic = (20u << 23) | 0x400000u;

  template <class D16, class V16>
  static HWY_INLINE V16 upper(D16 d16, V16 v) {
    const hn::RebindToSigned<D16> di;
    return hn::And(hn::BitCast(d16, hn::ShiftRight<1>(hn::BitCast(di, v))), hn::Set(d16, uint16_t{0xbf80}));
  }
  template <class D16, class V16>
  static HWY_INLINE V16 back(D16 d16, V16 v) {
    const auto magnitude = hn::And(v, hn::Set(d16, uint16_t{0x7fff}));
    const auto last = hn::And(hn::ShiftRight<7>(magnitude), hn::Set(d16, uint16_t{1}));
    const auto rounded = hn::Add(hn::Add(magnitude, hn::Set(d16, uint16_t{0x3f})), last);
    const auto saturated = hn::Min(rounded, hn::Set(d16, uint16_t{0x3f7f}));  // 448 * 2^-8 and what is dropped
    return select_bits(hn::Set(d16, uint16_t{0x8000}), v, hn::Add(saturated, saturated));
  }
  template <class D, class V>
  static HWY_INLINE V finish(D d, V v, V a, V b) {
    const hn::RebindToSigned<D> di;
    const auto all = hn::Set(di, int8_t{0x7f});
    const auto greater = hn::Max(hn::And(hn::BitCast(di, a), all), hn::And(hn::BitCast(di, b), all));
    return hn::BitCast(d, hn::IfThenElse(hn::Eq(greater, all), all, hn::BitCast(di, v)));
  }
};

struct E5m2 {
  using Format = Float8E5m2;
  static constexpr float kProductScale = 1;
  static constexpr uint32_t kMagic = (21u << 23) | 0x400000u;

  template <class D16, class V16>
  static HWY_INLINE V16 upper(D16 d16, V16 v) {
    return hn::And(v, hn::Set(d16, uint16_t{0xff00}));
  }
  template <class D16, class V16>
  static HWY_INLINE V16 back(D16 d16, V16 v) {
    const auto last = hn::And(hn::ShiftRight<8>(v), hn::Set(d16, uint16_t{1}));
    return hn::Add(hn::Add(v, hn::Set(d16, uint16_t{0x7f})), last);
  }
  template <class D, class V>
  static HWY_INLINE V finish(D d, V v, V /*a*/, V /*b*/) {
    return canonical_packed_nan<Format>(d, v);
  }
};

template <class Codec, class D, class V>
HWY_INLINE auto widen(D /*d*/, V v) {
  const hn::Repartition<uint16_t, D> d16;
  Quad<hn::Vec<hn::Repartition<float, D>>> q;
  const auto v16 = hn::BitCast(d16, v);
  widen_float16(d16, Codec::upper(d16, hn::ShiftLeft<8>(v16)), q.v0, q.v1);
  widen_float16(d16, Codec::upper(d16, v16), q.v2, q.v3);
  return q;
}

template <class Codec, class D, class VF>
HWY_INLINE hn::Vec<D> narrow(D d, const Quad<VF>& q) {
  const hn::Repartition<uint16_t, D> d16;
  const auto even = hn::ShiftRight<8>(Codec::back(d16, narrow_float16(d16, q.v0, q.v1)));
  const auto odd = Codec::back(d16, narrow_float16(d16, q.v2, q.v3));
  return hn::BitCast(d, select_bits(hn::Set(d16, uint16_t{0xff00}), odd, even));
}

// Rounds float32 lanes to the format's precision: x + c - c with c = 1.5 * 2^k, k such that c's last bit is worth x's last bit in the
// format. Above the format's range k stays, since the result overflows or saturates anyway.
template <class Codec, class D, class VF>
HWY_INLINE VF round_early(D df, VF v) {
  const hn::RebindToSigned<D> di;
  const auto exponent = hn::And(hn::BitCast(di, v), hn::Set(di, 0x7f800000));
  const auto near = hn::Min(hn::Max(exponent, hn::Set(di, (127 - 14) << 23)), hn::Set(di, (127 + 17) << 23));
  const auto c = hn::BitCast(df, hn::Add(near, hn::Set(di, static_cast<int32_t>(Codec::kMagic))));
  return hn::CopySign(hn::Sub(hn::Add(v, c), c), v);
}

template <class D, class VF, class F>
HWY_INLINE Quad<VF> apply(D df, const Quad<VF>& x, const Quad<VF>& y, const F& f) {
  return {f(df, x.v0, y.v0), f(df, x.v1, y.v1), f(df, x.v2, y.v2), f(df, x.v3, y.v3)};
}

template <class Codec>
struct MulScaledLanes {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    return hn::Mul(hn::Mul(a, hn::Set(d, Codec::kProductScale)), b);
  }
};

template <class Codec, class Lanes>
struct Plain {
  static constexpr bool kHalf = false;
  static constexpr size_t kUnroll = 1;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    const hn::Repartition<float, D> df;
    return Codec::finish(d, narrow<Codec>(d, apply(df, widen<Codec>(d, a), widen<Codec>(d, b), Lanes())), a, b);
  }
};

template <class Codec, bool kSums>
struct Full {
  static constexpr bool kHalf = false;
  static constexpr size_t kUnroll = 1;
  FloatSteps<float, kSums> steps;
  bool nan;  // whatever the operands

  HWY_INLINE Full(const Arithmetic& arithmetic, const void* b) : steps(arithmetic, b, widened_scalar(arithmetic)) {
    // A factor's NaN shows in itself. It is a power of two, or exact, so the scale of a product goes into it without loss.
    nan = steps.scale_a != steps.scale_a || (b != nullptr && steps.scale_b != steps.scale_b);
    if (steps.step == Step::kProd) steps.scale_b *= Codec::kProductScale;
  }
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    const hn::Repartition<float, D> df;
    const auto v = Codec::finish(d, narrow<Codec>(d, apply(df, widen<Codec>(d, a), widen<Codec>(d, b), *this)), a, b);
    return nan ? hn::Set(d, Codec::Format::kNaN) : v;
  }
  // float32 lanes
  template <class D, class V>
  requires(sizeof(hn::TFromD<D>) == 4) HWY_INLINE V operator()(D df, V x, V y) const { return round_early<Codec>(df, steps(df, x, y)); }
};

template <class Codec>
void add(DataType type, HostKernels& table) {
  table.plain(type, Reduction::kSum) = reduce_kernel<uint8_t, Plain<Codec, AddLanes>>;
  table.plain(type, Reduction::kProd) = reduce_kernel<uint8_t, Plain<Codec, MulScaledLanes<Codec>>>;
  table.plain(type, Reduction::kMin) = reduce_kernel<uint8_t, PackedExtreme<typename Codec::Format, false>>;
  table.plain(type, Reduction::kMax) = reduce_kernel<uint8_t, PackedExtreme<typename Codec::Format, true>>;
  table.full(type) = arithmetic_kernel<uint8_t, Full<Codec, false>, Full<Codec, true>>;
}

}  // namespace

void add_float8(HostKernels& table) {
  add<E4m3>(DataType::kFloat8E4m3, table);
  add<E5m2>(DataType::kFloat8E5m2, table);
}

}  // namespace HWY_NAMESPACE
}  // namespace tutti
HWY_AFTER_NAMESPACE();
#endif

#if HWY_ONCE
namespace tutti {

void add_float8_kernels(InstructionSet set, HostKernels& table) {
  switch (set) {
    TUTTI_CASE_EACH_SET(add_float8, table)
    default: return;
  }
}

}  // namespace tutti
#endif
