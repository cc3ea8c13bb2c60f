// Test data of any type: random bits, small numbers, and what is special about the type.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "device/oracle.h"

namespace tutti {

inline std::vector<DataType> all_types() {
  std::vector<DataType> types;
  for (int i = 0; i < kDataTypes; ++i) types.push_back(static_cast<DataType>(i));
  return types;
}

inline std::vector<Reduction> all_reductions() {
  return {Reduction::kSum, Reduction::kProd, Reduction::kMin, Reduction::kMax};
}

// Zeros, infinities, the greatest and least numbers, denormals, quiet and signalling NaNs with payloads; for integers the ends of the range.
inline std::vector<uint64_t> special_elements(DataType type) {
  const auto bits = static_cast<int>(8 * type_bytes(type));
  const uint64_t sign = uint64_t{1} << (bits - 1);
  std::vector<uint64_t> magnitudes = {0, 1, 2, 3, sign - 1, sign - 2};
  switch (type) {
    case DataType::kFloat16: magnitudes.insert(magnitudes.end(), {0x7c00, 0x7bff, 0x0400, 0x03ff, 0x7e00, 0x7d01, 0x7c01, 0x3c00, 0x3c01}); break;
    case DataType::kBfloat16: magnitudes.insert(magnitudes.end(), {0x7f80, 0x7f7f, 0x0080, 0x007f, 0x7fc0, 0x7f81, 0x7fa5, 0x3f80, 0x3f81}); break;
    case DataType::kFloat32:
      magnitudes.insert(magnitudes.end(), {0x7f800000, 0x7f7fffff, 0x00800000, 0x007fffff, 0x7fc00000, 0x7f800001, 0x7fabcdef, 0x3f800000});
      break;
    case DataType::kFloat64:
      magnitudes.insert(magnitudes.end(), {0x7ff0000000000000, 0x7fefffffffffffff, 0x0010000000000000, 0x000fffffffffffff, 0x7ff8000000000000,
                                           0x7ff0000000000001, 0x7ff4dcba98765432, 0x3ff0000000000000});
      break;
    case DataType::kFloat8E4m3: magnitudes.insert(magnitudes.end(), {0x7f, 0x7e, 0x08, 0x07, 0x38}); break;
    case DataType::kFloat8E5m2: magnitudes.insert(magnitudes.end(), {0x7c, 0x7b, 0x04, 0x03, 0x7e, 0x7d, 0x3c}); break;
    default: break;
  }
  std::vector<uint64_t> elements;
  for (const uint64_t magnitude : magnitudes) {
    elements.push_back(magnitude);
    elements.push_back(magnitude | sign);
  }
  return elements;
}

class RandomElements {
 public:
  explicit RandomElements(DataType type, uint64_t seed) : type_(type), random_(seed), special_(special_elements(type)) {}

  // Half random bits, the rest small numbers (whose sums cancel and tie) and special elements.
  uint64_t next() {
    const uint64_t choice = random_() % 16;
    if (choice < 3) return special_[random_() % special_.size()];
    if (choice < 8) return element_of(type_, static_cast<int>(random_() % 65) - 32);
    const size_t bits = 8 * type_bytes(type_);
    return bits == 64 ? random_() : random_() & ((uint64_t{1} << bits) - 1);
  }

  // Packed as in memory.
  std::vector<std::byte> take(size_t count) {
    std::vector<std::byte> bytes(count * type_bytes(type_));
    for (size_t i = 0; i < count; ++i) store_element(type_, bytes.data() + i * type_bytes(type_), next());
    return bytes;
  }

 private:
  DataType type_;
  std::mt19937_64 random_;
  std::vector<uint64_t> special_;
};

}  // namespace tutti
