#include "base/log.h"

#include <unistd.h>

#include <chrono>
#include <mutex>

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

void log_stranger(const std::string& message) {
  using Clock = std::chrono::steady_clock;
  constexpr auto kWhile = std::chrono::seconds(10);
  constexpr int kMost = 4;
  static std::mutex mutex;
  static Clock::time_point since;  // guarded by mutex, as both below
  static int written = 0;
  static uint64_t swallowed = 0;
  std::string text = message;
  {
    std::lock_guard lock(mutex);
    const Clock::time_point now = Clock::now();
    if (now - since > kWhile) since = now, written = 0;
    if (written == kMost) {
      ++swallowed;
      return;
    }
    ++written;
    if (swallowed != 0) text += " (" + std::to_string(swallowed) + " warnings of strangers were left out before)";
    swallowed = 0;
  }
  log_warn(text);
}

}  // namespace tutti
