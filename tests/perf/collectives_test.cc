// Every collective, type and reduction of tutti-perf, run for a moment each: right data, sizes and factors, damage found. Ranks are threads
// but in suite ForkedCollectives.
#include <gtest/gtest.h>

#include <ostream>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "program.h"

namespace {

using namespace perf_test;

constexpr const char* kShort = " -w 0 -i 1 ";

// One collective, and what a row of 1000 bytes of float32 on 3 ranks says.
struct Facts {
  const char* name;
  int bytes;
  int count;
  double factor;  // busbw / algbw
  bool in_place;
  bool reduces;
  bool explained;  // "algorithm" is not null
};

constexpr Facts kFacts[] = {
    {"all_reduce", 1000, 250, 4.0 / 3, true, true, true},
    {"all_gather", 996, 83, 2.0 / 3, true, false, true},
    {"reduce_scatter", 996, 83, 2.0 / 3, true, true, true},
    {"broadcast", 1000, 250, 1, true, false, true},
    {"reduce", 1000, 250, 1, true, true, true},
    {"gather", 996, 83, 2.0 / 3, true, false, true},
    {"scatter", 996, 83, 2.0 / 3, true, false, true},
    {"alltoall", 996, 83, 2.0 / 3, false, false, true},
    {"alltoallv", 996, 83, 2.0 / 3, false, false, false},
    {"all_gather_v", 996, 83, 2.0 / 3, false, false, false},
    {"reduce_scatter_v", 996, 83, 2.0 / 3, false, true, false},
    {"sendrecv", 1000, 250, 1, false, false, false},
    {"barrier", 0, 0, 0, false, false, true},
};

bool moves_data(const Facts& facts) {
  return std::string(facts.name) != "barrier";
}

std::string name_of(const Facts& facts) {
  return facts.name;
}

void PrintTo(const Facts& facts, std::ostream* out) {  // GoogleTest's name for it
  *out << facts.name;
}

// --- Right data

class Collectives : public ::testing::TestWithParam<std::tuple<Facts, int>> {};

TEST_P(Collectives, RightWhateverTheRanksDivide) {
  const auto& [facts, ranks] = GetParam();
  const std::string arguments = std::string(facts.name) + " --threads -n " + std::to_string(ranks) + kShort;
  expect_right(perf(arguments + "-b 100 -e 60000 -f 600"), ranks, moves_data(facts) ? 2 : 1);
}

INSTANTIATE_TEST_SUITE_P(Ranks, Collectives, ::testing::Combine(::testing::ValuesIn(kFacts), ::testing::Values(1, 2, 3, 4, 7, 8)),
                         [](const auto& test) { return name_of(std::get<0>(test.param)) + "_" + std::to_string(std::get<1>(test.param)); });
INSTANTIATE_TEST_SUITE_P(ManyRanks, Collectives,
                         ::testing::Combine(::testing::Values(kFacts[2], kFacts[4], kFacts[8]), ::testing::Values(16)),
                         [](const auto& test) { return name_of(std::get<0>(test.param)); });

class ForkedCollectives : public ::testing::TestWithParam<Facts> {};

TEST_P(ForkedCollectives, RightOnFourRanks) {
  const Facts& facts = GetParam();
  expect_right(perf(facts.name + std::string(" -n 4") + kShort + "-b 64 -e 64K -f 1024"), 4, moves_data(facts) ? 2 : 1);
}

INSTANTIATE_TEST_SUITE_P(Each, ForkedCollectives, ::testing::ValuesIn(kFacts), [](const auto& test) { return name_of(test.param); });

// --- Types and reductions

class Types : public ::testing::TestWithParam<std::tuple<const char*, const char*>> {};  // type, nccl-tests' spelling

TEST_P(Types, RightForEveryReduction) {
  const auto& [type, alias] = GetParam();
  for (const char* collective : {"all_reduce", "reduce_scatter"}) {
    for (const char* op : {"sum", "prod", "min", "max", "avg"}) {
      SCOPED_TRACE(collective + std::string(" ") + op);
      const Result result = perf(collective + std::string(" --threads -n 3 -b 1500 -e 1500 -o ") + op + " -d " + alias + kShort);
      expect_right(result, 3, 1);
      EXPECT_EQ(result.json["rows"][0]["type"], type);
      EXPECT_EQ(result.json["rows"][0]["op"], op);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Each, Types,
                         ::testing::Values(std::tuple("int8", "int8"), std::tuple("uint8", "uint8"), std::tuple("int16", "int16"),
                                           std::tuple("uint16", "uint16"), std::tuple("int32", "int32"), std::tuple("uint32", "uint32"),
                                           std::tuple("int64", "int64"), std::tuple("uint64", "uint64"), std::tuple("float16", "half"),
                                           std::tuple("bfloat16", "bfloat16"), std::tuple("float32", "float"),
                                           std::tuple("float64", "double"), std::tuple("float8_e4m3", "f8e4m3"),
                                           std::tuple("float8_e5m2", "f8e5m2")),
                         [](const auto& test) { return std::string(std::get<0>(test.param)); });

// The least exact integers divided among the most ranks, and elements of every width.
TEST(SmallTypes, RightOnManyRanksAndWhereNothingIsReduced) {
  expect_right(perf("all_reduce --threads -n 16 -b 3000 -e 3000 -d float8_e5m2" + std::string(kShort)), 16, 1);
  for (const char* type : {"uint8", "float16", "float64"}) {
    expect_right(perf(std::string("alltoallv --threads -n 3 -b 3000 -e 3000 -d ") + type + kShort), 3, 1);
  }
}

// --- What is reported

class Reports : public ::testing::TestWithParam<Facts> {};

TEST_P(Reports, SizesFactorsAndKeys) {
  const Facts& facts = GetParam();
  const Result result = perf(std::string(facts.name) + " --threads -n 3 -b 1000 -e 1000" + kShort);
  expect_right(result, 3, 1);
  EXPECT_EQ(result.json["collective"], facts.name);
  const Json& row = result.json["rows"][0];
  EXPECT_EQ(keys(row), (std::set<std::string>{"bytes", "count", "type", "op", "algorithm", "time_us", "p10_us", "p90_us", "algbw_GBps",
                                              "busbw_GBps", "wrong", "in_place"}));
  EXPECT_EQ(row["bytes"], facts.bytes);
  EXPECT_EQ(row["count"], facts.count);
  EXPECT_EQ(row["op"], facts.reduces ? "sum" : "none");
  EXPECT_EQ(row["algorithm"].is_null(), !facts.explained) << row;
  EXPECT_EQ(row["in_place"].is_null(), !facts.in_place) << row;
  EXPECT_NEAR(row["algbw_GBps"].get<double>(), facts.bytes / 1e3 / row["time_us"].get<double>(), 1e-9);
  EXPECT_NEAR(row["busbw_GBps"].get<double>(), row["algbw_GBps"].get<double>() * facts.factor, 1e-9);
}

TEST_P(Reports, OneDamagedElementIsFound) {
  const Facts& facts = GetParam();
  const Result result = perf(std::string(facts.name) + " --threads -n 3 -b 1000 -e 1000 --inject-error" + kShort);
  EXPECT_EQ(result.status, 1) << result.err;
  const Json& row = result.json["rows"][0];
  EXPECT_EQ(row["wrong"], 1) << result.err;
  if (facts.in_place) {
    EXPECT_EQ(row["in_place"]["wrong"], 1) << result.err;
  }
  EXPECT_NE(result.err.find(facts.name), std::string::npos) << result.err;
}

INSTANTIATE_TEST_SUITE_P(Each, Reports, ::testing::ValuesIn(kFacts), [](const auto& test) { return name_of(test.param); });

// The root column of a run's first row.
std::string root_column(const std::string& arguments) {
  std::istringstream lines(perf(arguments + " --threads -n 3 -b 120 -e 120" + kShort).out);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string size, count, type, op, root;
    if (words >> size >> count >> type >> op >> root && size == "120") return root;
  }
  return "no row";
}

TEST(Root, IsShownWhereItIsFixed) {
  EXPECT_EQ(root_column("reduce -r 2"), "2");
  EXPECT_EQ(root_column("reduce"), "-1");
  EXPECT_EQ(root_column("all_reduce -r 2"), "-1");
}

// The first size's check has root 0, the timed iterations all of them, the next check root 1, and so on.
TEST(Root, DamageIsDoneWhereTheOutputIs) {
  const Result rotating = perf("gather --threads -n 3 -b 120 -e 240 --inject-error" + std::string(kShort));
  EXPECT_NE(rotating.err.find("rank 0: gather of 120 bytes out of place, root 0: output element 0 is "), std::string::npos) << rotating.err;
  EXPECT_NE(rotating.err.find("rank 2: gather of 240 bytes out of place, root 2: output element 0 is "), std::string::npos) << rotating.err;
  const Result fixed = perf("reduce -r 1 --threads -n 3 -b 120 -e 120 --inject-error" + std::string(kShort));
  EXPECT_NE(fixed.err.find("rank 1: reduce of 120 bytes in place, root 1: output element 0 is "), std::string::npos) << fixed.err;
}

}  // namespace
