// float32, float64 and plain copies. See kernels.h.
#include "device/host/kernels.h"
#include "device/host/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "device/host/kernels_float.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep: compiles this file once per instruction set
#include <hwy/highway.h>

#if (HWY_TARGET & (HWY_SCALAR | HWY_EMU128)) == 0
#include "device/host/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tutti {
namespace HWY_NAMESPACE {
namespace {

struct Keep {
  static constexpr bool kHalf = false;
  static constexpr size_t kUnroll = 4;
  template <class D, class V>
  HWY_INLINE V operator()(D /*d*/, V a, V /*b*/) const {
    return a;
  }
};

void copy_kernel(const Destination& to, const void* src, size_t bytes) {
  run<uint8_t>(to, src, src, bytes, Keep());
}

template <class Lanes>
struct Plain {
  static constexpr bool kHalf = false;
  static constexpr size_t kUnroll = 4;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    return canonical_nan(d, Lanes()(d, a, b));
  }
};

struct Minimum {
  static constexpr bool kHalf = false;
  static constexpr size_t kUnroll = 2;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    return canonical_nan(d, min_float(d, a, b));
  }
};

struct Maximum {
  static constexpr bool kHalf = false;
  static constexpr size_t kUnroll = 2;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    return canonical_nan(d, max_float(d, a, b));
  }
};

template <class T>
HWY_INLINE T scalar_of(const Arithmetic& arithmetic) {
  T scalar;
  std::memcpy(&scalar, arithmetic.scalar, sizeof scalar);
  return scalar;
}

template <class T, bool kSums>
struct Full {
  static constexpr bool kHalf = false;
  static constexpr size_t kUnroll = 2;
  FloatSteps<T, kSums> steps;

  Full(const Arithmetic& arithmetic, const void* b) : steps(arithmetic, b, scalar_of<T>(arithmetic)) {}
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    return canonical_nan(d, steps(d, a, b));
  }
};

template <class T>
void add(DataType type, HostKernels& table) {
  table.plain(type, Reduction::kSum) = reduce_kernel<T, Plain<AddLanes>>;
  table.plain(type, Reduction::kProd) = reduce_kernel<T, Plain<MulLanes>>;
  table.plain(type, Reduction::kMin) = reduce_kernel<T, Minimum>;
  table.plain(type, Reduction::kMax) = reduce_kernel<T, Maximum>;
  table.full(type) = arithmetic_kernel<T, Full<T, false>, Full<T, true>>;
}

}  // namespace

void add_float(HostKernels& table) {
  table.copy = copy_kernel;
  add<float>(DataType::kFloat32, table);
  add<double>(DataType::kFloat64, table);
}

}  // namespace HWY_NAMESPACE
}  // namespace tutti
HWY_AFTER_NAMESPACE();
#endif

#if HWY_ONCE
namespace tutti {

void add_float_kernels(InstructionSet set, HostKernels& table) {
  switch (set) {
    TUTTI_CASE_EACH_SET(add_float, table)
    default: return;
  }
}

}  // namespace tutti
#endif
