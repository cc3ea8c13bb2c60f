// A living reception at the other end of a socket pair's worth of TCP: whatever a guest says, and wherever it stops, the next honest guest
// is served. The first byte says how far the guest plays by the rules before the rest of the input is sent as it is.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdlib>

#include "comm/tree_node.h"

using namespace tutti;

namespace {

void expect(bool condition) {
  if (!condition) std::abort();
}

const RendezvousId& rendezvous() {
  static const RendezvousId id = open_rendezvous().value();
  return id;
}

// A socket that is connected to the listener, from an address of its own: no ports run out, here or for others on this machine.
Fd connect_to(const RendezvousId& id) {
  static uint32_t calls = 0;
  const SocketAddress address = SocketAddress::of(id.control_address());
  Fd fd(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (address.family() == AF_INET) {
    constexpr uint32_t kLoopback = 0x7f'01'00'00, kAddresses = 1 << 14;
    const sockaddr_in own = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(kLoopback + ++calls % kAddresses)}};
    expect(bind(fd.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own) == 0);
  }
  expect(fd && connect(fd.get(), address.get(), address.length) == 0);
  return fd;
}

void say(const Fd& fd, std::span<const std::byte> bytes) {
  [[maybe_unused]] const ssize_t sent = send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

// Up to a proof that is right. Nothing where the listener closed.
std::optional<Mac> introduce(const Fd& fd, const Hello& hello) {
  const Bytes body = encode_hello(hello);
  say(fd, encode_frame(FrameType::kHello, body));
  FrameDecoder decoder(1024);
  for (;;) {
    const Result<std::optional<Frame>> frame = decoder.next();
    if (!frame.ok()) return std::nullopt;
    if (frame.value()) {
      ByteReader reader(frame.value()->body);
      const Nonce nonce = reader.array<Nonce>();
      return handshake_proof(rendezvous().key, Role::kRank, nonce, body);
    }
    std::byte buffer[256];
    const ssize_t n = recv(fd.get(), buffer, sizeof buffer, 0);
    if (n <= 0) return std::nullopt;
    decoder.feed(std::span(buffer, static_cast<size_t>(n)));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static uint32_t meeting = 0;
  if (size == 0) return 0;
  const std::span input(reinterpret_cast<const std::byte*>(data + 1), size - 1);
  Joining joining = {.rank = 0, .nranks = 2, .meeting = ++meeting, .timeout_s = 0.01};
  {
    const Fd fd = connect_to(rendezvous());
    switch (data[0] % 4) {
      case 0: say(fd, input); break;                                   // from the first byte
      case 1: say(fd, encode_frame(FrameType::kHello, input)); break;  // a hello of its own
      case 2:                                                          // a join of its own
        if (introduce(fd, make_hello(joining, kToRendezvous))) say(fd, encode_frame(FrameType::kJoin, input));
        break;
      default:  // past the proof
        if (const auto proof = introduce(fd, make_hello(joining, kToRendezvous))) {
          Bytes body(proof->begin(), proof->end());
          body.insert(body.end(), input.begin(), input.end());
          say(fd, encode_frame(FrameType::kJoin, body));
        }
    }
  }
  // Now and then: is it still there?
  if (meeting % 16 != 0) return 0;
  joining = {.rank = 0, .nranks = 1, .meeting = ++meeting, .timeout_s = 20};
  expect(join_rendezvous(rendezvous(), joining, {}, deadline_after(20)).ok());
  return 0;
}
