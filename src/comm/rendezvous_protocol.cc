#include "comm/rendezvous_protocol.h"

#include "comm/rendezvous.h"

namespace tutti {

Bytes encode_hello(const Hello& hello) {
  ByteWriter writer;
  writer.u32(hello.protocol);
  writer.u32(hello.nranks);
  writer.u32(hello.rank);
  writer.u32(hello.meeting);
  writer.f64(hello.timeout_s);
  writer.raw(hello.nonce);
  writer.text(hello.version);
  return writer.take();
}

std::optional<Hello> decode_hello(std::span<const std::byte> body) {
  ByteReader reader(body);
  Hello hello;
  hello.protocol = reader.u32();
  hello.nranks = reader.u32();
  hello.rank = reader.u32();
  hello.meeting = reader.u32();
  hello.timeout_s = reader.f64();
  hello.nonce = reader.array<Nonce>();
  hello.version = reader.text();
  const bool sane = hello.nranks >= 1 && hello.nranks <= uint32_t{kMaxRanks} && hello.rank < hello.nranks && hello.timeout_s >= 0 &&
                    hello.timeout_s <= 1e9;
  if (!reader.ok() || !reader.at_end() || !sane) return std::nullopt;
  return hello;
}

Mac rendezvous_proof(const Key& key, Role role, const Nonce& listener_nonce, std::span<const std::byte> hello_body) {
  ByteWriter writer;
  writer.u16(static_cast<uint16_t>(role));
  writer.raw(listener_nonce);
  writer.bytes(hello_body);
  return hmac_sha256(key, writer.take());
}

}  // namespace tutti
