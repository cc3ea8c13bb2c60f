// Whether a failure run went as it must: what is wrong with it, in words.
// Threading: pure functions; the reports are at rest.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "tests/api/failures/rank.h"

namespace tutti::failures {

struct Ended {
  double injured_at = 0;
  std::vector<pid_t> pids;     // by rank
  std::vector<int> statuses;   // of waitpid(), by rank; -1: had to be killed
  std::string host;
};

// Empty: all is well.
std::string judge(const Scenario& scenario, const Board& board, const Ended& ended);

}  // namespace tutti::failures
