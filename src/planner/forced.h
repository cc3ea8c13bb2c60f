// What TUTTI_ALGORITHM and the config force: NAME[:CHANNELS[:PARAMETER]]. Threading: pure functions.
#pragma once

#include <string>

#include "base/status.h"

namespace tutti {

struct Forced {
  std::string algorithm;  // empty: nothing is forced
  int channels = 0;       // 0: as the rules would
  int parameter = 0;
};

// Errors (kInvalidArgument) name what there is.
Result<Forced> parse_forced(const std::string& text);

}  // namespace tutti
