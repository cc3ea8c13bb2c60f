// Random bytes and keyed hashes, through libcrypto. Threading: any thread.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "base/status.h"

namespace tutti {

using Key = std::array<std::byte, 32>;  // 256 bits
using Mac = std::array<std::byte, 32>;  // HMAC-SHA-256

// Sets libcrypto up, and with it what takes it down when the process exits: whatever is registered for the exit after this runs before
// that.
void prepare_crypto();

Status random_bytes(std::span<std::byte> out);
Mac hmac_sha256(const Key& key, std::span<const std::byte> message);
// In constant time.
bool equal_macs(const Mac& a, const Mac& b);

}  // namespace tutti
