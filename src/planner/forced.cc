#include "planner/forced.h"

#include <algorithm>
#include <charconv>

#include "algorithms/algorithm.h"
#include "algorithms/channel_share.h"

namespace tutti {
namespace {

// The text up to the next colon, which goes with it.
std::string take_part(std::string& text) {
  const size_t colon = text.find(':');
  std::string part = text.substr(0, colon);
  text = colon == std::string::npos ? std::string() : text.substr(colon + 1);
  return part;
}

bool number(const std::string& text, int& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

Status refuse(const std::string& text, const std::string& why) {
  return {Code::kInvalidArgument, "'" + text + "' cannot be forced (TUTTI_ALGORITHM or the config): " + why};
}

}  // namespace

Result<Forced> parse_forced(const std::string& text) {
  Forced forced;
  if (text.empty()) return forced;
  std::string rest = text;
  forced.algorithm = take_part(rest);
  const Algorithm* const algorithm = find_algorithm(forced.algorithm);
  if (algorithm == nullptr) {
    std::string names;
    for (const Algorithm* each : algorithms()) names += std::string(names.empty() ? "" : ", ") + each->name;
    return Status(Code::kInvalidArgument,
                  "there is no algorithm '" + forced.algorithm + "' to force (TUTTI_ALGORITHM or the config): there are " + names);
  }
  if (forced.algorithm.size() == text.size()) return forced;
  if (!number(take_part(rest), forced.channels) || forced.channels < 1 || forced.channels > kMostShares) {
    return refuse(text, "write NAME, NAME:CHANNELS or NAME:CHANNELS:PARAMETER, with 1 to " + std::to_string(kMostShares) + " channels");
  }
  if (rest.empty()) return forced;
  const auto& legal = algorithm->parameters;
  if (!number(rest, forced.parameter) ||
      (forced.parameter != 0 && std::find(legal.begin(), legal.end(), forced.parameter) == legal.end())) {
    std::string values = "0";
    for (const int each : legal) values += each == 0 ? "" : ", " + std::to_string(each);
    return refuse(text, "parameters of " + forced.algorithm + " are " + values);
  }
  return forced;
}

}  // namespace tutti
