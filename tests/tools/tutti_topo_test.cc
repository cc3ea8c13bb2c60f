// tutti-topo from outside: exit status, the JSON contract, the list of settings.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "subprocess.h"

namespace tutti {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(TuttiTopo, ShowsTheMachineByDefault) {
  const Outcome plain = run({TUTTI_TOPO});
  EXPECT_EQ(plain.status, 0) << plain.err;
  for (const char* part : {"Package", "NUMA 0", "Network", "GPUs", "/dev/shm"}) EXPECT_TRUE(contains(plain.out, part)) << part;
  std::istringstream lines(plain.out);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80U) << line;
  EXPECT_EQ(run({TUTTI_TOPO, "show"}).status, 0);
}

TEST(TuttiTopo, JsonOfBothSpellings) {
  for (const std::vector<std::string>& command : {std::vector<std::string>{TUTTI_TOPO, "--json"}, {TUTTI_TOPO, "show", "--json"}}) {
    const Outcome outcome = run(command);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    const nlohmann::json json = nlohmann::json::parse(outcome.out, nullptr, false);
    ASSERT_TRUE(json.is_object()) << outcome.out;
    for (const char* key : {"name", "source", "endpoints", "switches", "links"}) EXPECT_TRUE(json.contains(key)) << key;
    EXPECT_EQ(json["source"], "detected");
    EXPECT_GE(json["endpoints"].size(), 1U);
  }
}

TEST(TuttiTopo, BadUsageIsTwo) {
  const std::vector<std::vector<std::string>> wrong = {
      {TUTTI_TOPO, "--dot"},       {TUTTI_TOPO, "--svg", "x"},    {TUTTI_TOPO, "probe"},         {TUTTI_TOPO, "systems"},
      {TUTTI_TOPO, "show", "env"}, {TUTTI_TOPO, "env", "--json"}, {TUTTI_TOPO, "--json", "env"}, {TUTTI_TOPO, "show", "what"}};
  for (const std::vector<std::string>& command : wrong) {
    const Outcome outcome = run(command);
    EXPECT_EQ(outcome.status, 2) << ::testing::PrintToString(command);
    EXPECT_EQ(outcome.out, "");
    EXPECT_NE(outcome.err, "");
  }
}

TEST(TuttiTopo, EnvListsSettingsAndMarksWhatIsSet) {
  const Outcome outcome = run({TUTTI_TOPO, "env"}, {"TUTTI_TIMEOUT=17", "TUTTI_INIT_TIMEOUT="});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(contains(outcome.out, "\n  TUTTI_LOG=warn\n")) << outcome.out;
  EXPECT_TRUE(contains(outcome.out, "\n* TUTTI_TIMEOUT=17\n    default: 300\n")) << outcome.out;
  EXPECT_TRUE(contains(outcome.out, "\n  TUTTI_INIT_TIMEOUT=120\n")) << "an empty value counts as not set\n" << outcome.out;
}

TEST(TuttiTopo, EnvSaysWhatTheLibraryWouldRefuse) {
  const Outcome outcome = run({TUTTI_TOPO, "env"}, {"TUTTI_TIMEOUT=soon"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_TRUE(contains(outcome.out, "* TUTTI_TIMEOUT=soon\n")) << outcome.out;
  EXPECT_TRUE(contains(outcome.err, "TUTTI_TIMEOUT=soon")) << outcome.err;
}

TEST(TuttiTopo, AFullDiskIsAFailure) {
  const Outcome outcome = run({"/bin/sh", "-c", std::string(TUTTI_TOPO) + " > /dev/full"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_TRUE(contains(outcome.err, "cannot write")) << outcome.err;
}

}  // namespace
}  // namespace tutti
