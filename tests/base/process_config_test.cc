// process_config(): the file, then the environment over it, read once. Each case is a new process (print_config.cc).
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <string>

namespace tutti {
namespace {

struct Printed {
  std::string text;
  bool ok = false;
};

// `environment` in the shell's words, before the command; nothing else is inherited.
Printed print_config(const std::string& environment) {
  const std::string command = "env -i " + environment + " '" PRINT_CONFIG "'";
  Printed printed;
  FILE* const pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return printed;
  std::array<char, 512> buffer;
  while (std::fgets(buffer.data(), buffer.size(), pipe) != nullptr) printed.text += buffer.data();
  printed.ok = pclose(pipe) == 0;
  return printed;
}

class ConfigFile : public ::testing::Test {
 protected:
  void SetUp() override { path_ = ::testing::TempDir() + "/tutti-config-" + std::to_string(getpid()); }
  void TearDown() override { unlink(path_.c_str()); }

  Printed print_with(const std::string& lines, const std::string& environment = "") {
    std::ofstream(path_) << lines;
    return print_config("TUTTI_CONF_FILE='" + path_ + "' " + environment);
  }

  std::string path_;
};

TEST(ProcessConfig, WithoutAnythingItHoldsTheDefaults) {
  const Printed printed = print_config("");
  EXPECT_TRUE(printed.ok);
  EXPECT_EQ(printed.text, "slots=4 timeout=300 algorithm= transports=shm,tcp\n");
}

TEST(ProcessConfig, TheEnvironmentIsRead) {
  EXPECT_EQ(print_config("TUTTI_SLOTS=8 TUTTI_TIMEOUT=1.5 TUTTI_ALGORITHM=ring").text,
            "slots=8 timeout=1.5 algorithm=ring transports=shm,tcp\n");
}

TEST(ProcessConfig, EmptyVariablesCountAsUnset) {
  EXPECT_EQ(print_config("TUTTI_SLOTS= TUTTI_TRANSPORTS= TUTTI_CONF_FILE=").text, "slots=4 timeout=300 algorithm= transports=shm,tcp\n");
}

TEST(ProcessConfig, AWrongValueIsNamed) {
  const Printed printed = print_config("TUTTI_SLOTS=1");
  EXPECT_FALSE(printed.ok);
  EXPECT_EQ(printed.text, "TUTTI_SLOTS=1 is not legal: give a whole number from 2 to 64 (K, M, G allowed)\n");
}

TEST_F(ConfigFile, LinesCommentsAndSpaceAreUnderstood) {
  EXPECT_EQ(print_with("# all of it\n\n  TUTTI_SLOTS = 16   # many\r\nTUTTI_ALGORITHM=ring").text,
            "slots=16 timeout=300 algorithm=ring transports=shm,tcp\n");
}

TEST_F(ConfigFile, TheEnvironmentOverridesIt) {
  EXPECT_EQ(print_with("TUTTI_SLOTS=16\nTUTTI_TIMEOUT=9\n", "TUTTI_SLOTS=3").text, "slots=3 timeout=9 algorithm= transports=shm,tcp\n");
}

TEST_F(ConfigFile, ErrorsNameFileAndLine) {
  struct Case {
    const char* lines;
    const char* expected;
  };
  const Case cases[] = {
      {"TUTTI_SLOTS=4\nTUTTI_SLOTS\n", ":2: expected NAME=VALUE"},
      {"\n\nTUTTI_TIMEOT=4\n", ":3: TUTTI_TIMEOT is no setting of Tutti"},
      {"TUTTI_SLOTS=many\n", ":1: TUTTI_SLOTS=many is not legal"},
      {"TUTTI_SLOTS=\n", ":1: TUTTI_SLOTS= is not legal"},
      {"=4\n", ":1:  is no setting"},
      {"TUTTI_CONF_FILE=other\n", ":1: TUTTI_CONF_FILE=other is not legal"},
  };
  for (const Case& each : cases) {
    const Printed printed = print_with(each.lines);
    EXPECT_FALSE(printed.ok) << each.lines;
    EXPECT_EQ(printed.text.find(path_ + each.expected), 0U) << printed.text;
  }
}

TEST(ProcessConfig, AFileThatCannotBeReadIsNamed) {
  for (const std::string path : {"/nonexistent/tutti.conf", "/tmp"}) {
    const Printed printed = print_config("TUTTI_CONF_FILE=" + path);
    EXPECT_FALSE(printed.ok) << path;
    EXPECT_NE(printed.text.find("TUTTI_CONF_FILE=" + path + " cannot be read"), std::string::npos) << printed.text;
  }
}

}  // namespace
}  // namespace tutti
