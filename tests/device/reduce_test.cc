// Every type x operation x scaling and division x length x alignment x kind of destination, on every instruction set that this CPU runs,
// against the oracle; what lies around the destinations must stay.
#include <gtest/gtest.h>

#include <cstring>

#include "device/host/host_device.h"
#include "device/random_elements.h"

namespace tutti {
namespace {

constexpr size_t kShort = 131;
constexpr size_t kLong = 4099;  // several rounds of every loop, and awkward
constexpr size_t kMargin = 128;  // bytes around a destination that must stay
constexpr std::byte kUntouched{0xa5};

struct Layout {
  size_t a, b, first, second;  // elements away from a vector's alignment
};
constexpr Layout kLayouts[] = {{0, 0, 0, 0}, {1, 0, 3, 2}, {0, 5, 1, 7}, {3, 3, 3, 3}};

enum class Where { kOther, kInPlaceA, kInPlaceB, kSecondInPlaceA };
struct Kind {
  Where where;
  bool second;
  bool stream;
};
constexpr Kind kKinds[] = {{Where::kOther, false, false},   {Where::kOther, true, false},    {Where::kOther, false, true},
                           {Where::kOther, true, true},     {Where::kInPlaceA, false, false}, {Where::kInPlaceA, true, true},
                           {Where::kInPlaceB, false, true}, {Where::kSecondInPlaceA, true, true}};

// Memory aligned to a vector, with an offset and margins.
class Area {
 public:
  // Room for `bytes` bytes, `offset` bytes behind a vector's alignment; they and the margins are cleared.
  std::byte* place(size_t offset, size_t bytes) {
    const auto address = reinterpret_cast<uintptr_t>(storage_.data());
    begin_ = storage_.data() + (64 - address % 64) % 64 + kMargin + offset;
    end_ = begin_ + bytes;
    std::memset(begin_ - kMargin, static_cast<int>(kUntouched), bytes + 2 * kMargin);
    return begin_;
  }
  bool margins_untouched() const {
    for (size_t i = 0; i < kMargin; ++i) {
      if (begin_[-1 - static_cast<ptrdiff_t>(i)] != kUntouched || end_[i] != kUntouched) return false;
    }
    return true;
  }

 private:
  std::vector<std::byte> storage_ = std::vector<std::byte>((kLong + 8) * 8 + 2 * kMargin + 64);
  std::byte* begin_ = nullptr;
  std::byte* end_ = nullptr;
};

struct Case {
  Arithmetic arithmetic;
  bool transform = false;
  std::vector<std::byte> a, b, expected;  // kLong elements
};

Case make_case(Arithmetic arithmetic, bool transform, uint64_t seed) {
  const DataType type = arithmetic.type;
  const size_t size = type_bytes(type);
  RandomElements random(type, seed);
  Case c = {.arithmetic = arithmetic, .transform = transform, .a = random.take(kLong), .b = random.take(kLong), .expected = {}};
  c.expected.resize(kLong * size);
  for (size_t i = 0; i < kLong; ++i) {
    const uint64_t a = load_element(type, c.a.data() + i * size), b = load_element(type, c.b.data() + i * size);
    store_element(type, c.expected.data() + i * size, transform ? oracle_transform(arithmetic, a) : oracle_reduce(arithmetic, a, b));
  }
  return c;
}

std::string describe(const Case& c, size_t i) {
  const DataType type = c.arithmetic.type;
  const size_t at = i * type_bytes(type);
  char text[200];
  std::snprintf(text, sizeof text, "%s %s, scale a %d b %d by %llx, divisor %u: element %zu is %llx op %llx, expected %llx", type_name(type),
                c.transform ? "transform" : reduction_name(c.arithmetic.op), c.arithmetic.scale_a, c.arithmetic.scale_b,
                static_cast<unsigned long long>(load_element(type, c.arithmetic.scalar)), c.arithmetic.divide ? c.arithmetic.divisor : 0u, i,
                static_cast<unsigned long long>(load_element(type, c.a.data() + at)),
                static_cast<unsigned long long>(load_element(type, c.b.data() + at)),
                static_cast<unsigned long long>(load_element(type, c.expected.data() + at)));
  return text;
}

testing::AssertionResult same(const Case& c, const std::byte* got, size_t count) {
  const size_t size = type_bytes(c.arithmetic.type);
  if (count == 0 || std::memcmp(got, c.expected.data(), count * size) == 0) return testing::AssertionSuccess();
  size_t i = 0;
  while (std::memcmp(got + i * size, c.expected.data() + i * size, size) == 0) ++i;
  return testing::AssertionFailure() << describe(c, i) << ", got " << std::hex << load_element(c.arithmetic.type, got + i * size);
}

class Bench {
 public:
  void run(const Device& device, const Case& c, size_t count, const Layout& layout, const Kind& kind) {
    const size_t size = type_bytes(c.arithmetic.type), bytes = count * size;
    std::byte* const a = put(a_, layout.a * size, c.a, bytes);
    std::byte* const b = put(b_, layout.b * size, c.b, bytes);
    std::byte* first = first_.place(layout.first * size, bytes);
    std::byte* second = second_.place(layout.second * size, bytes);
    if (kind.where == Where::kInPlaceA || (c.transform && kind.where == Where::kInPlaceB)) {
      first = a;
    } else if (kind.where == Where::kInPlaceB) {
      first = b;
    } else if (kind.where == Where::kSecondInPlaceA) {
      second = a;
    }
    const Destination to = {.first = first, .second = kind.second ? second : nullptr, .stream = kind.stream};
    if (c.transform) {
      device.transform(to, a, count, c.arithmetic);
    } else {
      device.reduce(to, a, b, count, c.arithmetic);
    }
    ASSERT_TRUE(same(c, first, count)) << "first, count " << count;
    if (kind.second) {
      ASSERT_TRUE(same(c, second, count)) << "second, count " << count;
    }
    ASSERT_TRUE(first_.margins_untouched() && second_.margins_untouched() && a_.margins_untouched() && b_.margins_untouched())
        << describe(c, 0) << ": wrote outside, count " << count;
    ASSERT_TRUE(count == 0 || a == first || a == second || std::memcmp(a, c.a.data(), bytes) == 0) << "operand a changed";
    ASSERT_TRUE(count == 0 || b == first || std::memcmp(b, c.b.data(), bytes) == 0) << "operand b changed";
  }

 private:
  static std::byte* put(Area& area, size_t offset, const std::vector<std::byte>& from, size_t bytes) {
    std::byte* const p = area.place(offset, bytes);
    if (bytes != 0) std::memcpy(p, from.data(), bytes);
    return p;
  }

  Area a_, b_, first_, second_;
};

// What is scaled and divided: nothing, each, both operands, powers of two and others.
struct Extra {
  bool scale_a, scale_b;
  uint32_t divisor;  // 0: none
};
constexpr Extra kExtras[] = {{false, false, 0}, {false, true, 0},  {true, true, 0},  {false, false, 3},
                             {true, false, 8},  {true, true, 100}, {false, true, 1}, {false, false, 70000}};

class EveryType : public testing::TestWithParam<DataType> {};

TEST_P(EveryType, ReducesAndTransforms) {
  const DataType type = GetParam();
  std::vector<Case> cases;
  uint64_t seed = 1;
  const auto add = [&](Reduction op, const Extra& extra, bool transform) {
    Arithmetic arithmetic = {.type = type, .op = op, .scale_a = extra.scale_a, .scale_b = extra.scale_b};
    arithmetic.divide = extra.divisor != 0;
    arithmetic.divisor = extra.divisor;
    store_element(type, arithmetic.scalar, element_of(type, seed % 2 == 0 ? -3 : 5));
    cases.push_back(make_case(arithmetic, transform, seed++));
  };
  for (const Extra& extra : kExtras) {
    for (const Reduction op : all_reductions()) add(op, extra, false);
    if (!extra.scale_b || extra.scale_a) add(Reduction::kSum, extra, true);
  }
  Bench bench;
  for (const std::string_view set : host_instruction_sets()) {
    SCOPED_TRACE(std::string(set));
    const std::unique_ptr<Device> device = make_host_device(set);
    for (const Case& c : cases) {
      for (size_t layout = 0; layout < std::size(kLayouts); ++layout) {
        for (size_t kind = 0; kind < std::size(kKinds); ++kind) {
          // Every length with one kind of destination in turn, the lengths that decide with all.
          for (size_t count = 0; count < kShort; ++count) {
            if (count % std::size(kKinds) == (kind + layout) % std::size(kKinds)) bench.run(*device, c, count, kLayouts[layout], kKinds[kind]);
          }
          for (const size_t count : {size_t{1}, size_t{64}, size_t{1021}, kLong}) bench.run(*device, c, count, kLayouts[layout], kKinds[kind]);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

// Scaling by what a user may well pass: NaN, infinity, zeros, the extremes.
TEST_P(EveryType, ScalesBySpecialScalars) {
  const DataType type = GetParam();
  Bench bench;
  uint64_t seed = 1;
  for (const uint64_t scalar : special_elements(type)) {
    for (const Extra& extra : {Extra{true, true, 0}, Extra{false, true, 3}}) {
      for (const bool transform : {false, true}) {
        Arithmetic arithmetic = {.type = type, .scale_a = extra.scale_a || transform, .scale_b = extra.scale_b};
        arithmetic.divide = extra.divisor != 0;
        arithmetic.divisor = extra.divisor;
        store_element(type, arithmetic.scalar, scalar);
        for (const Reduction op : all_reductions()) {
          arithmetic.op = op;
          const Case c = make_case(arithmetic, transform, seed++);
          for (const std::string_view set : host_instruction_sets()) {
            SCOPED_TRACE(std::string(set));
            bench.run(*make_host_device(set), c, 1021, kLayouts[1], kKinds[0]);
            if (HasFatalFailure()) return;
          }
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Device, EveryType, testing::ValuesIn(all_types()),
                         [](const testing::TestParamInfo<DataType>& type) { return std::string(type_name(type.param)); });

TEST(Copy, WritesEveryDestination) {
  RandomElements random(DataType::kUint8, 7);
  Case c = {.arithmetic = {.type = DataType::kUint8}, .transform = true, .a = random.take(kLong), .b = random.take(kLong), .expected = {}};
  c.expected = c.a;
  Bench bench;
  for (const std::string_view set : host_instruction_sets()) {
    SCOPED_TRACE(std::string(set));
    const std::unique_ptr<Device> device = make_host_device(set);
    for (const Layout& layout : kLayouts) {
      for (const Kind& kind : kKinds) {
        for (size_t count = 0; count < 700; ++count) bench.run(*device, c, count, layout, kind);
        bench.run(*device, c, kLong, layout, kind);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(HostDevice, IsTheBestInstructionSet) {
  EXPECT_STREQ(host_device().name(), "host");
  ASSERT_FALSE(host_instruction_sets().empty());
  EXPECT_EQ(host_instruction_sets().back(), "baseline");
  EXPECT_EQ(make_host_device("no such set"), nullptr);
}

TEST(Types, HaveNamesAndSizes) {
  EXPECT_STREQ(type_name(DataType::kFloat8E4m3), "float8_e4m3");
  EXPECT_STREQ(reduction_name(Reduction::kProd), "prod");
  size_t bytes = 0;
  for (const DataType type : all_types()) bytes += type_bytes(type);
  EXPECT_EQ(bytes, 2u * (1 + 2 + 4 + 8) + 2 + 2 + 4 + 8 + 1 + 1);
}

}  // namespace
}  // namespace tutti
