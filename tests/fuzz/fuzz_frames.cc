// Everything that is decoded from a control connection, before the proof and after it: no input may crash, or make a decoder believe what
// it should have refused.
#include <cstdlib>

#include "comm/call_log.h"
#include "comm/tree_node.h"

using namespace tutti;

namespace {

constexpr int kRanks = 9;

void expect(bool condition) {
  if (!condition) std::abort();
}

void decode_body(uint16_t type, std::span<const std::byte> body) {
  switch (type % 8) {
    case 0:
      if (const auto hello = decode_hello(body); hello && hello->build.protocol == kProtocolVersion) {
        expect(hello->rank < hello->nranks && hello->nranks <= kMaxRanks && encode_hello(*hello) == Bytes(body.begin(), body.end()));
      }
      return;
    case 1:
      if (const auto place = decode_place(body, kRanks))
        expect(place->position < kRanks && place->parent < kRanks && place->children.size() <= kTreeArity);
      return;
    case 2: static_cast<void>(decode_arrival(body)); return;
    case 3: expect(!decode_refusal(body, "it").ok()); return;
    case 4: {
      TablePart part;
      if (!decode_part(body, kRanks, part)) return;
      for (const auto& [rank, entry] : part)
        expect(rank >= 0 && rank < kRanks && entry.position < kRanks && entry.bytes.size() <= kMaxJoinBytes);
      return;
    }
    case 5:
      if (const auto message = decode_message(body, kRanks))
        expect(message->from < kRanks && (message->to < kRanks || message->to == kToAll));
      return;
    default: {
      ByteReader reader(body);
      CallShape shape;
      shape.kinds = reader.u64();
      shape.count = reader.u64();
      if (is_a_call(shape)) expect(!describe_call(shape, reader.u64()).empty());
      return;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span input(reinterpret_cast<const std::byte*>(data), size);
  if (size < 2) return 0;
  decode_body(static_cast<uint16_t>(data[0]), input.subspan(1));
  // The same as a stream, in pieces of a size of its choice.
  FrameDecoder decoder(256);
  const size_t piece = 1 + data[0] % 64;
  for (size_t at = 1; at < size; at += piece) {
    decoder.feed(input.subspan(at, std::min(piece, size - at)));
    for (;;) {
      const Result<std::optional<Frame>> frame = decoder.next();
      if (!frame.ok()) return 0;
      if (!frame.value().has_value()) break;
      expect(frame.value()->body.size() <= 256);
      decode_body(static_cast<uint16_t>(frame.value()->type), frame.value()->body);
    }
  }
  return 0;
}
