// Where a rank's listener can be reached: a port, the interfaces' addresses, and a random id by which a connection says whom it means.
// Threading: value types.
#pragma once

#include <optional>
#include <vector>

#include "base/interfaces.h"
#include "executor/transport.h"

namespace tutti::tcp {

using ListenerId = std::array<std::byte, 16>;

struct Address {
  struct Entry {
    IpAddress ip;
    uint8_t prefix_bits = 128;
  };
  static constexpr size_t kMaxEntries = 8;

  ListenerId id{};
  uint16_t port = 0;
  std::vector<Entry> entries;

  std::vector<std::byte> encode() const;
  // nullopt: these bytes are no address.
  static std::optional<Address> decode(std::span<const std::byte> bytes);
  std::string text() const;  // "10.0.0.2, fd00::2 port 4711"
};

// The addresses of a peer in the order in which to try them for its connection number `index`: those on a subnet of ours first, spread
// over the subnets that both have; then the others. Loopback addresses are of use only where we have nothing else either.
std::vector<IpAddress> candidates(const Address& own, const Address& peer, int index);

}  // namespace tutti::tcp
