// tutti-plan tune from outside: what it measures here means nothing, and is not looked at; that it measures, writes a file that the library
// reads, keeps what the file says of other situations, and refuses what it cannot do.
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "subprocess.h"

namespace tutti {
namespace {

nlohmann::json read_json(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return nlohmann::json::parse(text.str(), nullptr, false);
}

TEST(Tune, WritesWhatItMeasuredAndTheLibraryGoesByIt) {
  const std::string path = ::testing::TempDir() + "/tune_test.json";
  std::remove(path.c_str());
  Outcome outcome = run({TUTTI_PLAN, "tune", "broadcast", "-n", "3", "-b", "8", "-e", "64K", "-f", "8192", "--rounds", "1", "-o", path});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("broadcast, 3 ranks on 1 nodes over shm"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("of 2 sizes"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.err.find("TUTTI_TUNING_FILE=" + path), std::string::npos) << outcome.err;
  outcome = run({TUTTI_PLAN, "tune", "all_gather", "-n", "2", "-b", "64", "-e", "64", "--rounds", "1", "-o", path});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const nlohmann::json json = read_json(path);
  ASSERT_TRUE(json.is_object());
  EXPECT_EQ(json["version"], 1);
  ASSERT_GE(json["choices"].size(), 2u);
  EXPECT_EQ(json["choices"].front()["collective"], "broadcast");
  EXPECT_EQ(json["choices"].front()["ranks"], 3);
  EXPECT_EQ(json["choices"].back()["collective"], "all_gather");
  EXPECT_EQ(json["choices"].back()["ranks"], 2);
  EXPECT_FALSE(json["choices"].back().contains("most_bytes"));
  EXPECT_GT(json["choices"].back()["measured_us"], 0);
  // What was measured is what is chosen, wherever it is measured again.
  outcome = run({TUTTI_PLAN, "tune", "all_gather", "-n", "2", "-b", "64", "-e", "64", "--rounds", "1"}, {"TUTTI_TUNING_FILE=" + path});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  const std::string chosen = json["choices"].back()["algorithm"].get<std::string>() + " 1";
  EXPECT_NE(outcome.out.find("64  " + chosen), std::string::npos) << outcome.out << chosen;
  std::remove(path.c_str());
}

TEST(Tune, BadUsageIsTwoAndAWrongFileIsAFailure) {
  const std::vector<std::vector<std::string>> wrong = {{TUTTI_PLAN, "tune", "all_sum", "-n", "2"},
                                                       {TUTTI_PLAN, "tune", "barrier", "-n", "2"},
                                                       {TUTTI_PLAN, "tune", "-n", "1"},
                                                       {TUTTI_PLAN, "tune", "-n", "2", "-b", "64", "-e", "8"},
                                                       {TUTTI_PLAN, "tune", "-n", "2", "-f", "1"}};
  for (const std::vector<std::string>& command : wrong) {
    const Outcome outcome = run(command);
    EXPECT_EQ(outcome.status, 2) << ::testing::PrintToString(command) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }
  const Outcome alone = run({TUTTI_PLAN, "tune"}, {"TUTTI_LAUNCHER=none"});
  EXPECT_EQ(alone.status, 2);
  EXPECT_NE(alone.err.find("two ranks"), std::string::npos) << alone.err;
  const Outcome unwritable =
      run({TUTTI_PLAN, "tune", "broadcast", "-n", "2", "-b", "8", "-e", "8", "--rounds", "1", "-o", "/nonexistent/t.json"});
  EXPECT_NE(unwritable.status, 0);
  EXPECT_NE(unwritable.err.find("/nonexistent/t.json"), std::string::npos) << unwritable.err;
}

}  // namespace
}  // namespace tutti
