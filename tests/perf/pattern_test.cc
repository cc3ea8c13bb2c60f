// The values that tutti-perf sends: exact in every order of reduction, and different by rank, index and iteration, so that mistakes show.
#include "perf/pattern.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <tuple>
#include <vector>

namespace perf {
namespace {

constexpr size_t kCount = 10000;
constexpr size_t kFirst = 4093;  // so that the lanes of a hash begin and end inside the data

template <class Row>
const Row& named(std::span<const Row> rows, std::string_view name) {
  return *std::find_if(rows.begin(), rows.end(), [&](const Row& row) { return row.name == name; });
}

const DataType& type_of(std::string_view name) {
  return named(data_types(), name);
}
const RedOp& op_of(std::string_view name) {
  return named(red_ops(), name);
}

std::vector<std::byte> filled(const Pattern& pattern, const DataType& type, int source) {
  std::vector<std::byte> data(kCount * type.bytes);
  pattern.fill(pattern.table(source), data.data(), kCount, kFirst);
  return data;
}

class Reductions : public ::testing::TestWithParam<std::tuple<std::string_view, std::string_view>> {};

// Up, down and inside out: each partial result survives the type, and the last is the reduction.
TEST_P(Reductions, PartialResultsAreExactInAnyOrder) {
  const DataType& type = type_of(std::get<0>(GetParam()));
  const RedOp& op = op_of(std::get<1>(GetParam()));
  for (const int ranks : {1, 2, 3, 4, 7, 8, 16, 100, 1024}) {
    const Pattern pattern(1, ranks, type, op);
    std::vector<Table> inputs;
    for (int r = 0; r < ranks; ++r) inputs.push_back(pattern.table(r));
    const Table reduction = pattern.table(Pattern::kReduction);
    for (const int step : {1, ranks - 1, 3}) {
      if (step == 3 && ranks % 3 == 0) continue;
      for (size_t entry = 0; entry < kEntries; ++entry) {
        double total = type.decode(inputs[0][entry]);
        for (int i = 1; i < ranks; ++i) {
          total = op.combine(total, type.decode(inputs[static_cast<size_t>(i * step % ranks)][entry]));
          ASSERT_EQ(type.decode(type.encode(total)), total) << ranks << " ranks, entry " << entry;
        }
        const double expected = op.averages ? average(type, total, ranks) : total;
        ASSERT_EQ(type.encode(expected), reduction[entry]) << ranks << " ranks, entry " << entry;
      }
    }
  }
}

// What a broken collective would leave must show: a rank twice in another's place, one left out, a shift, an earlier iteration.
TEST_P(Reductions, MistakesShow) {
  const DataType& type = type_of(std::get<0>(GetParam()));
  const RedOp& op = op_of(std::get<1>(GetParam()));
  constexpr int kRanks = 4;
  const Pattern pattern(3, kRanks, type, op), stale(4, kRanks, type, op);
  const std::vector<std::byte> right = filled(pattern, type, Pattern::kReduction);
  const Table table = pattern.table(Pattern::kReduction);
  EXPECT_EQ(pattern.count_wrong(table, right.data(), kCount, kFirst), 0u);
  EXPECT_GT(pattern.count_wrong(table, right.data(), kCount - 1, kFirst + 1), kCount / 10);
  EXPECT_GT(pattern.count_wrong(table, right.data(), kCount - 4096, kFirst + 4096), kCount / 20);
  EXPECT_GT(stale.count_wrong(stale.table(Pattern::kReduction), right.data(), kCount, kFirst), kCount / 10);
  EXPECT_GT(pattern.count_wrong(pattern.table(1), filled(pattern, type, 2).data(), kCount, kFirst), kCount / 10);

  std::array<size_t, 2> differ{};  // entries
  for (size_t entry = 0; entry < kEntries; ++entry) {
    const auto number = [&](int rank) { return type.decode(pattern.table(rank)[entry]); };
    const double three = op.combine(number(0), op.combine(number(1), number(3))), twice = op.combine(three, number(1));
    const auto result = [&](double total) { return type.encode(op.averages ? average(type, total, kRanks) : total); };
    differ[0] += result(three) != table[entry];
    differ[1] += result(twice) != table[entry];
  }
  EXPECT_GT(differ[0], kEntries / 10);
  EXPECT_GT(differ[1], kEntries / 10);
}

std::vector<std::tuple<std::string_view, std::string_view>> all_reductions() {
  std::vector<std::tuple<std::string_view, std::string_view>> all;
  for (const DataType& type : data_types()) {
    for (const RedOp& op : red_ops()) all.emplace_back(type.name, op.name);
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(All, Reductions, ::testing::ValuesIn(all_reductions()), [](const auto& test) {
  return std::string(std::get<0>(test.param)) + "_" + std::string(std::get<1>(test.param));
});

TEST(Pattern, FindsOneWrongElementAnywhere) {
  for (const DataType& type : data_types()) {
    const Pattern pattern(2, 2, type, op_of("sum"));
    const Table table = pattern.table(Pattern::kReduction);
    std::vector<std::byte> data = filled(pattern, type, Pattern::kReduction);
    for (const size_t at : {size_t{0}, size_t{2}, size_t{3}, kCount / 2, kCount - 1}) {
      std::byte& byte = data[at * type.bytes + type.bytes - 1];
      byte ^= std::byte{0x80};
      EXPECT_EQ(pattern.count_wrong(table, data.data(), kCount, kFirst), 1u) << type.name << " " << at;
      byte ^= std::byte{0x80};
    }
  }
}

TEST(Pattern, PiecesAreOfOnePattern) {
  const DataType& type = type_of("int16");
  const Pattern pattern(5, 2, type, op_of("sum"));
  const std::vector<std::byte> all = filled(pattern, type, 0);
  for (const size_t from : {size_t{1}, size_t{5}, size_t{8}, size_t{4999}}) {
    for (const size_t count : {size_t{0}, size_t{1}, size_t{7}, size_t{8}, size_t{100}}) {
      EXPECT_EQ(pattern.count_wrong(pattern.table(0), all.data() + from * type.bytes, count, kFirst + from), 0u) << from << " " << count;
    }
  }
}

// Numbers wide enough to be almost all different make almost every misplaced element wrong.
TEST(Pattern, WideTypesShowEveryMistake) {
  const DataType& type = type_of("float32");
  const Pattern pattern(3, 4, type, op_of("sum"));
  const std::vector<std::byte> right = filled(pattern, type, Pattern::kReduction);
  EXPECT_GT(pattern.count_wrong(pattern.table(Pattern::kReduction), right.data(), kCount - 1, kFirst + 1), kCount * 98 / 100);
}

}  // namespace
}  // namespace perf
