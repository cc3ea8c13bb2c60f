// Messages for people, on stderr, one line each: "tutti[host:pid] warn: ...". A line is one write, so ranks do not mix.
// Threading: any thread.
#pragma once

#include <string>

#include "base/config.h"

namespace tutti {

bool log_enabled(LogLevel level);
void log(LogLevel level, const std::string& message);

inline void log_warn(const std::string& message) { log(LogLevel::kWarn, message); }
inline void log_info(const std::string& message) { log(LogLevel::kInfo, message); }

}  // namespace tutti
