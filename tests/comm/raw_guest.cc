#include "tests/comm/raw_guest.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace tutti {
namespace {

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

}  // namespace

RawGuest::RawGuest(const RendezvousId& id) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const sockaddr_in address = loopback(id.port);
  EXPECT_EQ(connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  const int on = 1;
  setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

bool RawGuest::send(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return true;
}

bool RawGuest::send_slowly(std::span<const std::byte> bytes) {
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (!send(bytes.subspan(i, 1))) return false;
  }
  return true;
}

std::optional<Frame> RawGuest::receive() {
  for (;;) {
    Result<std::optional<Frame>> next = decoder_.next();
    if (!next.ok()) return std::nullopt;
    if (next->has_value()) return std::move(**next);
    std::byte buffer[4096];
    const ssize_t n = recv(fd_.get(), buffer, sizeof buffer, 0);
    if (n <= 0) return std::nullopt;
    decoder_.feed(std::span(buffer, static_cast<size_t>(n)));
  }
}

bool RawGuest::closed_without_a_word() {
  std::byte byte;
  return recv(fd_.get(), &byte, 1, 0) <= 0;
}

std::optional<Mac> RawGuest::introduce(const Key& key, const Hello& hello) {
  const Bytes body = encode_hello(hello);
  if (!send(FrameType::kHello, body)) return std::nullopt;
  const std::optional<Frame> challenge = receive();
  if (!challenge || challenge->type != FrameType::kChallenge) return std::nullopt;
  ByteReader reader(challenge->body);
  const Nonce nonce = reader.array<Nonce>();
  const Mac proof = reader.array<Mac>();
  if (!reader.ok() || !equal_macs(proof, handshake_proof(key, Role::kListener, nonce, body))) return std::nullopt;
  return handshake_proof(key, Role::kRank, nonce, body);
}

bool RawGuest::join(const Key& key, const Hello& hello, std::span<const std::byte> mine) {
  const std::optional<Mac> proof = introduce(key, hello);
  return proof && send(FrameType::kJoin, join_body(*proof, mine));
}

Hello make_hello(int rank, int nranks, uint32_t meeting, double timeout_s) {
  Hello hello = make_hello({.rank = rank, .nranks = nranks, .meeting = meeting, .timeout_s = timeout_s}, kToRendezvous);
  EXPECT_TRUE(random_bytes(hello.nonce).ok());
  return hello;
}

Result<std::vector<Bytes>> join_table(const RendezvousId& id, const Joining& joining, std::span<const std::byte> mine) {
  Result<ControlTree::Joined> joined = ControlTree::join(id, joining, mine);
  if (!joined.ok()) return joined.status();
  return std::move(joined->table);
}

Bytes arrival_bytes() {
  return encode_arrival({.node = 1});
}

Bytes join_body(const Mac& proof, std::span<const std::byte> mine) {
  ByteWriter writer;
  writer.raw(proof);
  writer.raw(mine);
  return writer.take();
}

std::string refusal_text(const std::optional<Frame>& frame) {
  if (!frame || frame->type != FrameType::kRefuse) return "";
  ByteReader reader(frame->body);
  const uint32_t code = reader.u32();
  const std::string text = reader.text();
  return std::to_string(code) + ": " + text;
}

FakeListener bind_fake_listener() {
  FakeListener listener{.fd = Fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))};
  sockaddr_in address = loopback(0);
  socklen_t length = sizeof address;
  EXPECT_EQ(bind(listener.fd.get(), reinterpret_cast<const sockaddr*>(&address), length), 0);
  EXPECT_EQ(getsockname(listener.fd.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
  listener.id.port = ntohs(address.sin_port);
  listener.id.address[10] = listener.id.address[11] = std::byte{0xff};
  std::memcpy(listener.id.address.data() + 12, &address.sin_addr, 4);
  EXPECT_TRUE(random_bytes(listener.id.key).ok());
  return listener;
}

FakeListener open_fake_listener() {
  FakeListener listener = bind_fake_listener();
  EXPECT_EQ(listen(listener.fd.get(), 8), 0);
  return listener;
}

RawGuest accept_guest(const FakeListener& listener) {
  return RawGuest(Fd(accept(listener.fd.get(), nullptr, nullptr)));
}

}  // namespace tutti
