#include "comm/control_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cerrno>
#include <cstring>

namespace tutti {
namespace {

in6_addr as_in6(const ControlAddress& endpoint) {
  in6_addr address;
  std::memcpy(&address, endpoint.address.data(), sizeof address);
  return address;
}

}  // namespace

bool ControlAddress::is_v4() const {
  const in6_addr in6 = as_in6(*this);
  return IN6_IS_ADDR_V4MAPPED(&in6);
}

bool ControlAddress::is_loopback() const {
  const in6_addr in6 = as_in6(*this);
  return is_v4() ? address[12] == std::byte{127} : IN6_IS_ADDR_LOOPBACK(&in6);
}

std::string ControlAddress::text() const {
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(is_v4() ? AF_INET : AF_INET6, address.data() + (is_v4() ? 12 : 0), text, sizeof text);
  return std::string(text) + " port " + std::to_string(port);
}

void put(ByteWriter& writer, const ControlAddress& endpoint) {
  writer.raw(endpoint.address);
  writer.u16(endpoint.port);
}

ControlAddress get_control_address(ByteReader& reader) {
  ControlAddress endpoint;
  endpoint.address = reader.array<std::array<std::byte, 16>>();
  endpoint.port = reader.u16();
  return endpoint;
}

SocketAddress SocketAddress::of(const ControlAddress& endpoint) {
  SocketAddress result;
  if (endpoint.is_v4()) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(result.storage);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(endpoint.port);
    std::memcpy(&v4.sin_addr, endpoint.address.data() + 12, 4);
    result.length = sizeof v4;
  } else {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(result.storage);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(endpoint.port);
    v6.sin6_addr = as_in6(endpoint);
    result.length = sizeof v6;
  }
  return result;
}

Result<SocketAddress> SocketAddress::local_of(int fd) {
  SocketAddress result;
  result.length = sizeof result.storage;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&result.storage), &result.length) != 0) {
    return system_error("read a socket's own address", errno);
  }
  return result;
}

ControlAddress SocketAddress::control_address() const {
  ControlAddress result;
  if (family() == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
    result.address[10] = result.address[11] = std::byte{0xff};  // ::ffff:a.b.c.d
    std::memcpy(result.address.data() + 12, &v4.sin_addr, 4);
    result.port = ntohs(v4.sin_port);
  } else {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
    std::memcpy(result.address.data(), &v6.sin6_addr, 16);
    result.port = ntohs(v6.sin6_port);
  }
  return result;
}

Result<Fd> listen_near(ControlAddress& endpoint) {
  ControlAddress wanted = endpoint;
  wanted.port = 0;
  if (!wanted.is_loopback()) std::fill(wanted.address.begin() + (wanted.is_v4() ? 12 : 0), wanted.address.end(), std::byte{0});
  SocketAddress address = SocketAddress::of(wanted);
  Fd fd(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd && !wanted.is_v4()) {  // IPv6 is switched off
    wanted.address[10] = wanted.address[11] = std::byte{0xff};
    address = SocketAddress::of(wanted);
    fd.reset(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  }
  const int off = 0;
  if (!wanted.is_v4()) setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (!fd) return system_error("create a socket", errno);
  if (bind(fd.get(), address.get(), address.length) != 0 || listen(fd.get(), SOMAXCONN) != 0) {
    return system_error("listen for control connections", errno);
  }
  const Result<SocketAddress> taken = SocketAddress::local_of(fd.get());
  if (!taken.ok()) return taken.status();
  endpoint.port = taken.value().control_address().port;
  return fd;
}

}  // namespace tutti
