#include "comm/reception.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/log.h"

namespace tutti {
namespace {

constexpr int kAcceptsPerEvent = 64;  // then those who have been accepted may speak
constexpr auto kRest = std::chrono::milliseconds(100);
constexpr auto kSweepEvery = std::chrono::seconds(1);
constexpr auto kComplainEvery = std::chrono::seconds(10);
// A stranger younger than this is not sent away to make room: a thousand ranks may well come at once.
constexpr auto kYoung = std::chrono::milliseconds(300);

}  // namespace

Reception::~Reception() {
  loop_.cancel(sweeper_);
  loop_.cancel(resting_);
  loop_.remove(watch_);
  for (Stranger& stranger : strangers_) stranger.connection->close();
}

Status Reception::start() {
  rlimit descriptors = {};
  if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0) {
    most_strangers_ = std::clamp<size_t>(descriptors.rlim_cur / 4, 1, kMaxStrangers);
  }
  const Result<ControlLoop::Watch> watch = loop_.add(listener_.get(), EPOLLIN, [this](uint32_t) { accept_some(); });
  if (!watch.ok()) return watch.status();
  watch_ = watch.value();
  return {};
}

void Reception::accept_some() {
  for (int i = 0; i < kAcceptsPerEvent; ++i) {
    if (strangers_.size() >= most_strangers_ && !make_room()) return rest();
    Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) {
      if (errno == EAGAIN) return;
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
        complain(system_error("accept a connection", errno).message() + ": trying again shortly (raise `ulimit -n`?)");
        if (make_room()) continue;
        return rest();
      }
      continue;  // that one has gone already
    }
    const int on = 1;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    Stranger& stranger = strangers_.emplace_back();
    stranger.since = Clock::now();
    stranger.connection = Connection::make(loop_, std::move(fd), FrameDecoder(kMaxFrameBytes));
    const Status started = stranger.connection->start([this, &stranger](Frame& frame) { return hear(stranger, frame); },
                                                      [this, &stranger](const Status& why) {
                                                        if (why.code() == Code::kInvalidUsage)
                                                          complain("dropped a connection: " + why.message());
                                                        forget(stranger);
                                                      });
    if (!started.ok()) strangers_.pop_back();
    if (sweeper_ == 0) sweeper_ = loop_.at(Clock::now() + kSweepEvery, [this] { sweep(); });
  }
}

// Sends the oldest away, unless it is young.
bool Reception::make_room() {
  if (strangers_.empty() || Clock::now() - strangers_.front().since < kYoung) return false;
  complain("too many connections that say nothing: dropped the oldest");
  strangers_.front().connection->close();
  strangers_.pop_front();
  return true;
}

// The socket stays readable: without a rest the loop would spin.
void Reception::rest() {
  loop_.modify(watch_, 0);
  resting_ = loop_.at(Clock::now() + kRest, [this] {
    resting_ = 0;
    loop_.modify(watch_, EPOLLIN);
  });
}

void Reception::sweep() {
  const auto patience = std::chrono::duration<double>(kHandshakeSeconds);
  while (!strangers_.empty() && Clock::now() - strangers_.front().since > patience) {
    complain("dropped a connection that did not introduce itself in time");
    strangers_.front().connection->close();
    strangers_.pop_front();
  }
  sweeper_ = strangers_.empty() ? 0 : loop_.at(Clock::now() + kSweepEvery, [this] { sweep(); });
}

void Reception::forget(const Stranger& stranger) {
  strangers_.remove_if([&](const Stranger& each) { return &each == &stranger; });
}

void Reception::complain(const std::string& message) {
  const Clock::time_point now = Clock::now();
  if (complained_ && now - *complained_ < kComplainEvery) {
    ++swallowed_;
    return;
  }
  complained_ = now;
  log_stranger(name_ + ": " + message + (swallowed_ != 0 ? " (and " + std::to_string(swallowed_) + " such events before)" : ""));
  swallowed_ = 0;
}

// False: the connection is closed, and the stranger is gone.
bool Reception::hear(Stranger& stranger, Frame& frame) {
  const bool goes_on = !stranger.hello ? challenge(stranger, frame) : judge(stranger, frame);
  if (!goes_on) forget(stranger);
  return goes_on;
}

bool Reception::challenge(Stranger& stranger, Frame& frame) {
  std::optional<Hello> hello = frame.type == FrameType::kHello ? decode_hello(frame.body) : std::nullopt;
  if (!hello || !random_bytes(stranger.nonce).ok()) {
    complain("dropped a connection that does not speak Tutti's protocol");
    return false;
  }
  stranger.hello = std::move(hello);
  stranger.hello_body = std::move(frame.body);
  ByteWriter writer;
  writer.raw(stranger.nonce);
  writer.raw(handshake_proof(key_, self_, stranger.nonce, stranger.hello_body));
  stranger.connection->send(FrameType::kChallenge, writer.take());
  return true;
}

// True where the connection has found an owner, or leaves once the refusal is written.
bool Reception::judge(Stranger& stranger, Frame& frame) {
  ByteReader reader(frame.body);
  const Mac proof = reader.array<Mac>();
  if (frame.type != FrameType::kJoin || !reader.ok()) return false;
  if (!equal_macs(proof, handshake_proof(key_, guest_, stranger.nonce, stranger.hello_body))) {
    complain("dropped a connection that does not know the communicator's key");
    return false;
  }
  const auto brought = frame.body.begin() + sizeof(Mac);
  Guest guest{std::move(stranger.connection), std::move(*stranger.hello), Bytes(brought, frame.body.end())};
  forget(stranger);
  if (Status status = compare_builds(guest.hello, own_build()); !status.ok()) {
    refuse(*guest.connection, status);
    incompatible_(guest.hello, status);
    return true;
  }
  admit_(std::move(guest));
  return true;
}

void refuse(Connection& connection, const Status& status) {
  connection.send(FrameType::kRefuse, encode_refusal(status));
  connection.close_when_sent();
}

}  // namespace tutti
