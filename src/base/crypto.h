// Random bytes and keyed hashes, through libcrypto. Threading: any thread.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "base/status.h"

namespace tutti {

using Key = std::array<std::byte, 32>;  // 256 bits
using Mac = std::array<std::byte, 32>;  // HMAC-SHA-256

// Sets libcrypto up so that it is not taken down when the process exits (unless the program had it set up before): a thread that outlives
// main() may hold what is its own there.
void prepare_crypto();

Status random_bytes(std::span<std::byte> out);
Mac hmac_sha256(const Key& key, std::span<const std::byte> message);
// In constant time.
bool equal_macs(const Mac& a, const Mac& b);

}  // namespace tutti
