// Prints what process_config() holds, or why it holds nothing. Exit status 0 or 1.
#include <cstdio>

#include "base/config.h"

int main() {
  const tutti::Result<tutti::Config>& result = tutti::process_config();
  if (!result.ok()) {
    std::printf("%s\n", result.status().message().c_str());
    return 1;
  }
  const tutti::Config& config = result.value();
  std::printf("slots=%llu timeout=%g algorithm=%s transports=%s\n", static_cast<unsigned long long>(config.slots), config.timeout_s,
              config.algorithm.c_str(), config.transports.c_str());
  return 0;
}
