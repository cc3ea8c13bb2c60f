#include "base/interfaces.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/log.h"

namespace tutti {
namespace {

constexpr int kV4Bits = 96;  // of the mapped prefix

// Bridges and cables that container engines and hypervisors make for inside this host: nobody else can be reached there.
constexpr std::string_view kInnerNames[] = {"docker", "br-", "virbr", "veth", "vnet", "cni", "podman", "lxcbr", "lxdbr", "incusbr"};

bool is_inner(std::string_view name) {
  return std::any_of(std::begin(kInnerNames), std::end(kInnerNames), [&](std::string_view prefix) { return name.starts_with(prefix); });
}

int bits_of(const sockaddr* mask) {
  if (mask == nullptr) return 128;
  const auto count = [](const void* data, size_t bytes) {
    int bits = 0;
    for (size_t i = 0; i < bytes; ++i) bits += __builtin_popcount(static_cast<const unsigned char*>(data)[i]);
    return bits;
  };
  if (mask->sa_family == AF_INET) return kV4Bits + count(&reinterpret_cast<const sockaddr_in*>(mask)->sin_addr, 4);
  return count(&reinterpret_cast<const sockaddr_in6*>(mask)->sin6_addr, 16);
}

// Addresses that mean something only together with an interface cannot be given to others.
bool is_link_local(const sockaddr* address) {
  return address->sa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr);
}

Result<std::vector<Interface>> all_interfaces() {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return system_error("list the network interfaces", errno);
  std::vector<Interface> all;
  for (const ifaddrs* each = list; each != nullptr; each = each->ifa_next) {
    const sockaddr* const address = each->ifa_addr;
    if (address == nullptr || (address->sa_family != AF_INET && address->sa_family != AF_INET6)) continue;
    if ((each->ifa_flags & IFF_UP) == 0 || is_link_local(address)) continue;
    all.push_back({.name = each->ifa_name,
                   .address = IpAddress::from_sockaddr(address),
                   .prefix_bits = bits_of(each->ifa_netmask),
                   .loopback = (each->ifa_flags & IFF_LOOPBACK) != 0,
                   .running = (each->ifa_flags & IFF_RUNNING) != 0});
  }
  freeifaddrs(list);
  return all;
}

// "eth0 (10.0.0.1, fd00::1), lo (127.0.0.1)".
std::string list_text(std::span<const Interface> interfaces) {
  std::string text;
  std::vector<std::string> seen;
  for (const Interface& each : interfaces) {
    if (std::find(seen.begin(), seen.end(), each.name) != seen.end()) continue;
    seen.push_back(each.name);
    text += (text.empty() ? "" : ", ") + each.name + " (";
    bool first = true;
    for (const Interface& other : interfaces) {
      if (other.name != each.name) continue;
      text += (first ? "" : ", ") + other.address.text();
      first = false;
    }
    text += ")";
  }
  return text.empty() ? "none" : text;
}

}  // namespace

bool IpAddress::is_v4() const {
  constexpr unsigned char kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return std::memcmp(bytes.data(), kMapped, sizeof kMapped) == 0;
}

bool IpAddress::is_loopback() const {
  if (is_v4()) return bytes[12] == std::byte{127};
  in6_addr address;
  std::memcpy(&address, bytes.data(), sizeof address);
  return IN6_IS_ADDR_LOOPBACK(&address);
}

std::string IpAddress::text() const {
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(is_v4() ? AF_INET : AF_INET6, bytes.data() + (is_v4() ? 12 : 0), text, sizeof text);
  return text;
}

socklen_t IpAddress::to_sockaddr(uint16_t port, sockaddr_storage& out) const {
  out = {};
  if (is_v4()) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(out);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, bytes.data() + 12, 4);
    return sizeof v4;
  }
  auto& v6 = reinterpret_cast<sockaddr_in6&>(out);
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  std::memcpy(&v6.sin6_addr, bytes.data(), bytes.size());
  return sizeof v6;
}

IpAddress IpAddress::from_sockaddr(const sockaddr* address) {
  IpAddress result;
  if (address->sa_family == AF_INET) {
    result.bytes[10] = result.bytes[11] = std::byte{0xff};
    std::memcpy(result.bytes.data() + 12, &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, 4);
  } else {
    std::memcpy(result.bytes.data(), &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, 16);
  }
  return result;
}

bool same_subnet(const IpAddress& a, const IpAddress& b, int prefix_bits) {
  for (int bit = 0; bit < prefix_bits; bit += 8) {
    const int bits = std::min(8, prefix_bits - bit);
    const auto mask = static_cast<unsigned>(0xff00 >> bits & 0xff);
    const auto differ = a.bytes[static_cast<size_t>(bit / 8)] ^ b.bytes[static_cast<size_t>(bit / 8)];
    if ((std::to_integer<unsigned>(differ) & mask) != 0) return false;
  }
  return true;
}

InterfaceFilter InterfaceFilter::parse(std::string_view text) {
  InterfaceFilter filter;
  filter.exclude = text.starts_with('^');
  if (filter.exclude) text.remove_prefix(1);
  filter.exact = text.starts_with('=');
  if (filter.exact) text.remove_prefix(1);
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    if (comma != 0) filter.names.emplace_back(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return filter;
}

bool InterfaceFilter::takes(std::string_view name) const {
  const bool named =
      std::any_of(names.begin(), names.end(), [&](const std::string& wish) { return exact ? name == wish : name.starts_with(wish); });
  return named != exclude;
}

Result<std::vector<Interface>> choose_interfaces(std::span<const Interface> all, std::string_view filter_text) {
  const InterfaceFilter filter = InterfaceFilter::parse(filter_text);
  if (!filter_text.empty() && filter.names.empty()) {
    return Status(Code::kInvalidArgument,
                  "TUTTI_SOCKET_IFNAME=" + std::string(filter_text) +
                      " names no interface: give prefixes separated by commas, with ^ before them to exclude, = for "
                      "whole names");
  }
  // Worse and worse: an outer interface, a bridge of this host or one without a cable, loopback. What was named is taken whatever it is.
  const bool wished = !filter_text.empty() && !filter.exclude;
  const auto rank_of = [&](const Interface& each) { return wished ? 0 : each.loopback ? 2 : is_inner(each.name) || !each.running ? 1 : 0; };
  std::vector<Interface> chosen;
  for (const int rank : {0, 1, 2}) {
    for (const Interface& each : all) {
      if (rank_of(each) == rank && (filter_text.empty() || filter.takes(each.name))) chosen.push_back(each);
    }
    if (!chosen.empty()) break;
  }
  if (chosen.empty()) {
    if (filter_text.empty()) return Status(Code::kSystem, "no network interface is up, not even loopback");
    return Status(Code::kInvalidArgument,
                  "TUTTI_SOCKET_IFNAME=" + std::string(filter_text) + " leaves no network interface: there are " + list_text(all));
  }
  std::stable_sort(chosen.begin(), chosen.end(),
                   [](const Interface& a, const Interface& b) { return a.address.is_v4() > b.address.is_v4(); });
  return chosen;
}

Result<std::vector<Interface>> usable_interfaces(std::string_view filter) {
  const Result<std::vector<Interface>> all = all_interfaces();
  if (!all.ok()) return all.status();
  Result<std::vector<Interface>> chosen = choose_interfaces(all.value(), filter);
  if (chosen.ok()) log_info("network interfaces: " + list_text(chosen.value()));
  return chosen;
}

}  // namespace tutti
