#include "transports/tcp/address.h"

#include <algorithm>
#include <cstring>

namespace tutti::tcp {

std::vector<std::byte> Address::encode() const {
  std::vector<std::byte> out(id.begin(), id.end());
  out.push_back(static_cast<std::byte>(port & 0xff));
  out.push_back(static_cast<std::byte>(port >> 8));
  out.push_back(static_cast<std::byte>(entries.size()));
  for (const Entry& entry : entries) {
    out.insert(out.end(), entry.ip.bytes.begin(), entry.ip.bytes.end());
    out.push_back(static_cast<std::byte>(entry.prefix_bits));
  }
  return out;
}

std::optional<Address> Address::decode(std::span<const std::byte> bytes) {
  constexpr size_t kHead = sizeof(ListenerId) + 3, kEntry = sizeof(IpAddress) + 1;
  if (bytes.size() < kHead) return std::nullopt;
  Address address;
  std::memcpy(address.id.data(), bytes.data(), sizeof(ListenerId));
  const auto at = [&](size_t i) { return std::to_integer<unsigned>(bytes[i]); };
  address.port = static_cast<uint16_t>(at(sizeof(ListenerId)) | at(sizeof(ListenerId) + 1) << 8);
  const size_t count = at(kHead - 1);
  if (count == 0 || count > kMaxEntries || bytes.size() != kHead + count * kEntry) return std::nullopt;
  for (size_t i = 0; i < count; ++i) {
    Entry entry;
    std::memcpy(entry.ip.bytes.data(), bytes.data() + kHead + i * kEntry, sizeof(IpAddress));
    entry.prefix_bits = static_cast<uint8_t>(at(kHead + (i + 1) * kEntry - 1));
    if (entry.prefix_bits > 128) return std::nullopt;
    address.entries.push_back(entry);
  }
  return address;
}

std::string Address::text() const {
  std::string text;
  for (const Entry& entry : entries) text += (text.empty() ? "" : ", ") + entry.ip.text();
  return text + " port " + std::to_string(port);
}

std::vector<IpAddress> candidates(const Address& own, const Address& peer, int index) {
  std::vector<IpAddress> near, far, loop;
  const bool only_loopback = std::all_of(own.entries.begin(), own.entries.end(), [](const auto& entry) { return entry.ip.is_loopback(); });
  for (const Address::Entry& entry : peer.entries) {
    const bool shared = std::any_of(own.entries.begin(), own.entries.end(), [&](const Address::Entry& mine) {
      return same_subnet(mine.ip, entry.ip, std::max(mine.prefix_bits, entry.prefix_bits));
    });
    (entry.ip.is_loopback() && !only_loopback ? loop : shared ? near : far).push_back(entry.ip);
  }
  // IPv4 and IPv6 of one interface are one way: spread over what is reached by the family that comes first.
  std::vector<IpAddress>& spread = near.empty() ? far : near;
  const auto first_family =
      std::partition_point(spread.begin(), spread.end(), [&](const IpAddress& ip) { return ip.is_v4() == spread.front().is_v4(); });
  const auto ways = first_family - spread.begin();
  if (ways > 1) std::rotate(spread.begin(), spread.begin() + index % ways, first_family);
  near.insert(near.end(), far.begin(), far.end());
  near.insert(near.end(), loop.begin(), loop.end());
  return near;
}

}  // namespace tutti::tcp
