// tutti-topo from outside: exit status, the JSON contract, the list of settings.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
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
  const std::vector<std::vector<std::string>> wrong = {{TUTTI_TOPO, "--svg", "x", "--json"},
                                                       {TUTTI_TOPO, "probe"},
                                                       {TUTTI_TOPO, "--json", "--dot"},
                                                       {TUTTI_TOPO, "--system"},
                                                       {TUTTI_TOPO, "--system", "dgx-h200"},
                                                       {TUTTI_TOPO, "--system", "mi300x", "--file", "x"},
                                                       {TUTTI_TOPO, "--system", "mi300x", "systems"},
                                                       {TUTTI_TOPO, "show", "env"},
                                                       {TUTTI_TOPO, "env", "--json"},
                                                       {TUTTI_TOPO, "--json", "env"},
                                                       {TUTTI_TOPO, "--html", "x", "systems"},
                                                       {TUTTI_TOPO, "--svg"},
                                                       {TUTTI_TOPO, "show", "what"}};
  for (const std::vector<std::string>& command : wrong) {
    const Outcome outcome = run(command);
    EXPECT_EQ(outcome.status, 2) << ::testing::PrintToString(command);
    EXPECT_EQ(outcome.out, "");
    EXPECT_NE(outcome.err, "");
  }
}

void expect_80_columns(const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80U) << line;
}

TEST(TuttiTopo, NamedSystemsAreListed) {
  const Outcome outcome = run({TUTTI_TOPO, "systems"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  expect_80_columns(outcome.out);
  for (const char* name : {"dgx-h100", "tpu-v5e", "groqrack", "ethernet"}) EXPECT_TRUE(contains(outcome.out, name)) << name;
}

TEST(TuttiTopo, ShowsANamedSystemWithEqualThingsTogether) {
  for (const char* name :
       {"ethernet:1", "mi300x", "dgx-h100:64", "tpu-v5e:5x7", "dgx-h100:2+mi300x:2", "fat-tree:1024", "rail:64x8", "gb300-nvl72:4"}) {
    const Outcome outcome = run({TUTTI_TOPO, "--system", name});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    expect_80_columns(outcome.out);
    EXPECT_LE(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 40) << outcome.out;
  }
  const std::string nodes = run({TUTTI_TOPO, "show", "--system", "dgx-h100:64"}).out;
  for (const char* part : {"512 endpoints", "64 nodes of 8 x nvidia cuda", "512 x nic", "18 x 25", "all_reduce"}) {
    EXPECT_TRUE(contains(nodes, part)) << part << "\n" << nodes;
  }
}

TEST(TuttiTopo, AFileIsShownAndWrittenAsItWasRead) {
  const std::string path = ::testing::TempDir() + "/tutti_topo_test." + std::to_string(getpid()) + ".json";
  const Outcome written = run({TUTTI_TOPO, "--system", "trn2", "--json"});
  ASSERT_EQ(written.status, 0) << written.err;
  std::ofstream(path) << written.out;
  const Outcome again = run({TUTTI_TOPO, "--file", path, "--json"});
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_EQ(again.out, written.out);
  EXPECT_TRUE(contains(run({TUTTI_TOPO, "show", "--file", path}).out, "4x4 torus")) << path;
  std::ofstream(path) << R"({"endpoints": [], "links": [{"from": "a"}]})";
  const Outcome wrong = run({TUTTI_TOPO, "--file", path});
  EXPECT_EQ(wrong.status, 1);
  EXPECT_TRUE(contains(wrong.err, path + ":1: links[0]")) << wrong.err;
  std::filesystem::remove(path);
}

std::string content_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST(TuttiTopo, PicturesAreWrittenOfThisMachineAFileAndASystem) {
  const std::string path = ::testing::TempDir() + "/tutti_topo_test." + std::to_string(getpid());
  for (const std::vector<std::string>& which : {std::vector<std::string>{}, {"--system", "trn2"}, {"--file", path + ".json"}}) {
    std::ofstream(path + ".json") << run({TUTTI_TOPO, "--system", "mi300x", "--json"}).out;
    std::vector<std::string> command = {TUTTI_TOPO, "show", "--svg", path + ".svg", "--html", path + ".html"};
    command.insert(command.end(), which.begin(), which.end());
    const Outcome outcome = run(command);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(content_of(path + ".svg").rfind("<svg ", 0), 0U);
    EXPECT_EQ(content_of(path + ".html").rfind("<!DOCTYPE html>", 0), 0U);
  }
  const Outcome nowhere = run({TUTTI_TOPO, "--svg", path + ".no/such/folder.svg"});
  EXPECT_EQ(nowhere.status, 1);
  EXPECT_TRUE(contains(nowhere.err, "cannot write the picture '" + path + ".no/such/folder.svg'")) << nowhere.err;
  for (const char* end : {".json", ".svg", ".html"}) std::filesystem::remove(path + end);
}

TEST(TuttiTopo, DotHasEveryEndpointAndLink) {
  const Outcome outcome = run({TUTTI_TOPO, "--system", "mi300x", "--dot"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(contains(outcome.out, "\"mi300x-0/gpu7\" [shape=box"));
  size_t edges = 0;
  for (size_t at = 0; (at = outcome.out.find(" -- ", at)) != std::string::npos; ++at) ++edges;
  EXPECT_EQ(edges, 28U) << "one for both directions";
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
