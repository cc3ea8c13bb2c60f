// tutti-perf's command line, checked. Whatever is wrong with it ends here, with a sentence on stderr and exit status 2.
// Threads: parsed once, before any rank exists; read-only after.
#pragma once

#include <cstddef>
#include <string>
#include <variant>
#include <vector>

#include "collective.h"
#include "types.h"

namespace perf {

enum class Launch { kLauncher, kFork, kThreads };
enum class Pin { kAuto, kYes, kNo };

struct Options {
  const Collective* collective = nullptr;
  const DataType* type = nullptr;
  const RedOp* op = nullptr;  // no_reduction() where the collective does not reduce
  Launch launch = Launch::kFork;
  Pin pin = Pin::kAuto;
  int rank = 0;  // of a launcher's job
  int ranks = 0;
  int root = -1;  // -1: rotates from iteration to iteration, or the collective has none
  size_t min_bytes = 0;
  size_t max_bytes = 0;
  size_t factor = 2;
  int warmups = 5;
  int iterations = 20;
  bool check = true;
  bool inject_error = false;  // --inject-error, see options.cc
  std::string json_path;      // empty: none

  // The sizes to run, ascending and distinct after rounding down to what the collective takes.
  std::vector<Shape> shapes() const;
};

// The options, or the exit status to end with at once (0 after --help).
std::variant<Options, int> parse_options(int argc, char** argv);

}  // namespace perf
