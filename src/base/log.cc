#include "base/log.h"

#include <unistd.h>

#include "base/host.h"

namespace tutti {

bool log_enabled(LogLevel level) {
  const Result<Config>& config = process_config();
  return level <= (config.ok() ? config.value().log : LogLevel::kWarn);
}

void log(LogLevel level, const std::string& message) {
  if (!log_enabled(level)) return;
  constexpr const char* kNames[] = {"warn", "info", "debug"};
  const std::string line =
      "tutti[" + host_name() + ":" + std::to_string(getpid()) + "] " + kNames[static_cast<int>(level)] + ": " + message + "\n";
  // A log line that cannot be written has nowhere to be reported.
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace tutti
