#include "launch/unique_id_text.h"

#include <charconv>

namespace tutti {

std::string id_to_hex(const RendezvousId& id) {
  constexpr const char* kDigits = "0123456789abcdef";
  const tuttiUniqueId encoded = encode_id(id);
  std::string text;
  for (const char byte : encoded.internal) {
    const auto value = static_cast<unsigned char>(byte);
    text += kDigits[value >> 4];
    text += kDigits[value & 15];
  }
  return text;
}

Result<RendezvousId> id_from_hex(std::string_view text) {
  const Status malformed(Code::kInvalidUsage, "a unique id is 256 hex digits");
  tuttiUniqueId id{};
  if (text.size() != 2 * sizeof id.internal) return malformed;
  for (size_t i = 0; i < sizeof id.internal; ++i) {
    unsigned byte = 0;
    const char* const digits = text.data() + 2 * i;
    const auto [end, error] = std::from_chars(digits, digits + 2, byte, 16);
    if (error != std::errc() || end != digits + 2) return malformed;
    id.internal[i] = static_cast<char>(byte);
  }
  return decode_id(id);
}

}  // namespace tutti
