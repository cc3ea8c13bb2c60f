// Plain C++, for CPUs without the sets that the other kernels_*.cc are compiled for: correct, and left to the compiler to vectorise. It
// ignores Destination::stream. See kernels.h.
#include <bit>
#include <cstring>
#include <type_traits>

#include "device/host/float_formats.h"
#include "device/host/kernels.h"

namespace tutti {
namespace {

// How a type computes: Lane in memory, Value while computing (unsigned for integers, so that they wrap; as wide as int at least).
template <class T>
struct Integer {
  using Lane = T;
  using Value = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;
  static Value widen(T v) { return static_cast<Value>(v); }
  static T narrow(Value v) { return static_cast<T>(v); }
  static bool less(Value v, Value w) { return narrow(v) < narrow(w); }
  static Value divide(Value v, uint32_t divisor) {
    const T whole = narrow(v);  // wrapped, before the division
    if constexpr (std::is_signed_v<T>) {
      return static_cast<Value>(static_cast<int64_t>(whole) / static_cast<int64_t>(divisor));
    } else {
      return static_cast<Value>(whole / divisor);
    }
  }
};

template <class T>
struct Float {
  using Lane = T;
  using Value = T;
  static T widen(T v) { return v; }
  static T narrow(T v) {
    if constexpr (sizeof(T) == 4) {
      return v == v ? v : std::bit_cast<float>(0x7fc00000u);
    } else {
      return v == v ? v : std::bit_cast<double>(uint64_t{0x7ff8000000000000});
    }
  }
  static T divide(T v, uint32_t divisor) { return v / static_cast<T>(divisor); }
  // NaN is less than, and -0 than +0; for maxima the operands change places.
  static bool less(T v, T w) { return v < w || (v == w && __builtin_signbit(v) != 0); }
};

template <class Format>
struct Narrow : Format {
  using Value = float;
  static float divide(float v, uint32_t divisor) { return v / static_cast<float>(divisor); }
  static bool less(float v, float w) { return Float<float>::less(v, w); }
};

template <class Type, Reduction kOp, class Value = typename Type::Value>
Value operate(Value v, Value w) {
  if constexpr (kOp == Reduction::kSum) return static_cast<Value>(v + w);
  if constexpr (kOp == Reduction::kProd) return static_cast<Value>(v * w);
  if (v != v) return v;
  if (w != w) return w;
  if constexpr (kOp == Reduction::kMin) return Type::less(v, w) ? v : w;
  return Type::less(v, w) ? w : v;
}

template <class Lane>
void copy_to_second(const Destination& to, size_t count) {
  if (to.second != nullptr) std::memcpy(to.second, to.first, count * sizeof(Lane));
}

void copy(const Destination& to, const void* src, size_t bytes) {
  if (to.first != src) std::memcpy(to.first, src, bytes);
  copy_to_second<std::byte>(to, bytes);
}

// Elements handled before the second destination, which may be an operand, gets them.
constexpr size_t kBlock = 1024;

template <class Type, class Element>
void run(const Destination& to, const void* a, const void* b, size_t count, const Element& element) {
  using Lane = typename Type::Lane;
  const Lane* const x = static_cast<const Lane*>(a);
  const Lane* const y = static_cast<const Lane*>(b);
  for (size_t begin = 0; begin < count; begin += kBlock) {
    const size_t n = count - begin < kBlock ? count - begin : kBlock;
    const Destination block = {.first = static_cast<Lane*>(to.first) + begin,
                               .second = to.second == nullptr ? nullptr : static_cast<Lane*>(to.second) + begin};
    Lane* const z = static_cast<Lane*>(block.first);
    for (size_t i = 0; i < n; ++i) z[i] = Type::narrow(element(Type::widen(x[begin + i]), Type::widen(y[begin + i])));
    copy_to_second<Lane>(block, n);
  }
}

template <class Type, Reduction kOp>
void reduce(const Destination& to, const void* a, const void* b, size_t count) {
  using Value = typename Type::Value;
  run<Type>(to, a, b, count, [](Value v, Value w) { return operate<Type, kOp>(v, w); });
}

template <class Type>
void compute(const Destination& to, const void* a, const void* b, size_t count, const Arithmetic& arithmetic) {
  using Value = typename Type::Value;
  typename Type::Lane lane;
  std::memcpy(&lane, arithmetic.scalar, sizeof lane);
  const Value scalar = Type::widen(lane);
  run<Type>(to, a, b == nullptr ? a : b, count, [&](Value v, Value w) {
    if (arithmetic.scale_a) v = static_cast<Value>(v * scalar);
    if (arithmetic.scale_b) w = static_cast<Value>(w * scalar);
    if (b != nullptr) {
      switch (arithmetic.op) {
        case Reduction::kSum: v = operate<Type, Reduction::kSum>(v, w); break;
        case Reduction::kProd: v = operate<Type, Reduction::kProd>(v, w); break;
        case Reduction::kMin: v = operate<Type, Reduction::kMin>(v, w); break;
        case Reduction::kMax: v = operate<Type, Reduction::kMax>(v, w); break;
      }
    }
    return arithmetic.divide ? Type::divide(v, arithmetic.divisor) : v;
  });
}

template <class Type>
void add(DataType type, HostKernels& table) {
  table.plain(type, Reduction::kSum) = reduce<Type, Reduction::kSum>;
  table.plain(type, Reduction::kProd) = reduce<Type, Reduction::kProd>;
  table.plain(type, Reduction::kMin) = reduce<Type, Reduction::kMin>;
  table.plain(type, Reduction::kMax) = reduce<Type, Reduction::kMax>;
  table.full(type) = compute<Type>;
}

}  // namespace

void add_baseline_kernels(HostKernels& table) {
  table.copy = copy;
  add<Integer<int8_t>>(DataType::kInt8, table);
  add<Integer<int16_t>>(DataType::kInt16, table);
  add<Integer<int32_t>>(DataType::kInt32, table);
  add<Integer<int64_t>>(DataType::kInt64, table);
  add<Integer<uint8_t>>(DataType::kUint8, table);
  add<Integer<uint16_t>>(DataType::kUint16, table);
  add<Integer<uint32_t>>(DataType::kUint32, table);
  add<Integer<uint64_t>>(DataType::kUint64, table);
  add<Narrow<Float16>>(DataType::kFloat16, table);
  add<Narrow<Bfloat16>>(DataType::kBfloat16, table);
  add<Float<float>>(DataType::kFloat32, table);
  add<Float<double>>(DataType::kFloat64, table);
  add<Narrow<Float8E4m3>>(DataType::kFloat8E4m3, table);
  add<Narrow<Float8E5m2>>(DataType::kFloat8E5m2, table);
}

}  // namespace tutti
