// See types.h.
#include "types.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>

namespace perf {
namespace {

constexpr int kDoubleDigits = std::numeric_limits<double>::digits;

constexpr std::array kDataTypes{
    DataType{"int8", "int8", tuttiInt8, 1, Kind::kSigned, 0, 0},
    DataType{"uint8", "uint8", tuttiUint8, 1, Kind::kUnsigned, 0, 0},
    DataType{"int16", "int16", tuttiInt16, 2, Kind::kSigned, 0, 0},
    DataType{"uint16", "uint16", tuttiUint16, 2, Kind::kUnsigned, 0, 0},
    DataType{"int32", "int32", tuttiInt32, 4, Kind::kSigned, 0, 0},
    DataType{"uint32", "uint32", tuttiUint32, 4, Kind::kUnsigned, 0, 0},
    DataType{"int64", "int64", tuttiInt64, 8, Kind::kSigned, 0, 0},
    DataType{"uint64", "uint64", tuttiUint64, 8, Kind::kUnsigned, 0, 0},
    DataType{"float16", "half", tuttiFloat16, 2, Kind::kFloat, 5, 10},
    DataType{"bfloat16", "bfloat16", tuttiBfloat16, 2, Kind::kFloat, 8, 7},
    DataType{"float32", "float", tuttiFloat32, 4, Kind::kFloat, 8, 23},
    DataType{"float64", "double", tuttiFloat64, 8, Kind::kFloat, 11, 52},
    DataType{"float8_e4m3", "f8e4m3", tuttiFloat8e4m3, 1, Kind::kFloat, 4, 3},
    DataType{"float8_e5m2", "f8e5m2", tuttiFloat8e5m2, 1, Kind::kFloat, 5, 2},
};

double add(double a, double b) {
  return a + b;
}
double multiply(double a, double b) {
  return a * b;
}
double larger(double a, double b) {
  return std::max(a, b);
}
double smaller(double a, double b) {
  return std::min(a, b);
}
double first(double a, double /*b*/) {
  return a;
}

constexpr std::array kRedOps{
    RedOp{"sum", tuttiSum, Draw::kSummands, add, false}, RedOp{"prod", tuttiProd, Draw::kFactors, multiply, false},
    RedOp{"min", tuttiMin, Draw::kAny, smaller, false},  RedOp{"max", tuttiMax, Draw::kAny, larger, false},
    RedOp{"avg", tuttiAvg, Draw::kSummands, add, true},
};

constexpr RedOp kNoReduction{"none", tuttiSum, Draw::kAny, first, false};

}  // namespace

int DataType::digits() const {
  return 8 * static_cast<int>(bytes) - (kind == Kind::kSigned ? 1 : 0);
}

uint64_t DataType::largest_exact() const {
  if (kind == Kind::kFloat) return uint64_t{1} << (fraction_bits + 1);
  return (uint64_t{1} << std::min(digits(), kDoubleDigits)) - 1;
}

double DataType::grain() const {
  return kind == Kind::kFloat ? 1.0 : std::ldexp(1.0, std::max(0, digits() - kDoubleDigits));
}

int DataType::largest_power() const {
  return kind == Kind::kFloat ? (1 << (exponent_bits - 1)) - 2 : digits() - 1;
}

// The stored exponent is 1 for the least normal numbers, whose leading bit the fraction then carries into it; below them it is 0.
uint64_t DataType::encode(double value) const {
  if (value == 0) return 0;
  if (kind == Kind::kSigned) return static_cast<uint64_t>(static_cast<int64_t>(value)) & (~uint64_t{0} >> (64 - 8 * bytes));
  if (kind == Kind::kUnsigned) return static_cast<uint64_t>(value);
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = std::max(std::ilogb(value), 1 - bias);
  const double fraction = std::nearbyint(std::ldexp(std::fabs(value), fraction_bits - exponent));
  const uint64_t magnitude = (static_cast<uint64_t>(exponent + bias - 1) << fraction_bits) + static_cast<uint64_t>(fraction);
  return magnitude | (std::signbit(value) ? uint64_t{1} << (exponent_bits + fraction_bits) : 0);
}

double DataType::decode(uint64_t bits) const {
  if (kind == Kind::kUnsigned) return static_cast<double>(bits);
  if (kind == Kind::kSigned) return static_cast<double>(static_cast<int64_t>(bits << (64 - 8 * bytes)) >> (64 - 8 * bytes));
  const uint64_t fraction = bits & ((uint64_t{1} << fraction_bits) - 1);
  const int ones = (1 << exponent_bits) - 1;
  const int exponent = static_cast<int>(bits >> fraction_bits) & ones;
  const double sign = (bits >> (exponent_bits + fraction_bits)) & 1 ? -1 : 1;
  const bool ocp_finite = id == tuttiFloat8e4m3;  // no infinities, and one NaN of each sign
  if (exponent == ones && (!ocp_finite || fraction == 7)) {
    return fraction == 0 ? sign * std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  }
  const uint64_t leading = exponent == 0 ? 0 : uint64_t{1} << fraction_bits;
  return sign * std::ldexp(static_cast<double>(fraction + leading), std::max(exponent, 1) - ones / 2 - fraction_bits);
}

std::string DataType::describe(const std::byte* element) const {
  uint64_t bits = 0;
  for (size_t byte = bytes; byte-- > 0;) bits = bits << 8 | static_cast<uint64_t>(element[byte]);  // hosts are little-endian
  char text[64];
  std::snprintf(text, sizeof(text), "%.17g (0x%0*llx)", decode(bits), 2 * static_cast<int>(bytes), static_cast<unsigned long long>(bits));
  return text;
}

std::span<const DataType> data_types() {
  return kDataTypes;
}
std::span<const RedOp> red_ops() {
  return kRedOps;
}
const RedOp& no_reduction() {
  return kNoReduction;
}

double average(const DataType& type, double total, int ranks) {
  if (type.kind != Kind::kFloat) return static_cast<double>(static_cast<int64_t>(total) / ranks);
  if (type.id == tuttiFloat64) return total / ranks;
  return static_cast<float>(total) / static_cast<float>(ranks);
}

}  // namespace perf
