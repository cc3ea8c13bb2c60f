// A rank's end of the rendezvous, and the unique id. See rendezvous.h.
#include <unistd.h>

#include <cstring>

#include "comm/rendezvous.h"

namespace tutti {
namespace {

constexpr uint32_t kIdMagic = 0x31495554;  // "TUI1"
// The listener answers a timeout with the names of the missing; leave it time to.
constexpr double kGraceSeconds = 3;
constexpr size_t kMaxAnswerBytes = size_t{16} << 20;  // a sentence may list every rank that is missing

}  // namespace

tuttiUniqueId encode_id(const RendezvousId& id) {
  ByteWriter writer;
  writer.u32(kIdMagic);
  writer.u16(id.port);
  writer.raw(id.address);
  writer.raw(id.key);
  const Bytes bytes = writer.take();
  tuttiUniqueId encoded = {};
  static_assert(4 + 2 + 16 + 32 <= TUTTI_UNIQUE_ID_BYTES);
  std::memcpy(encoded.internal, bytes.data(), bytes.size());
  return encoded;
}

Result<RendezvousId> decode_id(const tuttiUniqueId& id) {
  ByteReader reader(std::as_bytes(std::span(id.internal)));
  const uint32_t magic = reader.u32();
  RendezvousId decoded;
  decoded.port = reader.u16();
  decoded.address = reader.array<std::array<std::byte, 16>>();
  decoded.key = reader.array<Key>();
  if (magic != kIdMagic || decoded.port == 0) {
    return Status(Code::kInvalidArgument, "id was not made by tuttiGetUniqueId: hand rank 0's 128 bytes to every rank unchanged");
  }
  return decoded;
}

Dialer::Deadline deadline_after(double timeout_s) {
  if (timeout_s <= 0) return std::nullopt;
  return Dialer::Clock::now() +
         std::chrono::duration_cast<Dialer::Clock::duration>(std::chrono::duration<double>(timeout_s + kGraceSeconds));
}

Hello make_hello(const Joining& joining, uint32_t to) {
  Hello hello{.build = own_build(),
              .rank = static_cast<uint32_t>(joining.rank),
              .nranks = static_cast<uint32_t>(joining.nranks),
              .to = to,
              .meeting = joining.meeting,
              .pid = static_cast<uint64_t>(getpid()),
              .timeout_s = joining.timeout_s};
  return hello;
}

Result<Seated> join_rendezvous(const RendezvousId& id, const Joining& joining, const ControlAddress& control,
                               const Dialer::Deadline& deadline) {
  Dialer dialer(id.control_address(), "the rendezvous", "the process that made the unique id has ended, or the id is of another run",
                kMaxAnswerBytes, deadline);
  if (Status status = dialer.connect(); !status.ok()) return status;
  Hello hello = make_hello(joining, kToRendezvous);
  if (Status status = random_bytes(hello.nonce); !status.ok()) return status;
  if (Status status = dialer.introduce(id.key, Role::kRank, Role::kListener, hello); !status.ok()) return status;
  const Result<ControlAddress> here = dialer.local();
  if (!here.ok()) return here.status();
  const Arrival arrival = {.control = {here.value().address, control.port}, .node = joining.node};
  if (Status status = dialer.join(encode_arrival(arrival)); !status.ok()) return status;
  const Result<Frame> answer = dialer.receive(FrameType::kPlace, "for the other ranks");
  if (!answer.ok()) return answer.status();
  std::optional<Place> place = decode_place(answer.value().body, joining.nranks);
  if (!place) return Status(Code::kRemote, "the rendezvous sent a malformed place");
  // Who reached the rendezvous over loopback is on its host, and can be reached as that can.
  if (place->parent_control.is_loopback() && !id.control_address().is_loopback()) place->parent_control.address = id.address;
  return Seated{std::move(*place), dialer.take_fd(), dialer.take_decoder()};
}

}  // namespace tutti
