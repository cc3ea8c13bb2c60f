#include "comm/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace tutti {
namespace {

constexpr size_t kReadBytes = 16384;
constexpr int kReadsPerEvent = 16;  // then the others have their turn
constexpr int kProbes = 3;

}  // namespace

Connection::~Connection() {
  loop_.remove(watch_);
}

Status Connection::start(OnFrame on_frame, OnClosed on_closed) {
  on_frame_ = std::move(on_frame);
  on_closed_ = std::move(on_closed);
  // EPOLLOUT once: the first event serves what the decoder holds already.
  const Result<ControlLoop::Watch> watch = loop_.add(fd_.get(), EPOLLIN | EPOLLOUT, [this](uint32_t events) { on_event(events); });
  if (!watch.ok()) return watch.status();
  watch_ = watch.value();
  return {};
}

void Connection::hand_over(size_t most_body_bytes, OnFrame on_frame, OnClosed on_closed) {
  decoder_.set_bound(most_body_bytes);
  on_frame_ = std::move(on_frame);
  on_closed_ = std::move(on_closed);
}

void Connection::pause() {
  paused_ = true;
  watch_for();
}

void Connection::resume() {
  paused_ = false;
  loop_.modify(watch_, EPOLLIN | EPOLLOUT);  // as in start()
}

void Connection::watch_for() {
  loop_.modify(watch_, (paused_ ? 0u : uint32_t{EPOLLIN}) | (out_.empty() ? 0u : uint32_t{EPOLLOUT}));
}

void Connection::on_event(uint32_t events) {
  const auto self = shared_from_this();  // handlers may let go of it
  if ((events & EPOLLOUT) != 0) flush();
  if (!take_frames()) return;
  for (int reads = 0; reads < kReadsPerEvent && open() && !paused_; ++reads) {
    std::byte buffer[kReadBytes];
    const ssize_t n = recv(fd_.get(), buffer, sizeof buffer, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
      const int error = n < 0 ? errno : 0;
      return end(error == 0 ? Status(Code::kRemote, "the other end closed the connection") : system_error("read", error));
    }
    decoder_.feed(std::span(buffer, static_cast<size_t>(n)));
    if (!take_frames()) return;
  }
}

// False: the connection is closed.
bool Connection::take_frames() {
  while (open() && !paused_) {
    Result<std::optional<Frame>> frame = decoder_.next();
    if (!frame.ok()) {
      end({Code::kInvalidUsage, frame.status().message()});
      return false;
    }
    if (!frame->has_value()) return true;
    const OnFrame handler = on_frame_;  // a copy: the handler may replace itself
    if (!handler || !handler(**frame)) close();
  }
  return open();
}

void Connection::end(const Status& why) {
  const OnClosed handler = std::move(on_closed_);
  close();
  if (handler) handler(why);
}

void Connection::send(FrameType type, std::span<const std::byte> body) {
  if (!open() || leaving_ || out_.size() - sent_ > kMostUnsentBytes) return;
  const Bytes frame = encode_frame(type, body);
  out_.insert(out_.end(), frame.begin(), frame.end());
  flush();
}

void Connection::close_when_sent() {
  if (!open()) return;
  leaving_ = true;
  until_sent_ = shared_from_this();
  on_frame_ = [](Frame&) { return true; };
  on_closed_ = nullptr;
  flush();
}

void Connection::close() {
  loop_.remove(watch_);
  watch_ = 0;
  fd_.reset();
  on_frame_ = nullptr;
  on_closed_ = nullptr;
  const auto last = std::move(until_sent_);  // may be the last reference: nothing after this
}

void Connection::flush() {
  while (sent_ < out_.size()) {
    const ssize_t n = ::send(fd_.get(), out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) break;  // full: again on EPOLLOUT; broken: on_event() sees it
    sent_ += static_cast<size_t>(n);
  }
  if (sent_ == out_.size()) {
    out_.clear();
    sent_ = 0;
    if (leaving_) return close();
  }
  if (!open()) return;
  watch_for();
}

void Connection::detect_lost_host(double bound_s) {
  if (bound_s <= 0) return;
  const int on = 1, every_s = std::max(1, static_cast<int>(bound_s / (kProbes + 1))), probes = kProbes;
  const auto bound_ms = static_cast<unsigned>(std::min(bound_s * 1000, 1e9));
  setsockopt(fd_.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(fd_.get(), IPPROTO_TCP, TCP_KEEPIDLE, &every_s, sizeof every_s);
  setsockopt(fd_.get(), IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof every_s);
  setsockopt(fd_.get(), IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
  setsockopt(fd_.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, &bound_ms, sizeof bound_ms);
}

}  // namespace tutti
