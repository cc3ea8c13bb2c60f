// The host's network interfaces and which of them Tutti uses: those that are up and plugged in, not loopback and no bridge of a container
// engine, unless there is nothing else; or what TUTTI_SOCKET_IFNAME says, in NCCL's grammar: a list of name prefixes, `^` before it
// excludes, `=` before it (after `^`) takes whole names. Threading: any thread; nothing is kept.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace tutti {

// IPv6, or IPv4 mapped into it.
struct IpAddress {
  std::array<std::byte, 16> bytes{};

  bool is_v4() const;
  bool is_loopback() const;
  std::string text() const;
  // For connect() and bind(). An IPv4 address becomes a plain sockaddr_in: it works where IPv6 is switched off.
  socklen_t to_sockaddr(uint16_t port, sockaddr_storage& out) const;
  static IpAddress from_sockaddr(const sockaddr* address);  // family AF_INET or AF_INET6

  bool operator==(const IpAddress&) const = default;
};

// Whether the first `prefix_bits` (of 128; IPv4's count from 96) are equal.
bool same_subnet(const IpAddress& a, const IpAddress& b, int prefix_bits);

// One address of an interface that is up.
struct Interface {
  std::string name;
  IpAddress address;
  int prefix_bits = 128;  // of 128
  bool loopback = false;
  bool running = true;  // has a carrier
};

// TUTTI_SOCKET_IFNAME's value. Empty: no wish.
struct InterfaceFilter {
  bool exclude = false;
  bool exact = false;
  std::vector<std::string> names;

  static InterfaceFilter parse(std::string_view text);
  bool takes(std::string_view name) const;
};

// Of `all`, those to use, IPv4 before IPv6, else in the system's order. Errors: kInvalidArgument (the filter leaves none; the
// sentence lists what there is).
Result<std::vector<Interface>> choose_interfaces(std::span<const Interface> all, std::string_view filter);

// Of this host, now. The choice is logged at info. Errors: those of choose_interfaces(); kSystem.
Result<std::vector<Interface>> usable_interfaces(std::string_view filter);

}  // namespace tutti
