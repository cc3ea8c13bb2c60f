// Where all inputs can be tried, they are: 8-bit floats' pairs, 16-bit floats' values, small integers' quotients. On every instruction set.
#include <gtest/gtest.h>

#include <cstring>

#include "device/host/host_device.h"
#include "device/random_elements.h"

namespace tutti {
namespace {

template <class T>
struct Pairs {
  std::vector<T> a, b;
};

Pairs<uint8_t> all_pairs() {
  Pairs<uint8_t> pairs;
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      pairs.a.push_back(static_cast<uint8_t>(a));
      pairs.b.push_back(static_cast<uint8_t>(b));
    }
  }
  return pairs;
}

template <class T>
void check(const Arithmetic& arithmetic, const Pairs<T>& pairs) {
  const size_t count = pairs.a.size();
  std::vector<T> expected(count), got(count);
  for (size_t i = 0; i < count; ++i) expected[i] = static_cast<T>(oracle_reduce(arithmetic, pairs.a[i], pairs.b[i]));
  for (const std::string_view set : host_instruction_sets()) {
    make_host_device(set)->reduce({.first = got.data()}, pairs.a.data(), pairs.b.data(), count, arithmetic);
    for (size_t i = 0; i < count; ++i) {
      ASSERT_EQ(got[i], expected[i]) << set << ' ' << type_name(arithmetic.type) << ' ' << reduction_name(arithmetic.op) << " divisor "
                                     << arithmetic.divisor << std::hex << ": " << +pairs.a[i] << " op " << +pairs.b[i];
    }
  }
}

class Float8 : public testing::TestWithParam<DataType> {};

TEST_P(Float8, AllPairs) {
  const Pairs<uint8_t> pairs = all_pairs();
  for (const Reduction op : all_reductions()) {
    for (const uint32_t divisor : {0u, 2u, 3u, 7u, 1000u}) {
      check({.type = GetParam(), .op = op, .divide = divisor != 0, .divisor = divisor}, pairs);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(Float8, AllScalars) {
  for (int scalar = 0; scalar < 256; ++scalar) {
    Pairs<uint8_t> pairs;
    for (int a = 0; a < 256; ++a) {
      pairs.a.push_back(static_cast<uint8_t>(a));
      pairs.b.push_back(static_cast<uint8_t>(a * 37 + scalar));
    }
    for (const Reduction op : all_reductions()) {
      Arithmetic arithmetic = {.type = GetParam(), .op = op, .scale_b = true};
      store_element(arithmetic.type, arithmetic.scalar, static_cast<uint64_t>(scalar));
      check(arithmetic, pairs);
      arithmetic.scale_a = true;
      check(arithmetic, pairs);
      if (HasFatalFailure()) return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Device, Float8, testing::Values(DataType::kFloat8E4m3, DataType::kFloat8E5m2),
                         [](const testing::TestParamInfo<DataType>& type) { return std::string(type_name(type.param)); });

class Float16Bits : public testing::TestWithParam<DataType> {};

// x op identity is x, bit for bit, with the one NaN for all NaNs: so widening and rounding lose nothing, denormals and -0 included.
TEST_P(Float16Bits, SurviveWideningAndRounding) {
  const DataType type = GetParam();
  const uint64_t infinity = type == DataType::kFloat16 ? 0x7c00 : 0x7f80;
  const uint64_t identities[] = {0x8000, element_of(type, 1), infinity, infinity | 0x8000};  // of sum, prod, min, max
  std::vector<uint16_t> values(65536), identity(65536), got(65536);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<uint16_t>(i);
  for (const std::string_view set : host_instruction_sets()) {
    const std::unique_ptr<SynchronousDevice> device = make_host_device(set);
    for (const Reduction op : all_reductions()) {
      identity.assign(65536, static_cast<uint16_t>(identities[static_cast<int>(op)]));
      for (const bool general : {false, true}) {
        const Arithmetic arithmetic = {.type = type, .op = op, .divide = general, .divisor = 1};
        device->reduce({.first = got.data()}, values.data(), identity.data(), values.size(), arithmetic);
        for (size_t i = 0; i < values.size(); ++i) {
          const uint64_t expected = is_nan(type, i) ? canonical_nan(type) : i;
          ASSERT_EQ(got[i], expected) << set << ' ' << reduction_name(op) << ' ' << std::hex << i;
        }
      }
    }
  }
}

// Each value with its neighbours, its negative and numbers far smaller: ties, cancellation and the edges of overflow.
TEST_P(Float16Bits, RoundToNearestEven) {
  const DataType type = GetParam();
  RandomElements random(type, 3);
  for (const int step : {1, 3, 1024, 0x8000, 0x8001, 0x0b00, 0x0c01}) {
    Pairs<uint16_t> pairs;
    for (int a = 0; a < 65536; ++a) {
      pairs.a.push_back(static_cast<uint16_t>(a));
      pairs.b.push_back(static_cast<uint16_t>(step == 1 ? random.next() : static_cast<uint64_t>(a + step)));
    }
    for (const Reduction op : all_reductions()) {
      for (const uint32_t divisor : {0u, 3u, 4096u}) {
        check({.type = type, .op = op, .divide = divisor != 0, .divisor = divisor}, pairs);
        if (HasFatalFailure()) return;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Device, Float16Bits, testing::Values(DataType::kFloat16, DataType::kBfloat16),
                         [](const testing::TestParamInfo<DataType>& type) { return std::string(type_name(type.param)); });

TEST(IntegerDivision, IsExactForAllBytes) {
  const Pairs<uint8_t> pairs = all_pairs();
  for (const DataType type : {DataType::kInt8, DataType::kUint8}) {
    for (uint32_t divisor = 1; divisor < 260; ++divisor) {
      Pairs<uint8_t> values;
      for (int v = 0; v < 256; ++v) {
        values.a.push_back(static_cast<uint8_t>(v));
        values.b.push_back(0);
      }
      check({.type = type, .divide = true, .divisor = divisor}, values);
      if (HasFatalFailure()) return;
    }
    for (const Reduction op : all_reductions()) check({.type = type, .op = op, .divide = true, .divisor = 3}, pairs);
  }
}

const std::vector<uint32_t>& awkward_divisors() {
  static const std::vector<uint32_t> divisors = [] {
    std::vector<uint32_t> all = {1, 3, 5, 6, 7, 9, 10, 11, 641, 1000, 65521, 1000003, 4294967291u, 4294967295u};
    for (int k = 1; k < 32; ++k) {
      all.insert(all.end(), {(1u << k) - 1, 1u << k, (1u << k) + 1});
    }
    return all;
  }();
  return divisors;
}

TEST(IntegerDivision, IsExactForAllShorts) {
  Pairs<uint16_t> values;
  for (int v = 0; v < 65536; ++v) {
    values.a.push_back(static_cast<uint16_t>(v));
    values.b.push_back(0);
  }
  for (const DataType type : {DataType::kInt16, DataType::kUint16}) {
    for (const uint32_t divisor : awkward_divisors()) {
      check({.type = type, .divide = true, .divisor = divisor}, values);
      if (HasFatalFailure()) return;
    }
  }
}

// Multiples of the divisor and their neighbours, over the whole range.
template <class T>
void check_multiples(DataType type) {
  RandomElements random(type, 5);
  for (const uint32_t divisor : awkward_divisors()) {
    Pairs<T> values;
    for (int i = 0; i < 300; ++i) {
      const auto multiple = static_cast<T>(static_cast<T>(random.next() / divisor) * divisor);
      for (const T v : {multiple, static_cast<T>(multiple - 1), static_cast<T>(multiple + 1), static_cast<T>(0 - multiple), static_cast<T>(random.next())}) {
        values.a.push_back(v);
        values.b.push_back(0);
      }
    }
    check({.type = type, .divide = true, .divisor = divisor}, values);
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(IntegerDivision, IsExactForWords) {
  check_multiples<uint32_t>(DataType::kInt32);
  check_multiples<uint32_t>(DataType::kUint32);
  check_multiples<uint64_t>(DataType::kInt64);
  check_multiples<uint64_t>(DataType::kUint64);
}

}  // namespace
}  // namespace tutti
