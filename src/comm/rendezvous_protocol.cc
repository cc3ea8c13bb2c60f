#include "comm/rendezvous_protocol.h"

#include "base/build_id.h"
#include "base/host.h"
#include "comm/rendezvous.h"

namespace tutti {
namespace {

constexpr size_t kMostTextBytes = 256;  // of a name or a version

std::string describe(const Build& build) {
  return "Tutti " + build.version + " (protocol " + std::to_string(build.protocol) + ", build " + build.id + ")";
}

}  // namespace

Build own_build() {
  return {.version = library_version(), .id = build_id(), .host = host_name()};
}

std::string name_of(const Hello& hello) {
  return "rank " + std::to_string(hello.rank) + " (host " + hello.build.host + ", pid " + std::to_string(hello.pid) + ")";
}

Bytes encode_hello(const Hello& hello) {
  ByteWriter writer;
  writer.u32(hello.build.protocol);
  writer.text(hello.build.version);
  writer.text(hello.build.id);
  writer.text(hello.build.host);
  writer.u32(hello.rank);
  writer.u32(hello.nranks);
  writer.u32(hello.to);
  writer.u32(hello.meeting);
  writer.u64(hello.pid);
  writer.f64(hello.timeout_s);
  writer.raw(hello.nonce);
  return writer.take();
}

std::optional<Hello> decode_hello(std::span<const std::byte> body) {
  ByteReader reader(body);
  Hello hello;
  hello.build.protocol = reader.u32();
  hello.build.version = reader.text();
  hello.build.id = reader.text();
  hello.build.host = reader.text();
  hello.rank = reader.u32();
  for (const std::string* text : {&hello.build.version, &hello.build.id, &hello.build.host}) {
    if (text->size() > kMostTextBytes) return std::nullopt;
  }
  if (!reader.ok()) return std::nullopt;
  if (hello.build.protocol != kProtocolVersion) return hello;
  hello.nranks = reader.u32();
  hello.to = reader.u32();
  hello.meeting = reader.u32();
  hello.pid = reader.u64();
  hello.timeout_s = reader.f64();
  hello.nonce = reader.array<Nonce>();
  const bool sane = hello.nranks >= 1 && hello.nranks <= uint32_t{kMaxRanks} && hello.rank < hello.nranks && hello.timeout_s >= 0 &&
                    hello.timeout_s <= 1e9;
  if (!reader.ok() || !reader.at_end() || !sane) return std::nullopt;
  return hello;
}

Status compare_builds(const Hello& guest, const Build& mine) {
  const Build& theirs = guest.build;
  if (theirs.protocol == mine.protocol && theirs.version == mine.version && theirs.id == mine.id) return {};
  const std::string here = guest.to == kToRendezvous ? "the rendezvous" : "rank " + std::to_string(guest.to);
  return {Code::kInvalidUsage, "rank " + std::to_string(guest.rank) + " (host " + theirs.host + ") runs " + describe(theirs) + ", " + here +
                                   " (host " + mine.host + ") runs " + describe(mine) + ": install one build everywhere"};
}

Mac handshake_proof(const Key& key, Role role, const Nonce& listener_nonce, std::span<const std::byte> hello_body) {
  ByteWriter writer;
  writer.u16(static_cast<uint16_t>(role));
  writer.raw(listener_nonce);
  writer.bytes(hello_body);
  return hmac_sha256(key, writer.take());
}

Bytes encode_refusal(const Status& status) {
  ByteWriter writer;
  writer.u32(static_cast<uint32_t>(status.code()));
  writer.text(status.message());
  return writer.take();
}

Status decode_refusal(std::span<const std::byte> body, const std::string& from) {
  ByteReader reader(body);
  const auto code = static_cast<Code>(reader.u32());
  std::string text = reader.text();
  const bool known = code == Code::kSystem || code == Code::kTimeout || code == Code::kInvalidUsage || code == Code::kRemote;
  if (!reader.ok() || !known) return {Code::kRemote, from + " sent a malformed refusal"};
  return {code, std::move(text)};
}

Bytes encode_arrival(const Arrival& arrival) {
  ByteWriter writer;
  put(writer, arrival.control);
  writer.u64(arrival.node);
  return writer.take();
}

std::optional<Arrival> decode_arrival(std::span<const std::byte> body) {
  ByteReader reader(body);
  Arrival arrival;
  arrival.control = get_control_address(reader);
  arrival.node = reader.u64();
  if (!reader.ok() || !reader.at_end()) return std::nullopt;
  return arrival;
}

Bytes encode_place(const Place& place) {
  ByteWriter writer;
  writer.u32(place.position);
  writer.u32(static_cast<uint32_t>(place.parent));
  put(writer, place.parent_control);
  writer.text(place.parent_name);
  writer.u32(static_cast<uint32_t>(place.children.size()));
  for (size_t i = 0; i < place.children.size(); ++i) {
    writer.u32(static_cast<uint32_t>(place.children[i]));
    writer.text(place.child_names[i]);
  }
  return writer.take();
}

std::optional<Place> decode_place(std::span<const std::byte> body, int nranks) {
  ByteReader reader(body);
  Place place;
  place.position = reader.u32();
  place.parent = static_cast<int>(reader.u32());
  place.parent_control = get_control_address(reader);
  place.parent_name = reader.text();
  const uint32_t children = reader.u32();
  if (!reader.ok() || children > kTreeArity || place.position >= static_cast<uint32_t>(nranks)) return std::nullopt;
  for (uint32_t i = 0; i < children; ++i) {
    place.children.push_back(static_cast<int>(reader.u32()));
    place.child_names.push_back(reader.text());
    if (place.children.back() < 0 || place.children.back() >= nranks) return std::nullopt;
  }
  const bool root = place.position == 0;
  if (!reader.ok() || !reader.at_end() || place.parent < -1 || place.parent >= nranks || root != (place.parent == -1)) return std::nullopt;
  return place;
}

}  // namespace tutti
