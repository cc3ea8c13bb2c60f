// A rank's end of the rendezvous, and the unique id. See rendezvous.h.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "base/fd.h"
#include "comm/rendezvous.h"
#include "comm/rendezvous_protocol.h"

namespace tutti {
namespace {

constexpr uint32_t kIdMagic = 0x31495554;  // "TUI1"
// The listener answers a timeout with the names of the missing; leave it time to.
constexpr double kGraceSeconds = 3;

std::string address_text(const RendezvousId& id) {
  char text[INET6_ADDRSTRLEN] = {};
  in6_addr address;
  std::memcpy(&address, id.address.data(), sizeof address);
  if (IN6_IS_ADDR_V4MAPPED(&address)) {
    inet_ntop(AF_INET, id.address.data() + 12, text, sizeof text);
  } else {
    inet_ntop(AF_INET6, &address, text, sizeof text);
  }
  return std::string(text) + " port " + std::to_string(id.port);
}

class Client {
 public:
  Client(const RendezvousId& id, const Joining& joining)
      : id_(id), joining_(joining), decoder_(static_cast<size_t>(joining.nranks) * (kMaxJoinBytes + 4) + 4096) {
    if (joining.timeout_s > 0) {
      deadline_ =
          Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(joining.timeout_s + kGraceSeconds));
    }
  }

  Result<std::vector<Bytes>> join(std::span<const std::byte> mine) {
    if (Status status = connect(); !status.ok()) return status;
    Hello hello{.nranks = static_cast<uint32_t>(joining_.nranks),
                .rank = static_cast<uint32_t>(joining_.rank),
                .meeting = joining_.meeting,
                .timeout_s = joining_.timeout_s,
                .version = std::to_string(TUTTI_VERSION_CODE)};
    if (Status status = random_bytes(hello.nonce); !status.ok()) return status;
    const Bytes hello_body = encode_hello(hello);
    if (Status status = send(FrameType::kHello, hello_body); !status.ok()) return status;
    Result<Frame> challenge = receive(FrameType::kChallenge);
    if (!challenge.ok()) return challenge.status();
    ByteReader reader(challenge->body);
    const Nonce nonce = reader.array<Nonce>();
    const Mac proof = reader.array<Mac>();
    if (!reader.ok() || !equal_macs(proof, rendezvous_proof(id_.key, Role::kListener, nonce, hello_body))) {
      return Status(Code::kRemote,
                    "the process at " + address_text(id_) + " does not know this communicator's key: the id is of another run");
    }
    ByteWriter join;
    join.raw(rendezvous_proof(id_.key, Role::kRank, nonce, hello_body));
    join.bytes(mine);
    if (Status status = send(FrameType::kJoin, join.take()); !status.ok()) return status;
    Result<Frame> table = receive(FrameType::kTable);
    if (!table.ok()) return table.status();
    return read_table(table->body);
  }

 private:
  using Clock = std::chrono::steady_clock;

  Status connect() {
    fd_.reset(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in6 address = {};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(id_.port);
    std::memcpy(&address.sin6_addr, id_.address.data(), id_.address.size());
    sockaddr_in v4 = {};
    const sockaddr* to = reinterpret_cast<const sockaddr*>(&address);
    socklen_t length = sizeof address;
    if (IN6_IS_ADDR_V4MAPPED(&address.sin6_addr)) {  // a plain IPv4 socket also works where IPv6 is switched off
      v4.sin_family = AF_INET;
      v4.sin_port = address.sin6_port;
      std::memcpy(&v4.sin_addr, id_.address.data() + 12, 4);
      to = reinterpret_cast<const sockaddr*>(&v4);
      length = sizeof v4;
      fd_.reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    }
    if (!fd_) return system_error("create a socket", errno);
    const int on = 1;
    setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::connect(fd_.get(), to, length) == 0) return {};
    if (errno != EINPROGRESS) return refused(errno);
    if (Status status = wait_for(POLLOUT, "to connect"); !status.ok()) return status;
    int error = 0;
    socklen_t error_length = sizeof error;
    getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &error_length);
    return error == 0 ? Status() : refused(error);
  }

  Status refused(int error) const {
    if (error == ECONNREFUSED) {
      return {Code::kRemote, "nobody listens at " + address_text(id_) + ": the process that made the unique id has ended"};
    }
    return system_error("connect to the rendezvous at " + address_text(id_), error);
  }

  Status wait_for(short events, const char* what) {
    for (;;) {
      int bound_ms = -1;
      if (deadline_) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline_ - Clock::now()).count();
        if (left <= 0) {
          return {Code::kTimeout, "rank " + std::to_string(joining_.rank) + " waited " + std::to_string(joining_.timeout_s) + " s " + what +
                                      " at the rendezvous at " + address_text(id_) + ", which does not answer: is that process stopped?"};
        }
        bound_ms = static_cast<int>(std::min<int64_t>(left, 1'000'000'000));
      }
      pollfd wait = {.fd = fd_.get(), .events = events, .revents = 0};
      const int ready = poll(&wait, 1, bound_ms);
      if (ready > 0) return {};
      if (ready < 0 && errno != EINTR) return system_error("wait at the rendezvous", errno);
    }
  }

  Status send(FrameType type, std::span<const std::byte> body) {
    const Bytes frame = encode_frame(type, body);
    for (size_t sent = 0; sent < frame.size();) {
      const ssize_t n = ::send(fd_.get(), frame.data() + sent, frame.size() - sent, MSG_NOSIGNAL);
      if (n > 0) {
        sent += static_cast<size_t>(n);
      } else if (errno == EAGAIN) {
        if (Status status = wait_for(POLLOUT, "to send"); !status.ok()) return status;
      } else if (errno != EINTR) {
        return system_error("send to the rendezvous at " + address_text(id_), errno);
      }
    }
    return {};
  }

  Result<Frame> receive(FrameType expected) {
    for (;;) {
      Result<std::optional<Frame>> frame = decoder_.next();
      if (!frame.ok()) return frame.status();
      if (frame->has_value()) {
        if ((*frame)->type == FrameType::kRefuse) return refusal((*frame)->body);
        if ((*frame)->type == expected) return std::move(**frame);
        return Status(Code::kRemote, "the rendezvous at " + address_text(id_) + " answered out of turn");
      }
      if (Status status = wait_for(POLLIN, "for the other ranks"); !status.ok()) return status;
      std::byte buffer[16384];
      const ssize_t n = recv(fd_.get(), buffer, sizeof buffer, 0);
      if (n > 0) {
        decoder_.feed(std::span(buffer, static_cast<size_t>(n)));
      } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        return Status(Code::kRemote, "the rendezvous at " + address_text(id_) +
                                         " closed the connection: its process has ended, or the id is of another run");
      }
    }
  }

  static Status refusal(std::span<const std::byte> body) {
    ByteReader reader(body);
    const auto code = static_cast<Code>(reader.u32());
    const std::string text = reader.text();
    const bool known = code == Code::kTimeout || code == Code::kInvalidUsage || code == Code::kRemote;
    if (!reader.ok() || !known) return {Code::kRemote, "the rendezvous sent a malformed refusal"};
    return {code, text};
  }

  Result<std::vector<Bytes>> read_table(std::span<const std::byte> body) const {
    ByteReader reader(body);
    std::vector<Bytes> table;
    for (int rank = 0; rank < joining_.nranks; ++rank) {
      const auto bytes = reader.bytes();
      table.emplace_back(bytes.begin(), bytes.end());
    }
    if (!reader.ok() || !reader.at_end()) return Status(Code::kRemote, "the rendezvous sent a malformed table");
    return table;
  }

  RendezvousId id_;
  Joining joining_;
  Fd fd_;
  FrameDecoder decoder_;
  std::optional<Clock::time_point> deadline_;
};

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

Result<std::vector<Bytes>> join_rendezvous(const RendezvousId& id, const Joining& joining, std::span<const std::byte> mine) {
  if (mine.size() > kMaxJoinBytes) {
    return Status(Code::kInvalidUsage, "this rank's settings and address take " + std::to_string(mine.size()) +
                                           " bytes, over the bound of " + std::to_string(kMaxJoinBytes) +
                                           ": shorten TUTTI_NODE_ID or TUTTI_TRANSPORTS");
  }
  return Client(id, joining).join(mine);
}

}  // namespace tutti
