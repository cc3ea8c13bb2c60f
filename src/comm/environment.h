// What a launcher says through the environment: who this process is, and where its job meets.
// Threading: any thread.
#pragma once

#include <string>

#include "base/status.h"
#include "tutti/tutti.h"

namespace tutti {

struct LaunchedAs {
  int rank = 0;
  int nranks = 1;
  tuttiUniqueId id{};
  bool launched = false;  // false: no launcher; a job of one
};

// Reads tutti-run's TUTTI_RANK, TUTTI_SIZE and TUTTI_UNIQUE_ID. Errors: kInvalidUsage (some are missing or malformed).
Result<LaunchedAs> read_launch_environment();

}  // namespace tutti
