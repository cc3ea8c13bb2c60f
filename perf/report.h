// What rank 0 says: nccl-tests' table on stdout, and the same numbers as JSON (the keys are a contract: design.md, section 6).
// Threads: rank 0's own only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "options.h"
#include "timing.h"

namespace perf {

struct Measured {
  Timing timing;
  std::optional<uint64_t> wrong;  // over all ranks and checks; nothing with -c 0
  uint64_t out_of_bounds = 0;     // of these, values beside a buffer
};

struct Row {
  Shape shape;
  std::optional<std::string> algorithm;  // nothing where tuttiCommExplain cannot be asked
  Measured out_of_place;
  std::optional<Measured> in_place;  // nothing where the collective has no such form
};

struct RankInfo {
  uint64_t pid;
  int cpu;  // -1: not bound
};

// The bandwidths of `bytes` in `us`, in 10^9 bytes a second.
double algbw_GBps(size_t bytes, double us);
double busbw_GBps(const Options& options, size_t bytes, double us);

uint64_t total_wrong(const std::vector<Row>& rows);

void print_header(const Options& options, const std::string& transport, const std::vector<RankInfo>& ranks);
void print_row(const Options& options, const Row& row);
void print_footer(const Options& options, const std::vector<Row>& rows);

// Throws Failure when the file cannot be written.
void write_json(const Options& options, const std::string& transport, const std::vector<Row>& rows);

}  // namespace perf
