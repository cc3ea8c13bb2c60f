// See program.h.
#include "program.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <sstream>

namespace perf_test {
namespace {

// A file name of this test's own; whatever is there is removed now and at the end.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& suffix) : path_(::testing::TempDir() + "tutti_perf_test." + std::to_string(getpid()) + suffix) {
    std::remove(path_.c_str());
  }
  ~TemporaryFile() { std::remove(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace

std::string slurp(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

Result run(const std::string& command) {
  const TemporaryFile err(".err"), json(".json");
  Result result;
  FILE* pipe = popen(("timeout -k 5 120 " + command + " --json " + json.path() + " 2>" + err.path()).c_str(), "r");
  if (pipe == nullptr) return result;
  char buffer[4096];
  for (size_t n = 0; (n = fread(buffer, 1, sizeof(buffer), pipe)) > 0;) result.out.append(buffer, n);
  const int wait_status = pclose(pipe);
  result.status = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
  result.err = slurp(err.path());
  result.json = Json::parse(slurp(json.path()), nullptr, false);
  return result;
}

Result perf(const std::string& arguments) {
  return run(std::string(kPerf) + " " + arguments);
}

std::set<std::string> keys(const Json& object) {
  std::set<std::string> names;
  for (const auto& item : object.items()) names.insert(item.key());
  return names;
}

void expect_right(const Result& result, int ranks, size_t rows) {
  ASSERT_EQ(result.status, 0) << result.err << result.out;
  ASSERT_TRUE(result.json.is_object()) << result.out;
  EXPECT_EQ(result.json["ranks"], ranks);
  ASSERT_EQ(result.json["rows"].size(), rows);
  for (const Json& row : result.json["rows"]) {
    EXPECT_EQ(row["wrong"], 0) << row;
    if (!row["in_place"].is_null()) {
      EXPECT_EQ(row["in_place"]["wrong"], 0) << row;
    }
    EXPECT_GT(row["time_us"], 0.0) << row;
  }
  EXPECT_NE(result.out.find("# Out of bounds values : 0 OK"), std::string::npos) << result.out;
}

}  // namespace perf_test
