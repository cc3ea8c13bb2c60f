// What both ends of a rendezvous compute alike: the messages' fields and proofs. See rendezvous.h.
// Threading: pure functions.
#pragma once

#include <array>
#include <optional>

#include "base/crypto.h"
#include "comm/wire.h"

namespace tutti {

using Nonce = std::array<std::byte, 32>;

inline constexpr uint32_t kProtocolVersion = 1;

struct Hello {
  uint32_t protocol = kProtocolVersion;
  uint32_t nranks = 0;
  uint32_t rank = 0;
  uint32_t meeting = 0;
  double timeout_s = 0;
  Nonce nonce{};
  std::string version;  // of the library
};

Bytes encode_hello(const Hello& hello);
std::optional<Hello> decode_hello(std::span<const std::byte> body);

// `role` keeps one end's proof from serving as the other's.
enum class Role : uint16_t { kListener = 1, kRank = 2 };
Mac rendezvous_proof(const Key& key, Role role, const Nonce& listener_nonce, std::span<const std::byte> hello_body);

}  // namespace tutti
