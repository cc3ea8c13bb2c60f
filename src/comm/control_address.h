// TCP addresses of control listeners, IPv4 and IPv6 alike. Threading: value types.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <string>

#include "base/fd.h"
#include "comm/wire.h"

namespace tutti {

// As it travels.
struct ControlAddress {
  std::array<std::byte, 16> address{};  // IPv6, or IPv4 mapped into it
  uint16_t port = 0;

  bool is_v4() const;
  bool is_loopback() const;
  std::string text() const;  // "127.0.0.1 port 4711"
  bool operator==(const ControlAddress&) const = default;
};

void put(ByteWriter& writer, const ControlAddress& endpoint);
ControlAddress get_control_address(ByteReader& reader);

// As the kernel wants it. An IPv4 address takes a plain IPv4 socket, which also works where IPv6 is switched off.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  static SocketAddress of(const ControlAddress& endpoint);
  // Of a socket's own end. Errors: kSystem.
  static Result<SocketAddress> local_of(int fd);
  ControlAddress control_address() const;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
};

// A socket that listens at an address of `endpoint`'s family, on a port that the system chooses and that is set in `endpoint`: on the
// loopback interface where the endpoint is there, else on all interfaces; :: is IPv4 as well. Errors: kSystem.
Result<Fd> listen_near(ControlAddress& endpoint);

}  // namespace tutti
