// A snapshot of environment variables, so that what a launcher says can be read, and tested, without the process's own.
// Threading: a value; of_process() races with setenv() as getenv() does.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace tutti {

class Environment {
 public:
  using Variables = std::map<std::string, std::string, std::less<>>;

  Environment() = default;
  explicit Environment(Variables variables) : variables_(std::move(variables)) {}
  static Environment of_process();

  bool has(std::string_view name) const { return variables_.contains(name); }
  // Set and not empty.
  bool says(std::string_view name) const { return !value(name).empty(); }
  std::string value(std::string_view name) const;  // empty: unset

 private:
  Variables variables_;
};

// Who a process is in its job.
struct Numbers {
  int rank = 0;
  int nranks = 1;
  bool operator==(const Numbers&) const = default;
};

// A whole non-negative decimal, nothing around it.
std::optional<int> parse_number(std::string_view text);

// Errors: kInvalidUsage that names both variables (one is missing or no number; the rank does not lie below the size).
Result<Numbers> read_numbers(const Environment& environment, const char* rank_name, const char* size_name);

}  // namespace tutti
