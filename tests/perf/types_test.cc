// The numbers of each element type, as tutti-perf encodes them without the library.
#include "perf/types.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <stdexcept>

namespace perf {
namespace {

const DataType& type_of(std::string_view name) {
  for (const DataType& type : data_types()) {
    if (type.name == name) return type;
  }
  throw std::runtime_error("no such type");
}

TEST(Types, KnownEncodings) {
  struct Case {
    const char* type;
    double value;
    uint64_t bits;
  };
  for (const Case& c : {Case{"float16", 1, 0x3C00},         Case{"float16", 2048, 0x6800},  Case{"float16", 0x1p-14, 0x0400},
                        Case{"float16", 0x1p-24, 0x0001},   Case{"float16", -2, 0xC000},    Case{"bfloat16", 256, 0x4380},
                        Case{"bfloat16", -1, 0xBF80},       Case{"float8_e4m3", 1, 0x38},   Case{"float8_e4m3", 16, 0x58},
                        Case{"float8_e4m3", -3, 0xC4},      Case{"float8_e4m3", 448, 0x7E}, Case{"float8_e4m3", 0x1p-6, 0x08},
                        Case{"float8_e4m3", 0x1p-9, 0x01},  Case{"float8_e5m2", 1, 0x3C},   Case{"float8_e5m2", 8, 0x48},
                        Case{"float8_e5m2", 0x1p-16, 0x01}, Case{"int8", -128, 0x80},       Case{"int8", -1, 0xFF},
                        Case{"uint8", 255, 0xFF},           Case{"int16", -2, 0xFFFE},      Case{"uint64", 0x1p63, uint64_t{1} << 63},
                        Case{"int64", -1, ~uint64_t{0}}}) {
    EXPECT_EQ(type_of(c.type).encode(c.value), c.bits) << c.type << " " << c.value;
    EXPECT_EQ(type_of(c.type).decode(c.bits), c.value) << c.type << " " << c.bits;
  }
}

TEST(Types, FloatsAreRoundedToNearestEven) {
  struct Case {
    double value;
    double rounded;
  };
  for (const Case& c : {Case{9, 8}, Case{11, 12}, Case{9.01, 10}, Case{-11, -12}, Case{15, 16}, Case{1.0 / 7, 0.15625}}) {
    const DataType& e5m2 = type_of("float8_e5m2");
    EXPECT_EQ(e5m2.decode(e5m2.encode(c.value)), c.rounded) << c.value;
  }
}

TEST(Types, FloatsHaveTheCompilersBits) {
  for (const double value : {0.0, 1.0, -1.0, 3.0, 0x1p-130, 1.0 / 3, -16777215.0, 0x1.fffffep127}) {
    EXPECT_EQ(type_of("float32").encode(value), std::bit_cast<uint32_t>(static_cast<float>(value))) << value;
    EXPECT_EQ(type_of("float64").encode(value), std::bit_cast<uint64_t>(value)) << value;
  }
}

TEST(Types, LimitsAreExactAndInRange) {
  for (const DataType& type : data_types()) {
    const auto largest = static_cast<double>(type.largest_exact());
    for (const double value : {largest, largest - 1, largest * type.grain(), std::ldexp(1.0, type.largest_power())}) {
      EXPECT_EQ(type.decode(type.encode(value)), value) << type.name;
      if (type.kind != Kind::kUnsigned) {
        EXPECT_EQ(type.decode(type.encode(-value)), -value) << type.name;
      }
    }
    if (type.kind == Kind::kFloat) {
      const double least = std::ldexp(1.0, -type.largest_power());
      EXPECT_EQ(type.decode(type.encode(least)), least) << type.name;
    }
  }
}

TEST(Types, NotANumberAndInfinityAreSaid) {
  const std::byte ones[8] = {std::byte{0xFF}, std::byte{0xFF}, std::byte{0xFF}, std::byte{0xFF},
                             std::byte{0xFF}, std::byte{0xFF}, std::byte{0xFF}, std::byte{0xFF}};
  for (const DataType& type : data_types()) {
    EXPECT_EQ(type.describe(ones).find("nan") != std::string::npos, type.kind == Kind::kFloat) << type.describe(ones);
  }
  EXPECT_EQ(type_of("uint16").describe(ones), "65535 (0xffff)");
  EXPECT_EQ(type_of("float8_e5m2").decode(0xFC), -HUGE_VAL);
}

TEST(Types, AveragesAreDividedOnce) {
  EXPECT_EQ(average(type_of("int32"), -7, 2), -3);
  EXPECT_EQ(average(type_of("uint8"), 255, 16), 15);
  EXPECT_EQ(average(type_of("int64"), 0x1p53 - 1, 2), 0x1p52 - 1);
  EXPECT_EQ(average(type_of("float64"), 1, 3), 1.0 / 3);
  EXPECT_EQ(average(type_of("float32"), 1, 3), static_cast<double>(1.0f / 3.0f));
}

}  // namespace
}  // namespace perf
