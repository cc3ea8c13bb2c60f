// A TCP connection to a rendezvous that says what a test wants it to say, right or wrong; and a socket that plays the listener.
// Threading: one thread an object. Every read blocks; the test's own time limit bounds it.
#pragma once

#include <optional>

#include "base/fd.h"
#include "comm/control_tree.h"
#include "comm/rendezvous_protocol.h"

namespace tutti {

class RawGuest {
 public:
  explicit RawGuest(const RendezvousId& id);        // connects
  explicit RawGuest(Fd fd) : fd_(std::move(fd)) {}  // takes over

  // False where the other end has closed.
  bool send(std::span<const std::byte> bytes);
  bool send(FrameType type, std::span<const std::byte> body) { return send(encode_frame(type, body)); }
  // In single bytes, each its own packet.
  bool send_slowly(std::span<const std::byte> bytes);

  // The next frame, or nothing where the other end closed (or spoke nonsense).
  std::optional<Frame> receive();
  // Blocks until the other end closes; true if it sent nothing before that.
  bool closed_without_a_word();

  // The usual way: hello, challenge. The join's proof, or nothing where the listener does not prove the key.
  std::optional<Mac> introduce(const Key& key, const Hello& hello);
  // The whole join: introduce(), then the proof and `mine`, an arrival as a rule.
  bool join(const Key& key, const Hello& hello, std::span<const std::byte> mine);

 private:
  Fd fd_;
  FrameDecoder decoder_{1 << 20};
};

// What a rank learns of the others along the tree, which it leaves at once.
Result<std::vector<Bytes>> join_table(const RendezvousId& id, const Joining& joining, std::span<const std::byte> mine);

// What a rank brings to the rendezvous.
Bytes arrival_bytes();

// A hello as join_rendezvous() would send it.
Hello make_hello(int rank, int nranks, uint32_t meeting = 0, double timeout_s = 60);

Bytes join_body(const Mac& proof, std::span<const std::byte> mine);

// What the refusal says: "CODE: sentence"; "" where the frame is no refusal.
std::string refusal_text(const std::optional<Frame>& frame);

// A loopback socket with an id that leads to it and a key that nobody else has.
struct FakeListener {
  Fd fd;
  RendezvousId id;
};
FakeListener bind_fake_listener();  // bound, not yet listening: a connection is refused
FakeListener open_fake_listener();  // listening
RawGuest accept_guest(const FakeListener& listener);

}  // namespace tutti
