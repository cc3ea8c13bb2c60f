#include "transports/tcp/listener.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "transports/tcp/wire.h"

namespace tutti::tcp {
namespace {

constexpr auto kHandshakeBound = std::chrono::seconds(10);
constexpr long kSweepEvery_ns = 200'000'000;  // of handshakes over their time; also how long accepting pauses without descriptors
constexpr size_t kLeastGuests = 128;

// A short message into an empty buffer goes whole, or the connection is broken.
bool send_whole(int fd, const void* data, size_t bytes) {
  return send(fd, data, bytes, MSG_DONTWAIT | MSG_NOSIGNAL) == static_cast<ssize_t>(bytes);
}

}  // namespace

void prepare_socket(int fd, size_t buffer_bytes) {
  const auto set = [&](int level, int name, int value) { setsockopt(fd, level, name, &value, sizeof value); };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  if (buffer_bytes == 0) return;
  set(SOL_SOCKET, SO_SNDBUF, static_cast<int>(buffer_bytes));
  set(SOL_SOCKET, SO_RCVBUF, static_cast<int>(buffer_bytes));
}

Result<std::unique_ptr<Listener>> Listener::open(const Self& self, std::vector<IpAddress> addresses, Host host) {
  Result<ControlLoop*> loop = ControlLoop::instance();
  if (!loop.ok()) return loop.status();
  std::unique_ptr<Listener> listener(new Listener(**loop, self, std::move(addresses), std::move(host)));
  if (Status status = listener->start(); !status.ok()) return status;
  return listener;
}

Status Listener::start() {
  if (Status status = random_bytes(id_); !status.ok()) return status;
  // One port for all addresses of both families; where IPv6 is switched off, of IPv4.
  const bool any_v6 = std::any_of(addresses_.begin(), addresses_.end(), [](const IpAddress& ip) { return !ip.is_v4(); });
  const int family = any_v6 ? AF_INET6 : AF_INET;
  fd_.reset(socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd_) return system_error("create a TCP socket", errno);
  const int off = 0;
  if (any_v6) setsockopt(fd_.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  prepare_socket(fd_.get(), self_.buffer_bytes);
  sockaddr_storage address = {};
  address.ss_family = static_cast<sa_family_t>(family);
  socklen_t length = any_v6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  if (bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0 || ::listen(fd_.get(), SOMAXCONN) != 0 ||
      getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    return system_error("listen on a TCP port", errno);
  }
  port_ = ntohs(any_v6 ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port : reinterpret_cast<const sockaddr_in&>(address).sin_port);
  timer_.reset(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer_) return system_error("create a timer", errno);
  const Result<ControlLoop::Watch> timer = loop_.add(timer_.get(), EPOLLIN, [this](uint32_t) { sweep(); });
  if (!timer.ok()) return timer.status();
  timer_watch_ = timer.value();
  const Result<ControlLoop::Watch> watch = loop_.add(fd_.get(), EPOLLIN, [this](uint32_t) { accept_all(); });
  if (!watch.ok()) return watch.status();
  watch_ = watch.value();
  return {};
}

Listener::~Listener() {
  close(PeerState::kLeft);
}

void Listener::close(PeerState goodbye) {
  if (!fd_) return;
  loop_.remove(watch_);
  loop_.remove(timer_watch_);
  for (;;) {
    ControlLoop::Watch watch = 0;
    {
      std::lock_guard lock(mutex_);
      if (guests_.empty()) break;
      watch = guests_.front().watch;
    }
    loop_.remove(watch);
    std::lock_guard lock(mutex_);
    const auto guest = std::find_if(guests_.begin(), guests_.end(), [&](const Guest& each) { return each.watch == watch; });
    if (guest == guests_.end()) continue;
    if (guest->stage == Stage::kAhead) {
      // It may have gone ahead already, and shall not take this for a death.
      const FrameHeader frame = {.kind = FrameKind::kGoodbye, .goodbye = goodbye};
      char go;
      (void)recv(guest->fd.get(), &go, 1, MSG_DONTWAIT);
      send_whole(guest->fd.get(), &frame, sizeof frame);
      shutdown(guest->fd.get(), SHUT_WR);
    }
    guests_.erase(guest);
  }
  fd_.reset();
  timer_.reset();
}

// --- Everything below runs on the control thread.

void Listener::accept_all() {
  for (;;) {
    Fd fd(accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)) return pause_accepting();
    if (!fd && (errno == EINTR || errno == ECONNABORTED)) continue;
    if (!fd) return;
    if (!is_for_us(fd.get())) continue;
    prepare_socket(fd.get(), 0);  // buffers are the listening socket's
    Guest* oldest = nullptr;
    Guest* guest = nullptr;
    {
      std::lock_guard lock(mutex_);
      const size_t most = std::max(kLeastGuests, 2 * static_cast<size_t>(self_.nranks));
      if (guests_.size() >= most) {
        const auto found = std::find_if(guests_.begin(), guests_.end(), [](const Guest& each) { return each.stage != Stage::kAhead; });
        if (found == guests_.end()) continue;
        oldest = &*found;
      }
      guest = &guests_.emplace_back();
    }
    if (oldest != nullptr) {
      complain("a flood of connections that say nothing");
      drop(*oldest);
    }
    guest->fd = std::move(fd);
    guest->deadline = Clock::now() + kHandshakeBound;
    const Result<ControlLoop::Watch> watch = loop_.add(guest->fd.get(), EPOLLIN, [this, guest](uint32_t) { serve(*guest); });
    if (watch.ok()) guest->watch = watch.value();
    if (!watch.ok()) drop(*guest);
    arm_timer();
  }
}

// The sweep goes on with it.
void Listener::pause_accepting() {
  complain("connections that cannot be accepted, since descriptors or memory have run out (ulimit -n): they wait");
  paused_ = true;
  loop_.modify(watch_, 0);
  arm_timer();
}

bool Listener::is_for_us(int fd) const {
  sockaddr_storage local = {};
  socklen_t length = sizeof local;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&local), &length) != 0) return false;
  const IpAddress ip = IpAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&local));
  return std::find(addresses_.begin(), addresses_.end(), ip) != addresses_.end();
}

void Listener::arm_timer() {
  const itimerspec once = {.it_interval = {}, .it_value = {.tv_sec = 0, .tv_nsec = kSweepEvery_ns}};
  timerfd_settime(timer_.get(), 0, &once, nullptr);
}

void Listener::sweep() {
  uint64_t ticks = 0;
  if (read(timer_.get(), &ticks, sizeof ticks) < 0) return;
  std::vector<Guest*> late;
  bool any = false;
  {
    std::lock_guard lock(mutex_);
    for (Guest& guest : guests_) {
      if (guest.deadline <= Clock::now()) late.push_back(&guest);
    }
    any = late.size() < guests_.size();
  }
  for (Guest* guest : late) {
    complain("a connection that did not finish its handshake in time");
    drop(*guest);
  }
  if (std::exchange(paused_, false)) loop_.modify(watch_, EPOLLIN);
  if (any) arm_timer();
}

std::span<std::byte> Listener::awaited(Guest& guest) {
  switch (guest.stage) {
    case Stage::kHello: return std::as_writable_bytes(std::span(&guest.hello, 1));
    case Stage::kProof: return std::as_writable_bytes(std::span(&guest.proof, 1));
    case Stage::kAhead: break;
  }
  return std::as_writable_bytes(std::span(&guest.go, 1));
}

// Reads no byte past the handshake: what follows are frames.
void Listener::serve(Guest& guest) {
  for (;;) {
    const std::span<std::byte> whole = awaited(guest);
    const ssize_t got = recv(guest.fd.get(), whole.data() + guest.got, whole.size() - guest.got, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return drop(guest);
    guest.got += static_cast<size_t>(got);
    if (guest.got < whole.size()) continue;
    guest.got = 0;
    if (!handle(guest)) return drop(guest);
    if (guest.stage == Stage::kAhead && guest.go != 0) {
      loop_.remove(guest.watch);
      host_.adopt(std::move(guest.fd), static_cast<int>(guest.hello.rank), guest.hello.index);
      guest.stage = Stage::kHello;  // nothing to abandon
      return drop(guest);
    }
  }
}

// A whole message of the guest's stage. False: the connection is dropped.
bool Listener::handle(Guest& guest) {
  switch (guest.stage) {
    case Stage::kHello: return challenge(guest);
    case Stage::kProof: return judge(guest);
    case Stage::kAhead: break;
  }
  return guest.go == kGo;
}

bool Listener::challenge(Guest& guest) {
  const Hello& hello = guest.hello;
  const auto rank = static_cast<uint32_t>(self_.rank), nranks = static_cast<uint32_t>(self_.nranks);
  if (hello.magic != Hello{}.magic || hello.version != kVersion || hello.listener != id_ || hello.to_rank != rank ||
      hello.nranks != nranks || hello.rank >= nranks || hello.rank == rank || hello.index >= kMaxSockets) {
    complain("a connection that is none of this communicator's");
    return false;
  }
  Challenge answer;
  if (!random_bytes(guest.nonce).ok()) return false;
  answer.nonce = guest.nonce;
  answer.proof = prove(self_.key, Role::kListener, hello, guest.nonce);
  guest.stage = Stage::kProof;
  return send_whole(guest.fd.get(), &answer, sizeof answer);
}

bool Listener::judge(Guest& guest) {
  if (!equal_macs(guest.proof, prove(self_.key, Role::kConnector, guest.hello, guest.nonce))) {
    complain("a connection that does not know the communicator's key");
    return false;
  }
  const Verdict verdict = host_.admit(static_cast<int>(guest.hello.rank), guest.hello.index);
  if (verdict == Verdict::kWelcome) guest.stage = Stage::kAhead;
  return send_whole(guest.fd.get(), &verdict, sizeof verdict) && verdict == Verdict::kWelcome;
}

void Listener::drop(Guest& guest) {
  if (guest.stage == Stage::kAhead) host_.abandon(static_cast<int>(guest.hello.rank), guest.hello.index);
  loop_.remove(guest.watch);
  std::lock_guard lock(mutex_);
  guests_.remove_if([&](const Guest& each) { return &each == &guest; });
}

// Once: whoever knocks must not fill the log.
void Listener::complain(const char* what) {
  if (!std::exchange(complained_, true)) log_stranger(std::string("dropped ") + what + " (tcp, port " + std::to_string(port_) + ")");
}

}  // namespace tutti::tcp
