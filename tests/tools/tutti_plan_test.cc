// tutti-plan from outside: the JSON contract, plan files there and back, exit status.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "subprocess.h"

namespace tutti {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(TuttiPlan, RanksCandidatesAsTheContractSays) {
  const Outcome outcome = run({TUTTI_PLAN, "all_reduce", "--system", "mi300x", "--bytes", "64M", "--json"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const nlohmann::json json = nlohmann::json::parse(outcome.out, nullptr, false);
  ASSERT_TRUE(json.is_object()) << outcome.out;
  EXPECT_EQ(json["collective"], "all_reduce");
  EXPECT_EQ(json["system"], "mi300x");
  EXPECT_EQ(json["ranks"], 8);
  EXPECT_EQ(json["bytes"], 64 << 20);
  EXPECT_FALSE(json["binding_cut"].get<std::string>().empty());
  const double bound = json["bound_us"];
  double before = 0;
  ASSERT_GE(json["candidates"].size(), 3U);
  for (const auto& candidate : json["candidates"]) {
    const double predicted = candidate["predicted_us"];
    EXPECT_GE(predicted, before) << "best first";
    EXPECT_NEAR(candidate["percent_of_bound"].get<double>(), 100 * bound / predicted, 1e-6);
    EXPECT_LE(candidate["percent_of_bound"], 100.0 + 1e-9) << candidate["algorithm"];
    EXPECT_GE(candidate["channels"], 1);
    before = predicted;
  }
  EXPECT_EQ(json["candidates"][0]["algorithm"], "two_shot") << "a full mesh";
  EXPECT_GT(json["search_s"].get<double>(), 0);
  EXPECT_GT(json["instructions"].get<int>(), 0);
  EXPECT_GT(json["yardstick_us"].get<double>(), 0);
}

TEST(TuttiPlan, TheRankingFits80Columns) {
  const Outcome outcome = run({TUTTI_PLAN, "all_reduce", "--system", "dgx-h100:2+mi300x:2", "--bytes", "1M"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  std::istringstream lines(outcome.out);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80U) << line;
}

TEST(TuttiPlan, DrawsTheBestOverTheMachine) {
  const std::string path = ::testing::TempDir() + "/tutti_plan_test." + std::to_string(getpid()) + ".svg";
  const Outcome outcome = run({TUTTI_PLAN, "all_reduce", "--system", "dgx-h100:64", "--bytes", "1M", "--algorithm", "ring", "--svg", path});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(contains(outcome.out, "ring")) << "the ranking is printed as ever";
  std::ifstream file(path);
  const std::string svg((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  EXPECT_TRUE(contains(svg, "all_reduce of 1048576 bytes by ring"));
  // Ranks of hidden nodes appear at the other end of those that are shown.
  for (const char* hop : {"rank 0 \xe2\x86\x92 rank 1\n", "rank 23 \xe2\x86\x92 rank 24\n", "rank 503 \xe2\x86\x92 rank 504\n", "% busy"}) {
    EXPECT_TRUE(contains(svg, hop)) << hop;
  }
  std::remove(path.c_str());
}

TEST(TuttiPlan, PlanFilesThereAndBack) {
  char name[] = "/tmp/tutti-plan-XXXXXX";
  const int fd = mkstemp(name);
  ASSERT_GE(fd, 0);
  for (const char* const form : {"json", "msccl"}) {
    const Outcome dumped = run({TUTTI_PLAN, "all_reduce", "--system", "mi300x", "--bytes", "1M", "--algorithm", "ring", "--dump", form});
    ASSERT_EQ(dumped.status, 0) << dumped.err;
    std::ofstream(name) << dumped.out;
    const Outcome verified = run({TUTTI_PLAN, "verify", name});
    EXPECT_EQ(verified.status, 0) << verified.err;
    EXPECT_TRUE(contains(verified.out, "all_reduce by 'ring' on 8 ranks")) << verified.out;
    const Outcome simulated = run({TUTTI_PLAN, "simulate", name, "--system", "mi300x", "--bytes", "1M"});
    EXPECT_EQ(simulated.status, 0) << simulated.err;
    EXPECT_TRUE(contains(simulated.out, "of the bound")) << simulated.out;
    EXPECT_EQ(run({TUTTI_PLAN, "simulate", name, "--system", "dgx-h100:2", "--bytes", "1M"}).status, 1) << "16 ranks";
  }
  std::ofstream(name) << "{}";
  const Outcome wrong = run({TUTTI_PLAN, "verify", name});
  EXPECT_EQ(wrong.status, 1);
  EXPECT_TRUE(contains(wrong.err, name)) << wrong.err;
  std::remove(name);
}

// What TUTTI_PLAN_FILE reads, of MSCCL's XML.
TEST(TuttiPlan, ConvertsAndGivesARange) {
  char name[] = "/tmp/tutti-plan-XXXXXX";
  const int fd = mkstemp(name);
  ASSERT_GE(fd, 0);
  close(fd);
  const Outcome dumped = run({TUTTI_PLAN, "all_reduce", "--system", "mi300x", "--bytes", "1M", "--algorithm", "ring", "--dump", "msccl"});
  ASSERT_EQ(dumped.status, 0) << dumped.err;
  std::ofstream(name) << dumped.out;
  const Outcome json = run({TUTTI_PLAN, "convert", name, "--to", "json", "--min-bytes", "1K", "--max-bytes", "4M"});
  ASSERT_EQ(json.status, 0) << json.err;
  const nlohmann::json plan = nlohmann::json::parse(json.out);
  EXPECT_EQ(plan["min_bytes"], 1024);
  EXPECT_EQ(plan["max_bytes"], 4 << 20);
  EXPECT_EQ(plan["nranks"], 8);
  std::ofstream(name) << json.out;
  EXPECT_EQ(run({TUTTI_PLAN, "verify", name}).status, 0);
  EXPECT_EQ(run({TUTTI_PLAN, "convert", name, "--to", "msccl"}).status, 0);
  EXPECT_EQ(run({TUTTI_PLAN, "convert", name, "--min-bytes", "8M"}).status, 2) << "more than the largest";
  EXPECT_EQ(run({TUTTI_PLAN, "convert", "/nonexistent"}).status, 1);
  std::remove(name);
}

TEST(TuttiPlan, ExplainsByTheCriticalChain) {
  for (const char* const system : {"mi300x", "dgx-h100:2", "ethernet:4"}) {
    const Outcome outcome = run({TUTTI_PLAN, "all_reduce", "--system", system, "--bytes", "1M", "--algorithm", "ring", "--explain"});
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    const size_t at = outcome.out.find("critical chain");
    ASSERT_NE(at, std::string::npos) << outcome.out;
    const std::string chain = outcome.out.substr(at);
    EXPECT_TRUE(contains(chain, "message from")) << chain;
    EXPECT_TRUE(contains(chain, "GB/s)")) << chain;
    EXPECT_TRUE(contains(chain, "at the start")) << chain;
    size_t lines = 0;
    for (size_t begin = 0; begin < chain.size(); ++lines) {
      const size_t end = chain.find('\n', begin);
      EXPECT_LE(end - begin, 80U) << chain.substr(begin, end - begin);
      begin = end + 1;
    }
    EXPECT_LE(lines, 60U) << chain;
    // The parts of an all-reduce that was simulated whole add up to its time.
    const nlohmann::json json =
        nlohmann::json::parse(run({TUTTI_PLAN, "all_reduce", "--system", system, "--bytes", "1M", "--algorithm", "ring", "--json"}).out);
    const size_t total_at = chain.rfind('\n', chain.find("in all\n"));
    ASSERT_NE(total_at, std::string::npos) << chain;
    if (!contains(chain, "of the slices that were simulated;")) {
      EXPECT_NEAR(std::atof(chain.c_str() + total_at + 1), json["candidates"][0]["predicted_us"].get<double>(), 0.002);
    }
  }
}

TEST(TuttiPlan, BadUsageIsTwo) {
  const std::vector<std::vector<std::string>> wrong = {{TUTTI_PLAN},
                                                       {TUTTI_PLAN, "all_reduce"},
                                                       {TUTTI_PLAN, "all_sum", "--bytes", "8"},
                                                       {TUTTI_PLAN, "all_reduce", "--bytes", "8", "--system", "nothing-like-it"},
                                                       {TUTTI_PLAN, "all_reduce", "--bytes", "8", "--algorithm", "none"},
                                                       {TUTTI_PLAN, "all_reduce", "--bytes", "8", "--dump", "yaml"},
                                                       {TUTTI_PLAN, "all_reduce", "--bytes", "8", "--system", "mi300x", "--ranks", "9"},
                                                       {TUTTI_PLAN, "broadcast", "--bytes", "8", "--system", "mi300x", "--root", "8"}};
  for (const std::vector<std::string>& command : wrong) {
    const Outcome outcome = run(command);
    EXPECT_EQ(outcome.status, 2) << ::testing::PrintToString(command);
    EXPECT_EQ(outcome.out, "");
    EXPECT_NE(outcome.err, "");
  }
}

TEST(TuttiPlan, ListsAlgorithms) {
  const Outcome outcome = run({TUTTI_PLAN, "list"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(contains(outcome.out, "ring: around rings")) << outcome.out;
}

}  // namespace
}  // namespace tutti
