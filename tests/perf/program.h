// tutti-perf as a child process, for the tests of this folder. Every program runs under timeout(1), so that a hang is a failure with the
// program's own words. Threads: the tests' own only.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

namespace perf_test {

using Json = nlohmann::json;

inline constexpr const char* kPerf = TUTTI_PERF;

struct Result {
  int status = -1;
  std::string out;
  std::string err;
  Json json;  // discarded where there is none
};

// The file's text; empty where it cannot be read.
std::string slurp(const std::string& path);

// Runs a command that takes --json.
Result run(const std::string& command);
// tutti-perf.
Result perf(const std::string& arguments);

std::set<std::string> keys(const Json& object);

// A run that went well: status 0, and no wrong element in any row.
void expect_right(const Result& result, int ranks, size_t rows);

}  // namespace perf_test
