// Every type x operation x scaling and division x length x alignment x kind of destination, on every instruction set that this CPU runs,
// against the oracle; what lies around the destinations must stay.
#include <gtest/gtest.h>

#include "device/bench.h"
#include "device/host/host_device.h"

namespace tutti {
namespace {

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
    const std::unique_ptr<SynchronousDevice> device = make_host_device(set);
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
    const std::unique_ptr<SynchronousDevice> device = make_host_device(set);
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
