// Messages for people, on stderr, one line each: "tutti[host:pid] warn: ...". A line is one write, so ranks do not mix.
// Threading: any thread.
#pragma once

#include <string>

#include "base/config.h"

namespace tutti {

bool log_enabled(LogLevel level);
void log(LogLevel level, const std::string& message);

inline void log_warn(const std::string& message) { log(LogLevel::kWarn, message); }
// Of strangers, who may come in any number and to any number of listeners: a few warnings in ten seconds for the whole process. The next
// one that is written says how many were not.
void log_stranger(const std::string& message);
inline void log_info(const std::string& message) { log(LogLevel::kInfo, message); }

}  // namespace tutti
