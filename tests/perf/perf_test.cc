// tutti-perf from outside: exit status, JSON, what it verifies, and that no way of starting or losing ranks hangs. Suites: Usage starts no
// rank; Threads runs them in one process; Forked and Launcher start processes (label no-tsan). Every program runs under timeout(1).
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "program.h"

namespace {

using namespace perf_test;

// --- Usage

TEST(Usage, BadCommandLinesEndWithStatus2AndASentence) {
  for (const char* arguments :
       {"", "no_such_collective", "all_reduce -d int7", "all_reduce -o median", "all_reduce -b 5X", "all_reduce -b ''", "all_reduce -b -8",
        "all_reduce -b 2M -e 1M", "all_reduce -f 1", "all_reduce -n 0", "all_reduce -n 2 -r 2", "all_reduce -c 2", "all_reduce -i 0",
        "all_reduce --pin maybe", "all_reduce --no-such-option", "all_reduce -c 0 --inject-error", "all_reduce extra"}) {
    const Result result = perf(arguments);
    EXPECT_EQ(result.status, 2) << arguments << result.out;
    EXPECT_EQ(result.out, "") << arguments;
    EXPECT_EQ(result.err.rfind("tutti-perf: ", 0), 0u) << arguments << ": " << result.err;
  }
}

TEST(Usage, WhatIsUnknownIsNamedWithWhatIsKnown) {
  for (const char* arguments : {"all_reduce -d int7", "all_reduce -o median", "no_such_collective"}) {
    const std::string err = perf(arguments).err, wanted = arguments[0] == 'n' ? arguments : std::string(arguments).substr(14);
    EXPECT_NE(err.find("'" + wanted + "'"), std::string::npos) << err;
    for (const char* known : {"bfloat16", "prod", "all_gather_v"}) {
      const bool of_this_kind = (wanted == "int7") == (known[0] == 'b') && (wanted == "median") == (known[0] == 'p');
      EXPECT_EQ(err.find(known) != std::string::npos, of_this_kind) << known << ": " << err;
    }
  }
}

TEST(Usage, HelpAndVersionEndWithStatus0) {
  EXPECT_EQ(perf("--help").status, 0);
  const Result version = perf("--version");
  EXPECT_EQ(version.status, 0);
  EXPECT_EQ(version.out.rfind("tutti-perf ", 0), 0u) << version.out;
}

TEST(Usage, TheLaunchersRanksCannotBeContradicted) {
  const std::string launcher = "env TUTTI_RANK=0 TUTTI_SIZE=2 TUTTI_UNIQUE_ID=00 ";
  EXPECT_EQ(run(launcher + kPerf + " all_reduce -n 3").status, 2);
  EXPECT_EQ(run(launcher + kPerf + " all_reduce --threads").status, 2);
  EXPECT_EQ(run("env TUTTI_RANK=0 " + std::string(kPerf) + " all_reduce").status, 2);
  EXPECT_EQ(run("env TUTTI_RANK=2 TUTTI_SIZE=2 " + std::string(kPerf) + " all_reduce").status, 2);
}

// --- Threads

TEST(Threads, RightForSeveralRankCounts) {
  for (const int ranks : {1, 2, 3, 5}) {
    expect_right(perf("all_reduce --threads -n " + std::to_string(ranks) + " -b 8 -e 512K -f 256"), ranks, 3);
  }
}

TEST(Threads, JsonHasTheContractsKeys) {
  const Result result = perf("all_reduce --threads -n 2 -b 1K -e 1K");
  ASSERT_EQ(result.status, 0) << result.err;
  const Json& json = result.json;
  EXPECT_EQ(keys(json), (std::set<std::string>{"collective", "ranks", "transport", "rows"}));
  EXPECT_EQ(json["collective"], "all_reduce");
  EXPECT_TRUE(json["transport"].is_string());
  EXPECT_NE(json["transport"], "unknown");
  ASSERT_EQ(json["rows"].size(), 1u);
  const Json& row = json["rows"][0];
  EXPECT_EQ(keys(row), (std::set<std::string>{"bytes", "count", "type", "op", "algorithm", "time_us", "p10_us", "p90_us", "algbw_GBps",
                                              "busbw_GBps", "wrong", "in_place"}));
  EXPECT_EQ(keys(row["in_place"]), (std::set<std::string>{"time_us", "p10_us", "p90_us", "algbw_GBps", "busbw_GBps", "wrong"}));
  EXPECT_EQ(row["bytes"], 1024);
  EXPECT_EQ(row["count"], 256);
  EXPECT_EQ(row["type"], "float32");
  EXPECT_EQ(row["op"], "sum");
  EXPECT_NE(row["algorithm"], "unknown");
  EXPECT_LE(row["p10_us"], row["time_us"]);
  EXPECT_LE(row["time_us"], row["p90_us"]);
  EXPECT_NEAR(row["algbw_GBps"].get<double>(), 1024 / 1e3 / row["time_us"].get<double>(), 1e-9);
}

TEST(Threads, BusBandwidthHasNcclTestsFactor) {
  const Result result = perf("all_reduce --threads -n 4 -b 4K -e 4K -c 0");
  ASSERT_EQ(result.status, 0) << result.err;
  const Json& row = result.json["rows"][0];
  EXPECT_NEAR(row["busbw_GBps"].get<double>(), row["algbw_GBps"].get<double>() * 2 * 3 / 4, 1e-9);
}

TEST(Threads, SizesAreRoundedDownToElementsAndSaid) {
  const Result result = perf("all_reduce --threads -n 2 -b 0 -e 50 -f 3");
  expect_right(result, 2, 4);
  std::vector<int> bytes;
  for (const Json& row : result.json["rows"]) bytes.push_back(row["bytes"]);
  EXPECT_EQ(bytes, (std::vector<int>{0, 4, 12, 36}));
  const Result odd = perf("all_reduce --threads -n 2 -b 7 -e 7 -d float");
  expect_right(odd, 2, 1);
  EXPECT_EQ(odd.json["rows"][0]["bytes"], 4);
}

TEST(Threads, WithoutCheckWrongIsNull) {
  const Result result = perf("all_reduce --threads -n 2 -b 8 -e 8 -c 0");
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_TRUE(result.json["rows"][0]["wrong"].is_null());
  EXPECT_TRUE(result.json["rows"][0]["in_place"]["wrong"].is_null());
}

TEST(Threads, OneDamagedElementIsFound) {
  const Result result = perf("all_reduce --threads -n 2 -b 1K -e 1K --inject-error");
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.json["rows"][0]["wrong"], 1);
  EXPECT_EQ(result.json["rows"][0]["in_place"]["wrong"], 1);
  EXPECT_NE(result.err.find("element 0 is "), std::string::npos) << result.err;
}

TEST(Threads, AnUnwritableResultFileIsAFailure) {
  EXPECT_EQ(run("sh -c '" + std::string(kPerf) + " all_reduce --threads -n 1 -b 8 -e 8 --json /no/such/folder/file' --").status, 1);
}

// --- Forked

class ForkedRanks : public ::testing::TestWithParam<int> {};

TEST_P(ForkedRanks, RightFrom8BytesTo1M) {
  const int ranks = GetParam();
  expect_right(perf("all_reduce -n " + std::to_string(ranks) + " -b 8 -e 1M -f 8"), ranks, 6);
}

INSTANTIATE_TEST_SUITE_P(ForkedRanks, ForkedRanks, ::testing::Values(1, 2, 3, 4, 7, 8, 16));

TEST(Forked, OneDamagedElementIsFound) {
  const Result result = perf("all_reduce -n 3 -b 64K -e 64K --inject-error");
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.json["rows"][0]["wrong"], 1);
  EXPECT_EQ(result.json["rows"][0]["in_place"]["wrong"], 1);
}

TEST(Forked, PinningIsAsAsked) {
  EXPECT_EQ(perf("all_reduce -n 1 -b 8 -e 8 --pin auto").out.find("not pinned"), std::string::npos);
  if (std::thread::hardware_concurrency() > 1) {  // with one CPU a rank is on it whatever is asked
    EXPECT_NE(perf("all_reduce -n 2 -b 8 -e 8 --pin no").out.find("not pinned"), std::string::npos);
  }
}

// A run that would last for ever, so that ranks can be lost in the midst of it.
class EndlessRun {
 public:
  EndlessRun()
      : pipe_(popen(("echo $$; exec " + std::string(kPerf) + " all_reduce -n 3 -b 8 -e 8 -i 1000000000 2>/dev/null").c_str(), "r")) {
    char line[512];
    if (pipe_ == nullptr || fgets(line, sizeof(line), pipe_) == nullptr) return;
    parent_ = std::stoi(line);
    while (ranks_.size() < 3 && fgets(line, sizeof(line), pipe_) != nullptr) {
      int rank = 0, pid = 0;
      if (std::sscanf(line, "# rank %d pid %d", &rank, &pid) == 2) ranks_.push_back(pid);
    }
  }
  ~EndlessRun() { finish(); }
  EndlessRun(const EndlessRun&) = delete;
  EndlessRun& operator=(const EndlessRun&) = delete;

  pid_t parent() const { return parent_; }
  const std::vector<pid_t>& ranks() const { return ranks_; }

  // Waits for the end and returns the wait status.
  int finish() {
    if (pipe_ == nullptr) return -1;
    char line[512];
    while (fgets(line, sizeof(line), pipe_) != nullptr) {
    }
    return pclose(std::exchange(pipe_, nullptr));
  }

 private:
  FILE* pipe_;
  pid_t parent_ = 0;
  std::vector<pid_t> ranks_;
};

// Gone, or dead and waiting for somebody to take note.
bool ended(pid_t pid) {
  const std::string stat = slurp("/proc/" + std::to_string(pid) + "/stat");
  return stat.empty() || stat.find(") Z") != std::string::npos;
}

TEST(Forked, ALostRankEndsTheOthersInTime) {
  EndlessRun run;
  ASSERT_EQ(run.ranks().size(), 3u);
  const auto start = std::chrono::steady_clock::now();
  kill(run.ranks()[1], SIGKILL);
  const int status = run.finish();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 1);
  for (const pid_t rank : run.ranks()) EXPECT_TRUE(ended(rank)) << rank;
}

TEST(Forked, RanksDieWithTheirParent) {
  EndlessRun run;
  ASSERT_EQ(run.ranks().size(), 3u);
  kill(run.parent(), SIGKILL);
  const int status = run.finish();
  ASSERT_TRUE(WIFSIGNALED(status));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  const auto all_ended = [&] { return std::all_of(run.ranks().begin(), run.ranks().end(), ended); };
  while (!all_ended() && std::chrono::steady_clock::now() < deadline) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_TRUE(all_ended());
}

// --- Launcher

std::string under_launcher(int ranks) {
  return std::string(TUTTI_RUN) + " -n " + std::to_string(ranks) + " -- " + kPerf + " all_reduce ";
}

TEST(Launcher, RightUnderTuttiRun) {
  for (const int ranks : {1, 2, 4}) expect_right(run(under_launcher(ranks) + "-b 8 -e 512K -f 256"), ranks, 3);
  expect_right(run(under_launcher(2) + "-n 2 -b 8 -e 8"), 2, 1);
}

TEST(Launcher, OnlyRank0Prints) {
  const Result result = run(under_launcher(3) + "-b 8 -e 8");
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.out.find("Avg bus bandwidth"), result.out.rfind("Avg bus bandwidth"));
}

TEST(Launcher, WrongDataAndBadUsageReachTheExitStatus) {
  EXPECT_EQ(run(under_launcher(2) + "-b 1K -e 1K --inject-error").status, 1);
  EXPECT_EQ(run(under_launcher(2) + "-n 3").status, 2);
}

}  // namespace
