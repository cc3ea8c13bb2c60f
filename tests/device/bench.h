// The conformance bench of devices: one call on some layout of its operands, against the oracle; what lies around the destinations must
// stay. Threading: one thread.
#pragma once

#include <gtest/gtest.h>

#include <cstring>

#include "device/random_elements.h"
#include "support/eventually.h"

namespace tutti {

inline constexpr size_t kShort = 131;
inline constexpr size_t kLong = 4099;   // several rounds of every loop, and awkward
inline constexpr size_t kMargin = 128;  // bytes around a destination that must stay
inline constexpr std::byte kUntouched{0xa5};

struct Layout {
  size_t a, b, first, second;  // elements away from a vector's alignment
};
inline constexpr Layout kLayouts[] = {{0, 0, 0, 0}, {1, 0, 3, 2}, {0, 5, 1, 7}, {3, 3, 3, 3}};

enum class Where { kOther, kInPlaceA, kInPlaceB, kSecondInPlaceA };
struct Kind {
  Where where;
  bool second;
  bool stream;
};
inline constexpr Kind kKinds[] = {{Where::kOther, false, false},   {Where::kOther, true, false},        {Where::kOther, false, true},
                                  {Where::kOther, true, true},     {Where::kInPlaceA, false, false},    {Where::kInPlaceA, true, true},
                                  {Where::kInPlaceB, false, true}, {Where::kSecondInPlaceA, true, true}};

// Memory aligned to a vector, with an offset and margins.
class Area {
 public:
  // Room for `bytes` bytes, `offset` bytes behind a vector's alignment; they and the margins are cleared.
  std::byte* place(size_t offset, size_t bytes) {
    begin_ = storage_ + kMargin + offset;
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
  alignas(64) std::byte storage_[(kLong + 8) * 8 + 2 * kMargin];
  std::byte* begin_ = nullptr;
  std::byte* end_ = nullptr;
};

struct Case {
  Arithmetic arithmetic;
  bool transform = false;
  std::vector<std::byte> a, b, expected;  // kLong elements
};

inline Case make_case(Arithmetic arithmetic, bool transform, uint64_t seed) {
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

inline std::string describe(const Case& c, size_t i) {
  const DataType type = c.arithmetic.type;
  const size_t at = i * type_bytes(type);
  char text[200];
  std::snprintf(text, sizeof text, "%s %s, scale a %d b %d by %llx, divisor %u: element %zu is %llx op %llx, expected %llx",
                type_name(type), c.transform ? "transform" : reduction_name(c.arithmetic.op), c.arithmetic.scale_a, c.arithmetic.scale_b,
                static_cast<unsigned long long>(load_element(type, c.arithmetic.scalar)), c.arithmetic.divide ? c.arithmetic.divisor : 0u,
                i, static_cast<unsigned long long>(load_element(type, c.a.data() + at)),
                static_cast<unsigned long long>(load_element(type, c.b.data() + at)),
                static_cast<unsigned long long>(load_element(type, c.expected.data() + at)));
  return text;
}

inline testing::AssertionResult same(const Case& c, const std::byte* got, size_t count) {
  const size_t size = type_bytes(c.arithmetic.type);
  if (count == 0 || std::memcmp(got, c.expected.data(), count * size) == 0) return testing::AssertionSuccess();
  size_t i = 0;
  while (std::memcmp(got + i * size, c.expected.data() + i * size, size) == 0) ++i;
  return testing::AssertionFailure() << describe(c, i) << ", got " << std::hex << load_element(c.arithmetic.type, got + i * size);
}

// Of a synchronous device; see QueueBench for the others.
class Bench {
 public:
  virtual ~Bench() = default;

  void run(DataPath& device, const Case& c, size_t count, const Layout& layout, const Kind& kind) {
    const size_t size = type_bytes(c.arithmetic.type), bytes = count * size;
    std::byte* const a = put(areas_.a, layout.a * size, c.a, bytes);
    std::byte* const b = put(areas_.b, layout.b * size, c.b, bytes);
    std::byte* first = areas_.first.place(layout.first * size, bytes);
    std::byte* second = areas_.second.place(layout.second * size, bytes);
    if (kind.where == Where::kInPlaceA || (c.transform && kind.where == Where::kInPlaceB)) {
      first = a;
    } else if (kind.where == Where::kInPlaceB) {
      first = b;
    } else if (kind.where == Where::kSecondInPlaceA) {
      second = a;
    }
    const Destination to = {.first = first, .second = kind.second ? second : nullptr, .stream = kind.stream};
    call(device, c, to, a, b, count);
    if (testing::Test::HasFatalFailure()) return;
    ASSERT_TRUE(same(c, first, count)) << "first, count " << count;
    if (kind.second) {
      ASSERT_TRUE(same(c, second, count)) << "second, count " << count;
    }
    ASSERT_TRUE(areas_.first.margins_untouched() && areas_.second.margins_untouched() && areas_.a.margins_untouched() &&
                areas_.b.margins_untouched())
        << describe(c, 0) << ": wrote outside, count " << count;
    ASSERT_TRUE(count == 0 || a == first || a == second || std::memcmp(a, c.a.data(), bytes) == 0) << "operand a changed";
    ASSERT_TRUE(count == 0 || b == first || std::memcmp(b, c.b.data(), bytes) == 0) << "operand b changed";
  }

 protected:
  virtual void call(DataPath& device, const Case& c, const Destination& to, const std::byte* a, const std::byte* b, size_t count) {
    if (c.transform) {
      device.transform(to, a, count, c.arithmetic);
    } else {
      device.reduce(to, a, b, count, c.arithmetic);
    }
  }

  struct Areas {
    Area a, b, first, second;
  };
  Areas& areas() { return areas_; }

 private:
  static std::byte* put(Area& area, size_t offset, const std::vector<std::byte>& from, size_t bytes) {
    std::byte* const p = area.place(offset, bytes);
    if (bytes != 0) std::memcpy(p, from.data(), bytes);
    return p;
  }

  Areas areas_;
};

// Of a device with queues, whose memory the host may not touch: all areas go there, the call is issued behind that, and they come back
// behind it, on one queue and with one wait. `b_in_host`: operand b stays in the host's memory, as what arrives in a FIFO's slot does.
class QueueBench : public Bench {
 public:
  QueueBench(Device& device, bool b_in_host)
      : device_(device), b_in_host_(b_in_host), there_(static_cast<std::byte*>(device.allocate(sizeof(Areas)))) {}
  ~QueueBench() override { device_.free(there_); }
  QueueBench(const QueueBench&) = delete;
  QueueBench& operator=(const QueueBench&) = delete;

 protected:
  void call(DataPath& path, const Case& c, const Destination& to, const std::byte* a, const std::byte* b, size_t count) override {
    ASSERT_NE(there_, nullptr);
    auto& queue = dynamic_cast<DeviceQueue&>(path);
    const auto* const here = reinterpret_cast<const std::byte*>(&areas());
    const auto moved = [&](const void* p) { return p == nullptr ? nullptr : there_ + (static_cast<const std::byte*>(p) - here); };
    const bool b_is_written = to.first == b || to.second == b;
    queue.copy({.first = there_}, here, sizeof(Areas));
    Bench::call(queue, c, {.first = moved(to.first), .second = moved(to.second), .stream = to.stream}, moved(a),
                b_in_host_ && !b_is_written ? b : moved(b), count);
    queue.copy({.first = &areas()}, there_, sizeof(Areas));
    const Status waited = wait_for(queue, device_, kTestPatience_s);
    ASSERT_TRUE(waited.ok()) << waited.message();
    ASSERT_EQ(queue.state(), QueueState::kFinished) << queue.failure();
  }

 private:
  Device& device_;
  bool b_in_host_;
  std::byte* there_;
};

// What is scaled and divided: nothing, each, both operands, powers of two and others.
struct Extra {
  bool scale_a, scale_b;
  uint32_t divisor;  // 0: none
};
inline constexpr Extra kExtras[] = {{false, false, 0}, {false, true, 0},  {true, true, 0},  {false, false, 3},
                                    {true, false, 8},  {true, true, 100}, {false, true, 1}, {false, false, 70000}};

}  // namespace tutti
