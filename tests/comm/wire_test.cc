// ByteWriter, ByteReader, FrameDecoder and the hello: what is written is read back, and nothing that is cut short or swollen is believed.
#include "comm/wire.h"

#include <gtest/gtest.h>

#include <limits>

#include "comm/rendezvous.h"
#include "comm/rendezvous_protocol.h"

namespace tutti {
namespace {

Bytes bytes_of(const std::string& text) {
  const auto span = std::as_bytes(std::span(text));
  return {span.begin(), span.end()};
}

Bytes every_field() {
  ByteWriter writer;
  writer.u16(0xfffe);
  writer.u32(0xfffffffd);
  writer.u64(0xfffffffffffffffc);
  writer.f64(-0.1);
  writer.text("four");
  writer.bytes(bytes_of("bytes"));
  writer.raw(bytes_of("rw"));
  return writer.take();
}

// Reads every_field(); true if the reader was content.
bool read_every_field(ByteReader& reader) {
  reader.u16();
  reader.u32();
  reader.u64();
  reader.f64();
  reader.text();
  reader.bytes();
  reader.raw(2);
  return reader.ok() && reader.at_end();
}

TEST(Wire, EveryFieldComesBack) {
  const Bytes written = every_field();
  ByteReader reader(written);
  EXPECT_EQ(reader.u16(), 0xfffe);
  EXPECT_EQ(reader.u32(), 0xfffffffd);
  EXPECT_EQ(reader.u64(), 0xfffffffffffffffc);
  EXPECT_EQ(reader.f64(), -0.1);
  EXPECT_EQ(reader.text(), "four");
  const auto bytes = reader.bytes();
  EXPECT_EQ(Bytes(bytes.begin(), bytes.end()), bytes_of("bytes"));
  const auto raw = reader.raw(2);
  EXPECT_EQ(Bytes(raw.begin(), raw.end()), bytes_of("rw"));
  EXPECT_TRUE(reader.ok());
  EXPECT_TRUE(reader.at_end());
}

TEST(Wire, IntegersAreLittleEndian) {
  ByteWriter writer;
  writer.u32(0x04030201);
  EXPECT_EQ(writer.take(), (Bytes{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}}));
}

TEST(Wire, TruncatedAtEveryByteIsNotOk) {
  const Bytes whole = every_field();
  for (size_t length = 0; length < whole.size(); ++length) {
    ByteReader reader{std::span<const std::byte>(whole).first(length)};
    EXPECT_FALSE(read_every_field(reader)) << "cut to " << length << " of " << whole.size() << " bytes";
  }
  ByteReader reader(whole);
  EXPECT_TRUE(read_every_field(reader));
}

TEST(Wire, AReadPastTheEndGivesZerosForGood) {
  const Bytes three(3, std::byte{0xff});
  ByteReader reader(three);
  EXPECT_EQ(reader.u64(), 0u);
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.u16(), 0u) << "after a failure even what would fit is not given";
  EXPECT_TRUE(reader.text().empty());
}

TEST(Wire, ALengthBeyondTheEndIsNotBelieved) {
  ByteWriter writer;
  writer.u32(std::numeric_limits<uint32_t>::max());
  writer.raw(bytes_of("short"));
  const Bytes written = writer.take();
  ByteReader reader(written);
  EXPECT_TRUE(reader.bytes().empty());
  EXPECT_FALSE(reader.ok());
}

// Feeds in pieces of `piece` bytes and collects what comes out.
std::vector<Frame> decode_in_pieces(const Bytes& stream, size_t piece) {
  FrameDecoder decoder(64);
  std::vector<Frame> frames;
  for (size_t at = 0; at < stream.size(); at += piece) {
    decoder.feed(std::span(stream).subspan(at, std::min(piece, stream.size() - at)));
    for (;;) {
      Result<std::optional<Frame>> next = decoder.next();
      EXPECT_TRUE(next.ok());
      if (!next.ok() || !next->has_value()) break;
      frames.push_back(std::move(**next));
    }
  }
  return frames;
}

TEST(FrameDecoder, FramesSurviveAnySplit) {
  Bytes stream;
  for (const auto& [type, body] : {std::pair(FrameType::kHello, std::string("one")), std::pair(FrameType::kTable, std::string()),
                                   std::pair(FrameType::kJoin, std::string(64, 'x'))}) {
    const Bytes frame = encode_frame(type, bytes_of(body));
    stream.insert(stream.end(), frame.begin(), frame.end());
  }
  for (size_t piece = 1; piece <= stream.size(); ++piece) {
    const std::vector<Frame> frames = decode_in_pieces(stream, piece);
    ASSERT_EQ(frames.size(), 3u) << "in pieces of " << piece;
    EXPECT_EQ(frames[0].type, FrameType::kHello);
    EXPECT_EQ(frames[0].body, bytes_of("one"));
    EXPECT_EQ(frames[1].type, FrameType::kTable);
    EXPECT_TRUE(frames[1].body.empty());
    EXPECT_EQ(frames[2].body, bytes_of(std::string(64, 'x')));
  }
}

TEST(FrameDecoder, ACutFrameIsNoFrame) {
  const Bytes whole = encode_frame(FrameType::kHello, bytes_of("body"));
  for (size_t length = 0; length < whole.size(); ++length) {
    FrameDecoder decoder(64);
    decoder.feed(std::span(whole).first(length));
    const Result<std::optional<Frame>> next = decoder.next();
    ASSERT_TRUE(next.ok());
    EXPECT_FALSE(next.value().has_value()) << "cut to " << length;
  }
}

// The error that one feed of `stream` gives, or "".
std::string error_of(const Bytes& stream) {
  FrameDecoder decoder(64);
  decoder.feed(stream);
  const Result<std::optional<Frame>> next = decoder.next();
  if (next.ok()) return "";
  EXPECT_EQ(next.status().code(), Code::kRemote);
  return next.status().message();
}

TEST(FrameDecoder, WrongMagicOrReservedBitsAreRefused) {
  const Bytes good = encode_frame(FrameType::kHello, bytes_of("body"));
  EXPECT_EQ(error_of(good), "");
  for (const size_t at : {0u, 1u, 2u, 3u, 6u, 7u}) {
    Bytes bad = good;
    bad[at] ^= std::byte{1};
    EXPECT_NE(error_of(bad).find("does not speak Tutti's protocol"), std::string::npos) << "byte " << at;
  }
  EXPECT_NE(error_of(bytes_of("GET / HTTP/1.1\r\n\r\n")).find("does not speak"), std::string::npos);
}

TEST(FrameDecoder, AnAnnouncementOverTheBoundIsRefusedBeforeItsBodyComes) {
  EXPECT_EQ(error_of(encode_frame(FrameType::kJoin, Bytes(64))), "");
  Bytes over = encode_frame(FrameType::kJoin, Bytes(65));
  over.resize(12);  // the header alone
  EXPECT_NE(error_of(over).find("65 bytes, over the bound of 64"), std::string::npos) << error_of(over);
}

TEST(FrameDecoder, ABrokenStreamStaysBroken) {
  FrameDecoder decoder(64);
  decoder.feed(bytes_of("this is noise"));
  EXPECT_FALSE(decoder.next().ok());
  decoder.feed(encode_frame(FrameType::kHello, {}));
  EXPECT_FALSE(decoder.next().ok());
}

Hello some_hello() {
  return {.build = {.version = "100", .id = "abc", .host = "h"}, .rank = 6, .nranks = 7, .to = 3, .meeting = 5, .timeout_s = 1.5};
}

TEST(Hello, ComesBackAndIsRefusedWhenCut) {
  const Bytes whole = encode_hello(some_hello());
  const std::optional<Hello> back = decode_hello(whole);
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->build.protocol, kProtocolVersion);
  EXPECT_EQ(back->nranks, 7u);
  EXPECT_EQ(back->rank, 6u);
  EXPECT_EQ(back->meeting, 5u);
  EXPECT_EQ(back->timeout_s, 1.5);
  EXPECT_EQ(back->to, 3u);
  EXPECT_EQ(back->build.version, "100");
  EXPECT_EQ(back->build.id, "abc");
  EXPECT_EQ(back->build.host, "h");
  for (size_t length = 0; length < whole.size(); ++length) EXPECT_FALSE(decode_hello(std::span(whole).first(length))) << length;
  Bytes longer = whole;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(decode_hello(longer));
}

TEST(Hello, InsaneNumbersAreRefused) {
  const auto refused = [](const auto& change) {
    Hello hello = some_hello();
    change(hello);
    return !decode_hello(encode_hello(hello)).has_value();
  };
  EXPECT_TRUE(refused([](Hello& h) { h.nranks = 0; }));
  EXPECT_TRUE(refused([](Hello& h) { h.nranks = kMaxRanks + 1; }));
  EXPECT_TRUE(refused([](Hello& h) { h.rank = h.nranks; }));
  EXPECT_TRUE(refused([](Hello& h) { h.timeout_s = -1; }));
  EXPECT_TRUE(refused([](Hello& h) { h.timeout_s = 1e10; }));
  EXPECT_TRUE(refused([](Hello& h) { h.timeout_s = std::numeric_limits<double>::quiet_NaN(); }));
  EXPECT_TRUE(refused([](Hello& h) { h.timeout_s = std::numeric_limits<double>::infinity(); }));
  EXPECT_FALSE(refused([](Hello& h) { h.timeout_s = 0; }));
}

TEST(Proof, DependsOnKeyRoleNonceAndHello) {
  const Bytes hello = encode_hello(some_hello());
  const Key key{};
  const Nonce nonce{};
  const Mac proof = handshake_proof(key, Role::kRank, nonce, hello);
  EXPECT_TRUE(equal_macs(proof, handshake_proof(key, Role::kRank, nonce, hello)));
  EXPECT_FALSE(equal_macs(proof, handshake_proof(Key{std::byte{1}}, Role::kRank, nonce, hello)));
  for (const Role role : {Role::kListener, Role::kParent, Role::kChild}) {
    EXPECT_FALSE(equal_macs(proof, handshake_proof(key, role, nonce, hello)));
  }
  EXPECT_FALSE(equal_macs(proof, handshake_proof(key, Role::kRank, Nonce{std::byte{1}}, hello)));
  Bytes other = hello;
  other[20] ^= std::byte{1};
  EXPECT_FALSE(equal_macs(proof, handshake_proof(key, Role::kRank, nonce, other)));
}

}  // namespace
}  // namespace tutti
