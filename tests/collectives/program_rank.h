// One rank's way through a random program: makes the calls, on streams and with layouts of its own choice, and compares every buffer with
// the oracle as soon as the contract says that its operation is complete.
// Threading: run_program() from one thread at a time.
#pragma once

#include "random_program.h"
#include "team.h"

namespace tutti::test {

struct ProgramCounts {
  uint64_t collectives = 0;  // calls, of all ranks together
  uint64_t messages = 0;     // their two ends
};

// Runs the program with ranks as threads. A finding begins with the first step that failed and how to replay it.
Finding run_program(const ProgramOptions& options, ProgramCounts* counts = nullptr);

}  // namespace tutti::test
