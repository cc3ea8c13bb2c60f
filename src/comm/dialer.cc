#include "comm/dialer.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>

namespace tutti {

Status Dialer::connect() {
  const SocketAddress address = SocketAddress::of(to_);
  fd_.reset(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd_) return system_error("create a socket", errno);
  const int on = 1;
  setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(fd_.get(), address.get(), address.length) == 0) return {};
  if (errno != EINPROGRESS) return refused(errno);
  if (Status status = wait_for(POLLOUT, "to connect"); !status.ok()) return status;
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &length);
  return error == 0 ? Status() : refused(error);
}

Status Dialer::refused(int error) const {
  if (error == ECONNREFUSED) return {Code::kRemote, "nobody listens at " + to_.text() + ": " + gone_};
  if (error == ECONNRESET || error == EPIPE) return {Code::kRemote, there_ + " closed the connection: " + gone_};  // it ended just now
  return system_error("connect to " + there_, error);
}

Status Dialer::introduce(const Key& key, Role mine, Role theirs, const Hello& hello) {
  rank_ = hello.rank;
  const Bytes hello_body = encode_hello(hello);
  if (Status status = send(FrameType::kHello, hello_body); !status.ok()) return status;
  const Result<Frame> challenge = receive(FrameType::kChallenge, "for an answer");
  if (!challenge.ok()) return challenge.status();
  ByteReader reader(challenge.value().body);
  const Nonce nonce = reader.array<Nonce>();
  const Mac proof = reader.array<Mac>();
  if (!reader.ok() || !equal_macs(proof, handshake_proof(key, theirs, nonce, hello_body))) {
    return {Code::kRemote, there_ + " does not know this communicator's key: the id is of another run"};
  }
  proof_ = handshake_proof(key, mine, nonce, hello_body);
  return {};
}

Status Dialer::join(std::span<const std::byte> brought) {
  ByteWriter writer;
  writer.raw(proof_);
  writer.raw(brought);
  return send(FrameType::kJoin, writer.take());
}

Result<ControlAddress> Dialer::local() const {
  const Result<SocketAddress> address = SocketAddress::local_of(fd_.get());
  if (!address.ok()) return address.status();
  return address.value().control_address();
}

Status Dialer::wait_for(short events, const std::string& what) {
  for (;;) {
    int bound_ms = -1;
    if (deadline_) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline_ - Clock::now()).count();
      if (left <= 0) {
        return {Code::kTimeout, "rank " + std::to_string(rank_) + " waited in vain " + what + " at " + there_ +
                                    ", which does not answer: is that process stopped? (initTimeout, TUTTI_INIT_TIMEOUT)"};
      }
      bound_ms = static_cast<int>(std::min<int64_t>(left, 1'000'000'000));
    }
    pollfd wait = {.fd = fd_.get(), .events = events, .revents = 0};
    const int ready = poll(&wait, 1, bound_ms);
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return system_error("wait for " + there_, errno);
  }
}

Status Dialer::send(FrameType type, std::span<const std::byte> body) {
  const Bytes frame = encode_frame(type, body);
  for (size_t sent = 0; sent < frame.size();) {
    const ssize_t n = ::send(fd_.get(), frame.data() + sent, frame.size() - sent, MSG_NOSIGNAL);
    if (n > 0) {
      sent += static_cast<size_t>(n);
    } else if (errno == EAGAIN) {
      if (Status status = wait_for(POLLOUT, "to send"); !status.ok()) return status;
    } else if (errno == EPIPE || errno == ECONNRESET) {
      return {Code::kRemote, there_ + " closed the connection: " + gone_};
    } else if (errno != EINTR) {
      return system_error("send to " + there_, errno);
    }
  }
  return {};
}

Result<Frame> Dialer::receive(FrameType expected, const std::string& waiting_for) {
  for (;;) {
    Result<std::optional<Frame>> frame = decoder_.next();
    if (!frame.ok()) return frame.status();
    if (frame->has_value()) {
      if ((*frame)->type == FrameType::kRefuse) return decode_refusal((*frame)->body, there_);
      if ((*frame)->type == expected) return std::move(**frame);
      return Status(Code::kRemote, there_ + " answered out of turn");
    }
    if (Status status = wait_for(POLLIN, waiting_for); !status.ok()) return status;
    std::byte buffer[16384];
    const ssize_t n = recv(fd_.get(), buffer, sizeof buffer, 0);
    if (n > 0) {
      decoder_.feed(std::span(buffer, static_cast<size_t>(n)));
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
      return Status(Code::kRemote, there_ + " closed the connection: " + gone_);
    }
  }
}

}  // namespace tutti
