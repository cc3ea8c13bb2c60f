#include "comm/environment.h"

#include <charconv>
#include <cstdlib>
#include <string_view>

namespace tutti {
namespace {

bool parse_int(std::string_view text, int& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

bool parse_hex(std::string_view text, tuttiUniqueId& id) {
  if (text.size() != 2 * sizeof id.internal) return false;
  for (size_t i = 0; i < sizeof id.internal; ++i) {
    unsigned byte = 0;
    const char* const digits = text.data() + 2 * i;
    const auto [end, error] = std::from_chars(digits, digits + 2, byte, 16);
    if (error != std::errc() || end != digits + 2) return false;
    id.internal[i] = static_cast<char>(byte);
  }
  return true;
}

}  // namespace

Result<LaunchedAs> read_launch_environment() {
  const char* const rank = std::getenv("TUTTI_RANK");
  const char* const size = std::getenv("TUTTI_SIZE");
  const char* const id = std::getenv("TUTTI_UNIQUE_ID");
  if (rank == nullptr && size == nullptr && id == nullptr) return LaunchedAs{};
  LaunchedAs as{.launched = true};
  const bool whole = rank != nullptr && size != nullptr && id != nullptr;
  if (!whole || !parse_int(rank, as.rank) || !parse_int(size, as.nranks) || !parse_hex(id, as.id)) {
    return Status(
        Code::kInvalidUsage,
        "TUTTI_RANK, TUTTI_SIZE and TUTTI_UNIQUE_ID (256 hex digits) must be set together: start the program with tutti-run, or unset "
        "all three");
  }
  if (as.nranks < 1 || as.rank < 0 || as.rank >= as.nranks) {
    return Status(Code::kInvalidUsage, "TUTTI_RANK=" + std::string(rank) + " does not lie in 0 .. TUTTI_SIZE-1 (TUTTI_SIZE=" + size + ")");
  }
  return as;
}

}  // namespace tutti
