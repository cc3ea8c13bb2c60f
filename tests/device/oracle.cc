#include "device/oracle.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

namespace tutti {
namespace {

using Wide = unsigned __int128;

bool is_signed_integer(DataType type) {
  return type == DataType::kInt8 || type == DataType::kInt16 || type == DataType::kInt32 || type == DataType::kInt64;
}

uint64_t low_bytes(DataType type, Wide value) {
  const size_t bits = 8 * type_bytes(type);
  return static_cast<uint64_t>(value & ((Wide{1} << bits) - 1));
}

__int128 integer_value(DataType type, uint64_t bits) {
  const size_t width = 8 * type_bytes(type);
  const bool negative = is_signed_integer(type) && (bits >> (width - 1) & 1) != 0;
  return static_cast<__int128>(bits) - (negative ? static_cast<__int128>(1) << width : 0);
}

uint64_t integer_operation(DataType type, Reduction op, uint64_t a, uint64_t b) {
  const bool a_less = integer_value(type, a) < integer_value(type, b);
  switch (op) {
    case Reduction::kSum: return low_bytes(type, Wide{a} + b);
    case Reduction::kProd: return low_bytes(type, Wide{a} * b);
    case Reduction::kMin: return a_less ? a : b;
    case Reduction::kMax: return a_less ? b : a;
  }
  return 0;
}

uint64_t integer_divide(DataType type, uint64_t v, uint32_t divisor) {
  return low_bytes(type, static_cast<Wide>(integer_value(type, v) / divisor));
}

// ---- 16- and 8-bit floats

struct Format {
  int exponent_bits;
  int mantissa_bits;
  bool has_infinity;
  uint64_t nan;
};

Format format_of(DataType type) {
  switch (type) {
    case DataType::kFloat16: return {5, 10, true, 0x7e00};
    case DataType::kBfloat16: return {8, 7, true, 0x7fc0};
    case DataType::kFloat8E4m3: return {4, 3, false, 0x7f};
    default: return {5, 2, true, 0x7e};
  }
}

double value_of_code(const Format& format, uint64_t code) {
  const int bias = (1 << (format.exponent_bits - 1)) - 1;
  const uint64_t sign = code >> (format.exponent_bits + format.mantissa_bits) & 1;
  const auto exponent = static_cast<int>(code >> format.mantissa_bits & ((1u << format.exponent_bits) - 1));
  const auto mantissa = static_cast<double>(code & ((1u << format.mantissa_bits) - 1));
  const double one = std::ldexp(1.0, format.mantissa_bits);
  double magnitude;
  if (format.has_infinity && exponent == (1 << format.exponent_bits) - 1) {
    magnitude = mantissa == 0 ? std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  } else if (!format.has_infinity && (code & 0x7f) == 0x7f) {
    magnitude = std::numeric_limits<double>::quiet_NaN();
  } else if (exponent == 0) {
    magnitude = mantissa / one * std::ldexp(1.0, 1 - bias);
  } else {
    magnitude = (1 + mantissa / one) * std::ldexp(1.0, exponent - bias);
  }
  return sign != 0 ? -magnitude : magnitude;
}

// All finite magnitudes; a code is its index.
const std::vector<double>& magnitudes(DataType type) {
  static std::vector<double> tables[kDataTypes];
  std::vector<double>& table = tables[static_cast<int>(type)];
  if (table.empty()) {
    for (uint64_t code = 0;; ++code) {
      const double value = value_of_code(format_of(type), code);
      if (!std::isfinite(value)) break;
      table.push_back(value);
    }
  }
  return table;
}

uint64_t round_to(DataType type, float value) {
  const Format format = format_of(type);
  if (std::isnan(value)) return format.nan;
  const std::vector<double>& table = magnitudes(type);
  const uint64_t sign = std::signbit(value) ? uint64_t{1} << (format.exponent_bits + format.mantissa_bits) : 0;
  const double x = std::fabs(static_cast<double>(value));
  const size_t last = table.size() - 1;
  if (x >= table[last]) {
    const double half_step = (table[last] - table[last - 1]) / 2;
    const bool overflows = format.has_infinity && x >= table[last] + half_step;
    return sign | (overflows ? last + 1 : last);
  }
  const size_t above = std::upper_bound(table.begin(), table.end(), x) - table.begin();
  const size_t below = above - 1;
  const double to_below = x - table[below], to_above = table[above] - x;
  if (to_below != to_above) return sign | (to_below < to_above ? below : above);
  return sign | (below % 2 == 0 ? below : above);
}

// ---- Floats: computing in T, float32 for all but float64

template <class T>
T float_value(DataType type, uint64_t bits) {
  if (type == DataType::kFloat64) return static_cast<T>(std::bit_cast<double>(bits));
  if (type == DataType::kFloat32) return std::bit_cast<float>(static_cast<uint32_t>(bits));
  return static_cast<T>(value_of_code(format_of(type), bits));
}

template <class T>
uint64_t float_bits(DataType type, T value) {
  if (type == DataType::kFloat64) return std::isnan(value) ? canonical_nan(type) : std::bit_cast<uint64_t>(static_cast<double>(value));
  const auto single = static_cast<float>(value);
  if (type == DataType::kFloat32) return std::isnan(single) ? canonical_nan(type) : std::bit_cast<uint32_t>(single);
  return round_to(type, single);
}

template <class T>
T float_operation(Reduction op, T a, T b) {
  if (op == Reduction::kSum) return a + b;
  if (op == Reduction::kProd) return a * b;
  if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<T>::quiet_NaN();
  const bool a_less = a < b || (a == 0 && b == 0 && std::signbit(a));
  return a_less == (op == Reduction::kMin) ? a : b;
}

template <class T>
uint64_t float_compute(const Arithmetic& arithmetic, uint64_t a, uint64_t b, bool binary) {
  const DataType type = arithmetic.type;
  const T scalar = float_value<T>(type, load_element(type, arithmetic.scalar));
  T v = float_value<T>(type, a);
  if (arithmetic.scale_a) v = v * scalar;
  if (binary) {
    T w = float_value<T>(type, b);
    if (arithmetic.scale_b) w = w * scalar;
    v = float_operation(arithmetic.op, v, w);
  }
  if (arithmetic.divide) v = v / static_cast<T>(arithmetic.divisor);
  return float_bits(type, v);
}

uint64_t compute(const Arithmetic& arithmetic, uint64_t a, uint64_t b, bool binary) {
  const DataType type = arithmetic.type;
  if (type == DataType::kFloat64) return float_compute<double>(arithmetic, a, b, binary);
  if (is_float(type)) return float_compute<float>(arithmetic, a, b, binary);
  const uint64_t scalar = load_element(type, arithmetic.scalar);
  if (arithmetic.scale_a) a = integer_operation(type, Reduction::kProd, a, scalar);
  if (arithmetic.scale_b) b = integer_operation(type, Reduction::kProd, b, scalar);
  if (binary) a = integer_operation(type, arithmetic.op, a, b);
  return arithmetic.divide ? integer_divide(type, a, arithmetic.divisor) : a;
}

}  // namespace

bool is_float(DataType type) {
  switch (type) {
    case DataType::kFloat16:
    case DataType::kBfloat16:
    case DataType::kFloat32:
    case DataType::kFloat64:
    case DataType::kFloat8E4m3:
    case DataType::kFloat8E5m2: return true;
    default: return false;
  }
}

uint64_t load_element(DataType type, const void* p) {
  uint64_t bits = 0;
  std::memcpy(&bits, p, type_bytes(type));
  return bits;
}

void store_element(DataType type, void* p, uint64_t bits) {
  std::memcpy(p, &bits, type_bytes(type));
}

uint64_t oracle_reduce(const Arithmetic& arithmetic, uint64_t a, uint64_t b) {
  return compute(arithmetic, a, b, true);
}

uint64_t oracle_transform(const Arithmetic& arithmetic, uint64_t src) {
  if (!arithmetic.scale_a && !arithmetic.divide) return src;
  return compute(arithmetic, src, 0, false);
}

uint64_t canonical_nan(DataType type) {
  if (type == DataType::kFloat64) return 0x7ff8000000000000;
  if (type == DataType::kFloat32) return 0x7fc00000;
  return format_of(type).nan;
}

bool is_nan(DataType type, uint64_t bits) {
  return is_float(type) && std::isnan(float_value<double>(type, bits));
}

uint64_t element_of(DataType type, int value) {
  if (!is_float(type)) return low_bytes(type, static_cast<Wide>(static_cast<__int128>(value)));
  return float_bits(type, static_cast<double>(value));
}

}  // namespace tutti
