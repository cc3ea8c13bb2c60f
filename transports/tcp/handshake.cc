#include "transports/tcp/handshake.h"

#include <cstring>

namespace tutti::tcp {

Mac prove(const Key& key, Role role, const Hello& hello, const Nonce& listener_nonce) {
  constexpr char kPurpose[] = "tutti tcp data connection";
  std::byte message[sizeof kPurpose + sizeof role + sizeof hello + sizeof listener_nonce];
  std::byte* to = message;
  const auto add = [&](const void* data, size_t bytes) {
    std::memcpy(to, data, bytes);
    to += bytes;
  };
  add(kPurpose, sizeof kPurpose);
  add(&role, sizeof role);
  add(&hello, sizeof hello);
  add(listener_nonce.data(), sizeof listener_nonce);
  return hmac_sha256(key, message);
}

}  // namespace tutti::tcp
