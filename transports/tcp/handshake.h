// How the two ends of a data connection prove to each other that they know the communicator's key, before a byte of either is believed.
//
//   connector -> hello      who I am, which listener I mean, a nonce
//   connector <- challenge  a nonce, and proof that the listener knows the key
//   connector -> proof      that I know it
//   connector <- verdict    welcome; or wait: there is, or will be, a connection from me to you
//   connector -> go         the connection counts from here on: whoever gives up before leaves no trace
//
// Proofs are HMAC-SHA-256 over role, hello and both nonces, so neither a replay nor a reflection proves anything. All messages have fixed
// sizes. What follows the handshake is neither signed nor encrypted.
// Threading: pure functions.
#pragma once

#include "base/crypto.h"
#include "transports/tcp/address.h"

namespace tutti::tcp {

inline constexpr uint16_t kVersion = 1;

using Nonce = std::array<std::byte, 32>;

struct Hello {
  uint32_t magic = 0x50435454;  // "TTCP"
  uint16_t version = kVersion;
  uint16_t index = 0;  // which of the pair's connections this is to be
  uint32_t rank = 0;
  uint32_t nranks = 0;
  uint32_t to_rank = 0;
  ListenerId listener{};
  Nonce nonce{};
};
static_assert(sizeof(Hello) == 68);

struct Challenge {
  Nonce nonce{};
  Mac proof{};
};

enum class Role : uint8_t { kListener = 1, kConnector = 2 };
Mac prove(const Key& key, Role role, const Hello& hello, const Nonce& listener_nonce);

enum class Verdict : uint8_t { kWelcome = 'W', kWait = 'Y' };
inline constexpr char kGo = 'G';

}  // namespace tutti::tcp
