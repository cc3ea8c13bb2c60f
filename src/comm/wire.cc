#include "comm/wire.h"

namespace tutti {
namespace {

constexpr uint32_t kMagic = 0x49545554;  // "TUTI"
constexpr size_t kHeaderBytes = 12;      // magic 4, type 2, reserved 2, body length 4

}  // namespace

std::span<const std::byte> ByteReader::raw(size_t count) {
  if (!ok_ || count > in_.size()) {
    ok_ = false;
    return {};
  }
  const auto head = in_.first(count);
  in_ = in_.subspan(count);
  return head;
}

uint64_t ByteReader::integer(size_t count) {
  uint64_t v = 0;
  const auto from = raw(count);
  for (size_t i = 0; i < from.size(); ++i) v |= std::to_integer<uint64_t>(from[i]) << (8 * i);
  return v;
}

std::string ByteReader::text() {
  const auto from = bytes();
  return {reinterpret_cast<const char*>(from.data()), from.size()};
}

Bytes encode_frame(FrameType type, std::span<const std::byte> body) {
  ByteWriter writer;
  writer.u32(kMagic);
  writer.u16(static_cast<uint16_t>(type));
  writer.u16(0);
  writer.bytes(body);
  return writer.take();
}

Result<std::optional<Frame>> FrameDecoder::next() {
  if (buffer_.size() < kHeaderBytes) return std::optional<Frame>();
  ByteReader reader(buffer_);
  const uint32_t magic = reader.u32();
  const uint16_t type = reader.u16();
  const uint16_t reserved = reader.u16();
  const uint32_t length = reader.u32();
  if (magic != kMagic || reserved != 0) return Status(Code::kRemote, "the other end does not speak Tutti's protocol");
  if (length > most_body_bytes_) {
    return Status(Code::kRemote, "the other end announced a message of " + std::to_string(length) + " bytes, over the bound of " +
                                     std::to_string(most_body_bytes_));
  }
  if (buffer_.size() < kHeaderBytes + length) return std::optional<Frame>();
  const auto body_begin = buffer_.begin() + static_cast<ptrdiff_t>(kHeaderBytes);
  const auto body_end = body_begin + static_cast<ptrdiff_t>(length);
  Frame frame{static_cast<FrameType>(type), Bytes(body_begin, body_end)};
  buffer_.erase(buffer_.begin(), body_end);
  return std::optional<Frame>(std::move(frame));
}

}  // namespace tutti
