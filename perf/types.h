// The tables of element types and reductions. A new one is a row in types.cc and nothing elsewhere. How numbers look in each type's bits is
// worked out here from the row, without the library, whose conversions and kernels are what is tested.
//
// Invariant: rows are constant and live forever. Threads: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "tutti/tutti.h"

namespace perf {

enum class Kind { kSigned, kUnsigned, kFloat };

struct DataType {
  std::string_view name;   // as printed
  std::string_view alias;  // nccl-tests' spelling
  tuttiDataType_t id;
  size_t bytes;
  Kind kind;
  int exponent_bits;  // floats: IEEE's layout, 1 + exponent_bits + fraction_bits
  int fraction_bits;

  // Every integer of at most this magnitude is exact, here and in a double.
  uint64_t largest_exact() const;
  // largest_exact() times this is exact and near the largest number; floats: 1.
  double grain() const;
  // 2^e is exact for 0 <= e <= this; floats: also for the negative of each.
  int largest_power() const;

  // The type's bits of `value`, which is in its range: integers are exact, floats rounded to nearest even.
  uint64_t encode(double value) const;
  double decode(uint64_t bits) const;
  // For messages: "3 (0x42)".
  std::string describe(const std::byte* element) const;

 private:
  int digits() const;  // of an integer, without its sign
};

// What the ranks' numbers have to be for every partial result to be exact.
enum class Draw {
  kAny,       // nothing: the result is one of them
  kSummands,  // magnitudes of at most largest_exact() together
  kFactors,   // powers of two, exponents' magnitudes of at most largest_power() together
};

struct RedOp {
  std::string_view name;
  tuttiRedOp_t id;
  Draw draw;
  double (*combine)(double, double);
  bool averages;  // at the end divided by the number of ranks
};

std::span<const DataType> data_types();
std::span<const RedOp> red_ops();

// In the place of a reduction where the collective has none.
const RedOp& no_reduction();

// The exact reduction `total` of all ranks' numbers, divided as an average is: integers truncated, floats in float32 (float64: in float64).
double average(const DataType& type, double total, int ranks);

}  // namespace perf
