#include "transports/tcp/dial.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "transports/tcp/listener.h"

namespace tutti::tcp {
namespace {

using Clock = std::chrono::steady_clock;
// An address that swallows packets is given up after this where there is another one to try.
constexpr auto kOneOfSeveral = std::chrono::seconds(3);
constexpr int64_t kLookEveryMs = 50;

// Moves whole messages within the deadline. Each returns 0, or an errno; ETIMEDOUT is the deadline, ECONNRESET also stands for an end.
class Caller {
 public:
  Caller(int fd, Clock::time_point deadline, const std::function<bool()>& interrupted)
      : fd_(fd), deadline_(deadline), interrupted_(interrupted) {}

  int connect(const IpAddress& ip, uint16_t port) const {
    sockaddr_storage to;
    const socklen_t length = ip.to_sockaddr(port, to);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&to), length) == 0) return 0;
    if (errno != EINPROGRESS && errno != EINTR) return errno;
    if (const int error = await(POLLOUT); error != 0) return error;
    int error = 0;
    socklen_t error_length = sizeof error;
    getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &error_length);
    return error;
  }

  template <class Message>
  int send(const Message& message) const {
    return move(POLLOUT, sizeof message, [&](size_t done) {
      return ::send(fd_, reinterpret_cast<const std::byte*>(&message) + done, sizeof message - done, MSG_DONTWAIT | MSG_NOSIGNAL);
    });
  }
  template <class Message>
  int receive(Message& message) const {
    return move(POLLIN, sizeof message,
                [&](size_t done) { return recv(fd_, reinterpret_cast<std::byte*>(&message) + done, sizeof message - done, MSG_DONTWAIT); });
  }

 private:
  int await(short events) const {
    for (;;) {
      const auto left_ms = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - Clock::now()).count();
      pollfd wait = {.fd = fd_, .events = events, .revents = 0};
      const int ready = left_ms <= 0 ? 0 : poll(&wait, 1, static_cast<int>(std::min<int64_t>(left_ms, kLookEveryMs)));
      if (ready > 0) return 0;
      if (ready < 0 && errno != EINTR) return errno;
      if (ready == 0 && left_ms <= kLookEveryMs) return ETIMEDOUT;
      if (interrupted_ && interrupted_()) return ECANCELED;
    }
  }
  template <class Act>
  int move(short events, size_t bytes, const Act& act) const {
    for (size_t done = 0; done < bytes;) {
      const ssize_t n = act(done);
      if (n > 0) done += static_cast<size_t>(n);
      if (n == 0) return ECONNRESET;
      if (n < 0 && errno == EAGAIN) {
        if (const int error = await(events); error != 0) return error;
      } else if (n < 0 && errno != EINTR) {
        return errno == EPIPE ? ECONNRESET : errno;
      }
    }
    return 0;
  }

  int fd_;
  Clock::time_point deadline_;
  const std::function<bool()>& interrupted_;
};

constexpr int kNotThePeer = -1;

// 0, an errno, or kNotThePeer.
int shake_hands(const Caller& caller, const Hello& hello, const Key& key, Verdict& verdict) {
  Challenge challenge;
  if (const int error = caller.send(hello); error != 0) return error;
  if (const int error = caller.receive(challenge); error != 0) return error;
  if (!equal_macs(challenge.proof, prove(key, Role::kListener, hello, challenge.nonce))) return kNotThePeer;
  if (const int error = caller.send(prove(key, Role::kConnector, hello, challenge.nonce)); error != 0) return error;
  if (const int error = caller.receive(verdict); error != 0) return error;
  return verdict == Verdict::kWelcome ? caller.send(kGo) : 0;
}

}  // namespace

Result<DialResult> dial(std::span<const IpAddress> addresses, uint16_t port, const Hello& hello, const Key& key, size_t buffer_bytes,
                        Clock::time_point deadline, const std::string& peer, const std::function<bool()>& interrupted) {
  bool refused = false, hung_up = false, stranger = false;
  std::string tried;
  int last_error = 0;
  for (size_t i = 0; i < addresses.size() && (i == 0 || Clock::now() < deadline); ++i) {
    const IpAddress& ip = addresses[i];
    const auto bound = i + 1 < addresses.size() ? std::min(deadline, Clock::now() + kOneOfSeveral) : deadline;
    Fd fd(socket(ip.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd && errno != EAFNOSUPPORT) return system_error("create a TCP socket", errno);
    if (!fd) continue;
    prepare_socket(fd.get(), buffer_bytes);
    const Caller caller(fd.get(), bound, interrupted);
    Verdict verdict = Verdict::kWait;
    int error = caller.connect(ip, port);
    const bool connected = error == 0;
    if (connected) error = shake_hands(caller, hello, key, verdict);
    if (error == 0 && verdict == Verdict::kWelcome) return DialResult{DialResult::Outcome::kConnected, std::move(fd)};
    if (error == 0) return DialResult{DialResult::Outcome::kWait, Fd()};
    if (error == ECANCELED) return Status(Code::kAborted, "connecting to " + peer + " was interrupted");
    refused = refused || (!connected && error == ECONNREFUSED);
    hung_up = hung_up || (connected && error == ECONNRESET);
    stranger = stranger || error == kNotThePeer;
    if (error > 0) last_error = error;
    tried += (tried.empty() ? "" : ", ") + ip.text() + (error == kNotThePeer ? ": not the peer" : std::string(": ") + std::strerror(error));
  }
  if (hung_up) return DialResult{DialResult::Outcome::kHungUp, Fd()};
  if (refused) return DialResult{DialResult::Outcome::kNobody, Fd()};
  const std::string where = "cannot connect to " + peer + " by TCP (port " + std::to_string(port) + "; " + tried + ")";
  if (stranger) return Status(Code::kRemote, where + ": what listens there does not know this communicator's key");
  if (last_error == ETIMEDOUT) {
    return Status(Code::kTimeout,
                  where + ": its process is stopped or starved, or a firewall is between (TUTTI_SOCKET_IFNAME chooses the network)");
  }
  return Status(Code::kSystem, where + ": is there a network that both are on? (TUTTI_SOCKET_IFNAME chooses it)");
}

}  // namespace tutti::tcp
