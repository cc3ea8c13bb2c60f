#include "launch/environment.h"

#include <unistd.h>

#include <charconv>

#include "comm/rendezvous.h"

namespace tutti {

Environment Environment::of_process() {
  Environment result;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    result.variables_.emplace(text.substr(0, equals), text.substr(equals + 1));  // of doubles the first counts, as for getenv()
  }
  return result;
}

std::string Environment::value(std::string_view name) const {
  const auto found = variables_.find(name);
  return found == variables_.end() ? std::string() : found->second;
}

std::optional<int> parse_number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

Result<Numbers> read_numbers(const Environment& environment, const char* rank_name, const char* size_name) {
  const std::string rank_text = environment.value(rank_name);
  const std::string size_text = environment.value(size_name);
  const std::string both = std::string(rank_name) + "=" + rank_text + ", " + size_name + "=" + size_text;
  const std::optional<int> rank = parse_number(rank_text);
  const std::optional<int> nranks = parse_number(size_text);
  if (!rank || !nranks) {
    return Status(Code::kInvalidUsage, both + ": both must be set to whole numbers; start the program with a launcher, or unset both");
  }
  if (*nranks < 1 || *nranks > kMaxRanks || *rank >= *nranks) {
    return Status(Code::kInvalidUsage, both + ": the rank must lie in 0 .. size-1, the size in 1 .. " + std::to_string(kMaxRanks));
  }
  return Numbers{*rank, *nranks};
}

}  // namespace tutti
