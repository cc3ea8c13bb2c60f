#include "transports/shm/link.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/log.h"

namespace tutti::shm {
namespace {

enum class Kind : uint8_t { kHello = 1, kFifo = 2, kReply = 3 };

// All messages are one packet of this; both ends are the same build of one machine, so it travels as it lies.
struct Message {
  uint32_t magic = 0x54555349;
  Kind kind = Kind::kHello;
  Protocol protocol = Protocol::kStaged;
  uint16_t channel = 0;
  int32_t rank = 0;      // hello: who connects
  int32_t code = 0;      // reply: 0, or a Code
  uint32_t request = 0;  // and its reply: its number
  Mac proof{};           // hello
  char text[160]{};      // reply: the error
};

sockaddr_un abstract_address(const ListenerName& name, socklen_t& length) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  constexpr char kHex[] = "0123456789abcdef";
  std::string text = "tutti-";
  for (const std::byte b : name) {
    text += kHex[std::to_integer<unsigned>(b) >> 4];
    text += kHex[std::to_integer<unsigned>(b) & 15];
  }
  std::memcpy(address.sun_path + 1, text.data(), text.size());  // a leading 0: no file
  length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
  return address;
}

Mac hello_proof(const Key& key, const ListenerName& name, int32_t rank) {
  std::byte message[sizeof name + sizeof rank];
  std::memcpy(message, name.data(), sizeof name);
  std::memcpy(message + sizeof name, &rank, sizeof rank);
  return hmac_sha256(key, message);
}

// Sends a message, with a descriptor where fd >= 0. Packets go whole or not at all.
bool send_message(int socket, const Message& message, int fd = -1) {
  iovec data = {.iov_base = const_cast<Message*>(&message), .iov_len = sizeof message};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
  msghdr header = {};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  if (fd >= 0) {
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    cmsghdr* const c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(c), &fd, sizeof fd);
  }
  return sendmsg(socket, &header, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof message);
}

bool receive_reply(int socket, Message& message, Fd& fd) {
  iovec data = {.iov_base = &message, .iov_len = sizeof message};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header = {};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  if (recvmsg(socket, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) != static_cast<ssize_t>(sizeof message)) return false;
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    int received = -1;
    std::memcpy(&received, CMSG_DATA(c), sizeof received);
    fd.reset(received);
  }
  return message.magic == Message{}.magic && message.kind == Kind::kReply;
}

char farewell_byte(PeerState state) {
  return state == PeerState::kAborted ? 'A' : 'B';
}

void say_farewell(int socket, PeerState state) {
  const char byte = farewell_byte(state);
  // A peer that has gone already needs no goodbye.
  [[maybe_unused]] const ssize_t sent = send(socket, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
  shutdown(socket, SHUT_WR);
}

PeerState state_of_farewell(std::byte byte) {
  return std::to_integer<char>(byte) == 'A' ? PeerState::kAborted : PeerState::kLeft;
}

bool same_user(int socket) {
  ucred credentials = {};
  socklen_t length = sizeof credentials;
  return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0 && (credentials.uid == geteuid() || credentials.uid == 0);
}

Status gone(int peer, const char* what) {
  return {Code::kRemote, "rank " + std::to_string(peer) + " " + what + ": its process has ended or is ending"};
}

}  // namespace

Result<std::unique_ptr<LinkServer>> LinkServer::listen(std::shared_ptr<Inbox> inbox, const Key& key, OnGone on_gone) {
  Result<ControlLoop*> loop = ControlLoop::instance();
  if (!loop.ok()) return loop.status();
  std::unique_ptr<LinkServer> server(new LinkServer(**loop, std::move(inbox), key, std::move(on_gone)));
  server->listener_.reset(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!server->listener_) return system_error("create a Unix socket", errno);
  socklen_t length = 0;
  const sockaddr_un address = abstract_address(server->inbox_->id(), length);
  const int fd = server->listener_.get();
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), length) != 0 || ::listen(fd, SOMAXCONN) != 0) {
    return system_error("listen on a Unix socket", errno);
  }
  const Result<ControlLoop::Watch> watch = server->loop_.add(fd, EPOLLIN, [s = server.get()](uint32_t) { s->accept_all(); });
  if (!watch.ok()) return watch.status();
  server->watch_ = watch.value();
  return server;
}

LinkServer::~LinkServer() {
  loop_.remove(watch_);
  loop_.cancel(resting_);
  // No handler accepts any more. Who stands in the queue shall hear the farewell too; nobody can join it from here on.
  if (listener_) shutdown(listener_.get(), SHUT_RDWR);
  accept_all();
  // Those of the peers may still run, and drop() theirs: take them one by one.
  for (;;) {
    ControlLoop::Watch watch = 0;
    {
      std::lock_guard lock(mutex_);
      if (peers_.empty()) return;
      watch = peers_.front().watch;
    }
    loop_.remove(watch);
    std::lock_guard lock(mutex_);
    peers_.remove_if([&](const Peer& peer) { return peer.watch == watch; });
  }
}

void LinkServer::farewell(PeerState state) {
  std::lock_guard lock(mutex_);
  said_ = state;
  for (const Peer& peer : peers_) say_farewell(peer.fd.get(), state);
}

void LinkServer::accept_all() {
  for (;;) {
    Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) rest();
      return;
    }
    if (!same_user(fd.get())) continue;
    std::lock_guard lock(mutex_);
    if (said_ != PeerState::kAlive) say_farewell(fd.get(), said_);
    peers_.push_back({.fd = std::move(fd)});
    Peer& peer = peers_.back();
    const Result<ControlLoop::Watch> watch = loop_.add(peer.fd.get(), EPOLLIN, [this, &peer](uint32_t) { serve(peer); });
    if (watch.ok()) {
      peer.watch = watch.value();
    } else {
      peers_.pop_back();
    }
  }
}

// No descriptors are left: the listener stays readable, and the control thread would spin.
void LinkServer::rest() {
  if (!loop_.on_thread()) return;  // the destructor's last look
  constexpr auto kRest = std::chrono::milliseconds(100);
  loop_.modify(watch_, 0);
  resting_ = loop_.at(ControlLoop::Clock::now() + kRest, [this] { loop_.modify(watch_, EPOLLIN); });
}

void LinkServer::serve(Peer& peer) {
  for (;;) {
    std::byte buffer[sizeof(Message)];
    const ssize_t got = recv(peer.fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got < 0 && errno == ECONNRESET) continue;  // it left something unread; what it said before is still to come
    if (got > 0 && handle(peer, buffer, static_cast<size_t>(got))) continue;
    if (got <= 0 && peer.rank >= 0) on_gone_(peer.rank, PeerState::kDied);
    drop(peer);
    return;
  }
}

// False: the link is at its end.
bool LinkServer::handle(Peer& peer, const std::byte* bytes, size_t length) {
  if (length == 1 && peer.rank >= 0) {
    on_gone_(peer.rank, state_of_farewell(*bytes));
    return false;
  }
  Message message;
  if (length != sizeof message) return false;
  std::memcpy(&message, bytes, sizeof message);
  if (message.magic != Message{}.magic) return false;
  if (message.kind == Kind::kHello && peer.rank < 0) {
    if (!equal_macs(message.proof, hello_proof(key_, inbox_->id(), message.rank))) {
      log_warn("dropped a local connection that does not know the communicator's key");
      return false;
    }
    peer.rank = message.rank;
    return true;
  }
  if (message.kind != Kind::kFifo || peer.rank < 0) return false;
  const FifoKey key{.peer = peer.rank, .channel = message.channel, .protocol = message.protocol};
  const Result<std::byte*> prepared = inbox_->prepare(key);
  Message reply;
  reply.kind = Kind::kReply;
  reply.request = message.request;
  if (!prepared.ok()) {
    reply.code = static_cast<int32_t>(prepared.status().code());
    prepared.status().message().copy(reply.text, sizeof reply.text - 1);
  }
  return send_message(peer.fd.get(), reply, prepared.ok() ? inbox_->fd() : -1);
}

void LinkServer::drop(Peer& peer) {
  loop_.remove(peer.watch);
  std::lock_guard lock(mutex_);
  peers_.remove_if([&](const Peer& each) { return &each == &peer; });
}

Result<std::unique_ptr<LinkClient>> LinkClient::connect(const ListenerName& name, const Key& key, int self, int peer, double timeout_s,
                                                        OnGone on_gone) {
  Result<ControlLoop*> loop = ControlLoop::instance();
  if (!loop.ok()) return loop.status();
  Fd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!fd) return system_error("create a Unix socket", errno);
  // Bounds connect() where the listener's queue is full, and send().
  const double bound_s = timeout_s > 0 ? timeout_s : 3600;
  const timeval bound = {.tv_sec = static_cast<time_t>(bound_s) + 1, .tv_usec = 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &bound, sizeof bound);
  socklen_t length = 0;
  const sockaddr_un address = abstract_address(name, length);
  int result = 0;
  do {
    result = ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), length);
  } while (result != 0 && errno == EINTR);
  if (result != 0) {
    if (errno == ECONNREFUSED) return gone(peer, "does not answer");
    return system_error("connect to rank " + std::to_string(peer) + " over a Unix socket", errno);
  }
  Message hello;
  hello.rank = self;
  hello.proof = hello_proof(key, name, self);
  if (!send_message(fd.get(), hello)) return gone(peer, "closed the connection");
  std::unique_ptr<LinkClient> client(new LinkClient(**loop, std::move(fd), peer, std::move(on_gone)));
  // Only hang-ups: replies are read by the thread that asked.
  const Result<ControlLoop::Watch> watch =
      client->loop_.add(client->fd_.get(), EPOLLRDHUP | EPOLLONESHOT, [c = client.get()](uint32_t) { c->on_hang_up(); });
  if (!watch.ok()) return watch.status();
  client->watch_ = watch.value();
  return client;
}

LinkClient::~LinkClient() {
  loop_.remove(watch_);
}

void LinkClient::farewell(PeerState state) {
  said_.store(true, std::memory_order_relaxed);
  say_farewell(fd_.get(), state);
}

void LinkClient::on_hang_up() {
  PeerState how = PeerState::kDied;
  Message message;
  for (;;) {
    const ssize_t got = recv(fd_.get(), &message, sizeof message, MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == ECONNRESET)) continue;  // reset: it left something unread; its goodbye is still to come
    if (got == 1) how = state_of_farewell(*reinterpret_cast<const std::byte*>(&message));
    if (got <= 0) break;
  }
  // A server hangs up on who has said goodbye: that is no death.
  if (how == PeerState::kDied && said_.load(std::memory_order_relaxed)) return;
  on_gone_(peer_, how);
}

// Until a packet that is no goodbye is there.
Status LinkClient::await_packet(bool bounded, double left_s, double timeout_s) {
  pollfd wait = {.fd = fd_.get(), .events = POLLIN, .revents = 0};
  const int bound_ms = bounded ? static_cast<int>(std::clamp(left_s * 1000, 0.0, 1e9)) : -1;
  int ready = 0;
  do {
    ready = poll(&wait, 1, bound_ms);
  } while (ready < 0 && errno == EINTR);
  if (ready == 0) {
    return {Code::kTimeout, "rank " + std::to_string(peer_) + " did not answer a request for shared memory within " +
                                std::to_string(timeout_s) + " s: its process is stopped or starved"};
  }
  // A goodbye is left for on_hang_up(), which knows what to do with it.
  std::byte first[2];
  const ssize_t waiting = recv(fd_.get(), first, sizeof first, MSG_PEEK | MSG_DONTWAIT);
  if (waiting <= 1) return gone(peer_, "left while this rank was connecting to it");
  return {};
}

Result<Fd> LinkClient::request_fifo(const FifoKey& key, double timeout_s) {
  Message request;
  request.kind = Kind::kFifo;
  request.protocol = key.protocol;
  request.channel = static_cast<uint16_t>(key.channel);
  request.request = ++requests_;
  if (!send_message(fd_.get(), request)) return gone(peer_, "closed the connection");
  const auto begun = ControlLoop::Clock::now();
  Message reply;
  Fd inbox;
  do {
    const double left_s = timeout_s - std::chrono::duration<double>(ControlLoop::Clock::now() - begun).count();
    if (Status status = await_packet(timeout_s > 0, left_s, timeout_s); !status.ok()) return status;
    inbox.reset();
    if (!receive_reply(fd_.get(), reply, inbox)) {
      return Status(Code::kInternal, "rank " + std::to_string(peer_) + " sent no proper reply to a request for shared memory");
    }
  } while (reply.request != request.request);
  if (reply.code != 0) {
    reply.text[sizeof reply.text - 1] = '\0';
    return Status(static_cast<Code>(reply.code), "rank " + std::to_string(peer_) + ": " + reply.text);
  }
  if (!inbox) return system_error("receive the shared memory of rank " + std::to_string(peer_) + " (too many open files?)", EMFILE);
  return inbox;
}

}  // namespace tutti::shm
