// Did a launcher start this process, and as which rank? Answered from the environment alone, since a process that is to fork ranks may not
// call the library first. The library decides for itself (docs/launchers.md); a communicator that says otherwise is an error.
// Threads: reads the environment only.
#pragma once

#include <optional>
#include <string>

namespace perf {

struct Launched {
  int rank = 0;
  int ranks = 1;
};

// Nothing: no launcher, or TUTTI_LAUNCHER=none. `why` is left empty, or says which variables make no sense.
std::optional<Launched> launched_as(std::string& why);

}  // namespace perf
