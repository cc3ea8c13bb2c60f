#include "transports/shm/links.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/log.h"

namespace tutti::shm {
namespace {

enum class Kind : uint8_t { kHello = 1, kFifo = 2, kReply = 3, kFarewell = 4 };

constexpr uint32_t kMagic = 0x54555349;

// A stranger younger than this is not sent away to make room: many ranks may come at once.
constexpr auto kYoung = std::chrono::milliseconds(300);
constexpr auto kComplainEvery = std::chrono::seconds(10);
constexpr auto kLookEvery = std::chrono::milliseconds(10);
constexpr double kForever_s = 1e8;  // longer than a process lives

// The deadline of a wait; 0: none.
auto deadline_after(double timeout_s) {
  return std::chrono::steady_clock::now() + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                                                std::chrono::duration<double>(timeout_s > 0 ? timeout_s : kForever_s));
}

sockaddr_un abstract_address(const LinkName& name, socklen_t& length) {
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

bool same_user(int socket) {
  ucred credentials = {};
  socklen_t length = sizeof credentials;
  return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0 && (credentials.uid == geteuid() || credentials.uid == 0);
}

Status gone(int peer, const char* what) {
  return {Code::kRemote, "rank " + std::to_string(peer) + " " + what + ": its process has ended or is ending"};
}

}  // namespace

// All messages are one packet of this; both ends are the same build of one machine, so it travels as it lies.
struct Links::Packet {
  uint32_t magic = kMagic;
  Kind kind = Kind::kHello;
  Protocol protocol = Protocol::kStaged;  // request
  PeerState state = PeerState::kAlive;    // farewell
  uint8_t unused = 0;
  uint32_t context = 0;  // request, farewell
  uint32_t ticket = 0;   // request, reply
  int32_t rank = 0;      // hello: who connects; request: who asks, in the context
  int32_t channel = 0;   // request
  int32_t code = 0;      // reply: 0, or a Code
  Mac proof{};           // hello
  char text[160]{};      // reply: the error
};

Mac Links::hello_proof(const Key& key, const LinkName& name, int32_t rank) {
  std::byte message[sizeof name + sizeof rank];
  std::memcpy(message, name.data(), sizeof name);
  std::memcpy(message + sizeof name, &rank, sizeof rank);
  return hmac_sha256(key, message);
}

// With a descriptor where fd >= 0. Packets go whole or not at all, and never block.
bool Links::send_packet(int socket, const Packet& packet, int fd) {
  iovec data = {.iov_base = const_cast<Packet*>(&packet), .iov_len = sizeof packet};
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
  return sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT) == static_cast<ssize_t>(sizeof packet);
}

// 1: a proper packet, 0: nothing is there yet, -1: the end, or not one of ours.
int Links::receive_packet(int socket, Packet& packet, Fd& carried) {
  for (;;) {
    iovec data = {.iov_base = &packet, .iov_len = sizeof packet};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr header = {};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    const ssize_t got = recvmsg(socket, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == ECONNRESET) continue;  // it left something unread; what it said before is still to come
    if (got < 0) return errno == EAGAIN ? 0 : -1;
    for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
      if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
      for (size_t at = 0; CMSG_LEN(at + sizeof(int)) <= c->cmsg_len; at += sizeof(int)) {
        int received = -1;
        std::memcpy(&received, CMSG_DATA(c) + at, sizeof received);
        carried.reset(received);  // one at most is wanted; others are closed
      }
    }
    const bool whole = got == static_cast<ssize_t>(sizeof packet) && (header.msg_flags & MSG_TRUNC) == 0;
    return whole && packet.magic == kMagic ? 1 : -1;
  }
}

Result<std::shared_ptr<Links>> Links::open(int self, const Key& key) {
  Result<ControlLoop*> loop = ControlLoop::instance();
  if (!loop.ok()) return loop.status();
  // shared_ptr: communicators that were split off may outlive the first.
  std::shared_ptr<Links> links(new Links(**loop, self, key));
  if (Status status = random_bytes(links->name_); !status.ok()) return status;
  links->listener_.reset(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!links->listener_) return system_error("create a Unix socket", errno);
  socklen_t length = 0;
  const sockaddr_un address = abstract_address(links->name_, length);
  const int fd = links->listener_.get();
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), length) != 0 || ::listen(fd, SOMAXCONN) != 0) {
    return system_error("listen on a Unix socket", errno);
  }
  const Result<ControlLoop::Watch> watch = links->loop_.add(fd, EPOLLIN, [l = links.get()](uint32_t) { l->accept_all(); });
  if (!watch.ok()) return watch.status();
  links->watch_ = watch.value();
  return links;
}

Links::~Links() {
  loop_.remove(watch_);
  loop_.cancel(resting_);
  // No handler accepts any more. Who stands in the queue shall hear the farewells too; nobody can join it from here on.
  if (listener_) shutdown(listener_.get(), SHUT_RDWR);
  accept_all();
  // Their handlers may still run, and drop their own: take them one by one.
  for (;;) {
    std::shared_ptr<Link> link;
    {
      std::lock_guard lock(mutex_);
      if (links_.empty()) return;
      link = links_.front();
    }
    loop_.remove(link->watch);
    drop(link);
  }
}

Status Links::enter(uint32_t number, Context what) {
  std::lock_guard lock(mutex_);
  // Room for its farewell, which may be said where no memory is left.
  const bool fresh = said_.try_emplace(number, PeerState::kAlive).second && contexts_.emplace(number, std::move(what)).second;
  return fresh ? Status() : Status(Code::kInternal, "the context " + std::to_string(number) + " is in use");
}

void Links::farewell(uint32_t context, PeerState state) {
  std::lock_guard lock(mutex_);
  const auto said = said_.find(context);
  if (said != said_.end() && said->second == PeerState::kAlive) said->second = state;
  Packet packet;
  packet.kind = Kind::kFarewell;
  packet.context = context;
  packet.state = state;
  for (const auto& link : links_) {
    if (link->open) send_packet(link->fd.get(), packet);  // who has gone needs no goodbye
  }
}

void Links::leave(uint32_t context) {
  std::lock_guard lock(mutex_);
  contexts_.erase(context);
}

// Watches a new link and tells it what was said before it was there. mutex_ is held.
Status Links::add(const std::shared_ptr<Link>& link) {
  for (const auto& [context, state] : said_) {
    if (state == PeerState::kAlive) continue;
    Packet packet;
    packet.kind = Kind::kFarewell;
    packet.context = context;
    packet.state = state;
    send_packet(link->fd.get(), packet);
  }
  const Result<ControlLoop::Watch> watch = loop_.add(link->fd.get(), EPOLLIN, [this, link](uint32_t) { serve(link); });
  if (!watch.ok()) return watch.status();
  link->watch = watch.value();
  links_.push_back(link);
  return {};
}

// False: there are as many strangers as may be, and all have only just come.
bool Links::make_room() {
  std::shared_ptr<Link> oldest;
  {
    std::lock_guard lock(mutex_);
    size_t strangers = 0;
    for (const auto& link : links_) {
      if (link->rank >= 0) continue;
      ++strangers;
      if (oldest == nullptr) oldest = link;
    }
    if (strangers < kMaxStrangers) return true;
  }
  if (std::chrono::steady_clock::now() - oldest->since < kYoung) return false;
  complain("local connections that say nothing: the oldest of too many");
  end(oldest);
  return true;
}

// The control thread's.
void Links::complain(const char* what) {
  const auto now = std::chrono::steady_clock::now();
  if (complained_ && now - *complained_ < kComplainEvery) return;
  complained_ = now;
  log_stranger(std::string("dropped ") + what);
}

void Links::accept_all() {
  for (;;) {
    if (loop_.on_thread() && !make_room()) return rest();
    Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) rest();
      return;
    }
    if (!same_user(fd.get())) continue;
    const auto link = std::make_shared<Link>();
    link->fd = std::move(fd);
    std::lock_guard lock(mutex_);
    if (const Status status = add(link); !status.ok()) log_warn("dropped a local connection: " + status.message());
  }
}

// No descriptors are left, or no room: the listener stays readable, and the control thread would spin.
void Links::rest() {
  if (!loop_.on_thread()) return;  // the destructor's last look
  constexpr auto kRest = std::chrono::milliseconds(100);
  loop_.modify(watch_, 0);
  resting_ = loop_.at(ControlLoop::Clock::now() + kRest, [this] { loop_.modify(watch_, EPOLLIN); });
}

void Links::serve(const std::shared_ptr<Link>& link) {
  for (;;) {
    Packet packet;
    Fd carried;
    const int got = receive_packet(link->fd.get(), packet, carried);
    if (got == 0) return;
    if (got > 0 && handle(*link, packet, std::move(carried))) continue;
    end(link);
    return;
  }
}

// False: the link is at its end.
bool Links::handle(Link& link, const Packet& packet, Fd carried) {
  std::lock_guard lock(mutex_);
  if (link.rank < 0) return packet.kind == Kind::kHello && greet(link, packet);
  switch (packet.kind) {
    case Kind::kHello: return false;
    case Kind::kFarewell: heard_farewell(link.rank, packet.context, packet.state); return true;
    case Kind::kFifo: {
      int inbox_fd = -1;
      const Packet reply = reply_to(link, packet, inbox_fd);
      return send_packet(link.fd.get(), reply, inbox_fd);
    }
    case Kind::kReply: {
      const auto found = waiting_.find(packet.ticket);
      if (found == waiting_.end()) return true;  // its asker has given up
      found->second->there = true;
      found->second->code = static_cast<Code>(packet.code);
      found->second->text.assign(packet.text, strnlen(packet.text, sizeof packet.text));
      found->second->inbox = std::move(carried);
      answered_.notify_all();
      return true;
    }
  }
  return false;
}

bool Links::greet(Link& link, const Packet& hello) {
  if (hello.rank < 0 || !equal_macs(hello.proof, hello_proof(key_, name_, hello.rank))) {
    complain("a local connection that does not know the communicator's key");
    return false;
  }
  link.rank = hello.rank;
  return true;
}

void Links::heard_farewell(int rank, uint32_t context, PeerState how) {
  const auto found = contexts_.find(context);
  if (found == contexts_.end()) return;
  const std::vector<int>& members = found->second.members;
  if (const auto place = std::find(members.begin(), members.end(), rank); place != members.end()) {
    found->second.on_gone(static_cast<int>(place - members.begin()), how == PeerState::kAborted ? how : PeerState::kLeft);
  }
}

Links::Packet Links::reply_to(const Link& link, const Packet& request, int& inbox_fd) {
  Packet reply;
  reply.kind = Kind::kReply;
  reply.ticket = request.ticket;
  const auto refuse = [&](Code code, const std::string& text) {
    reply.code = static_cast<int32_t>(code);
    text.copy(reply.text, sizeof reply.text - 1);
    return reply;
  };
  const auto found = contexts_.find(request.context);
  if (found == contexts_.end()) return refuse(Code::kRemote, "it has left this communicator");
  const Context& context = found->second;
  const auto place = static_cast<size_t>(request.rank);
  if (request.rank < 0 || place >= context.members.size() || context.members[place] != link.rank) {
    return refuse(Code::kInternal, "rank " + std::to_string(link.rank) + " asked in another rank's name");
  }
  const Result<std::byte*> prepared =
      context.inbox->prepare({.peer = request.rank, .channel = request.channel, .protocol = request.protocol});
  if (!prepared.ok()) return refuse(prepared.status().code(), prepared.status().message());
  inbox_fd = context.inbox->fd();
  return reply;
}

// The peer closed the link, or spoiled it.
void Links::end(const std::shared_ptr<Link>& link) {
  {
    std::lock_guard lock(mutex_);
    link->open = false;
    // Two ranks that connected to each other at once have two links, of which the last counts.
    if (link->rank >= 0 && link_to(link->rank) == nullptr) {
      for (const auto& [number, context] : contexts_) {
        const auto place = std::find(context.members.begin(), context.members.end(), link->rank);
        if (place != context.members.end()) context.on_gone(static_cast<int>(place - context.members.begin()), PeerState::kDied);
      }
    }
    answered_.notify_all();
  }
  loop_.remove(link->watch);
  drop(link);
}

void Links::drop(const std::shared_ptr<Link>& link) {
  std::lock_guard lock(mutex_);
  links_.remove(link);
}

// mutex_ is held.
std::shared_ptr<Links::Link> Links::link_to(int rank) const {
  const auto found = std::find_if(links_.begin(), links_.end(), [&](const auto& link) { return link->rank == rank && link->open; });
  return found == links_.end() ? nullptr : *found;
}

Status Links::meet(int peer, double timeout_s) {
  {
    std::lock_guard lock(mutex_);
    if (link_to(peer) != nullptr) return {};
  }
  const auto link = std::make_shared<Link>();
  link->fd.reset(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  const int fd = link->fd.get();
  if (fd < 0) return system_error("create a Unix socket", errno);
  // Bounds connect(), which blocks where the listener's queue is full.
  const timeval bound = {.tv_sec = static_cast<time_t>(std::clamp(timeout_s, 0.0, kForever_s)) + 1, .tv_usec = 0};
  if (timeout_s > 0) setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &bound, sizeof bound);
  socklen_t length = 0;
  const sockaddr_un address = abstract_address(name_of(peer), length);
  int result = 0;
  do {
    result = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), length);
  } while (result != 0 && errno == EINTR);
  if (result != 0 && errno == ECONNREFUSED) return gone(peer, "does not answer");
  if (result != 0) return system_error("connect to rank " + std::to_string(peer) + " over a Unix socket", errno);
  if (!same_user(fd)) return gone(peer, "is not who listens at its name");
  Packet hello;
  hello.rank = self_;
  hello.proof = hello_proof(key_, name_of(peer), self_);
  if (!send_packet(fd, hello)) return gone(peer, "closed the connection");
  link->rank = peer;
  std::lock_guard lock(mutex_);
  return add(link);
}

Result<Fd> Links::request_fifo(int peer, uint32_t context, const FifoKey& key, double timeout_s, const std::function<bool()>& interrupted) {
  Packet request;
  request.kind = Kind::kFifo;
  request.protocol = key.protocol;
  request.context = context;
  request.rank = key.peer;
  request.channel = key.channel;
  std::unique_lock lock(mutex_);
  const std::shared_ptr<Link> link = link_to(peer);
  if (link == nullptr) return gone(peer, "left while this rank was connecting to it");
  Answer answer;
  const uint32_t ticket = request.ticket = ++tickets_;
  if (!send_packet(link->fd.get(), request)) return gone(peer, "closed the connection");
  waiting_[ticket] = &answer;
  const auto over = [&] { return answer.there || !link->open; };
  const auto deadline = deadline_after(timeout_s);
  bool stopped = false;
  while (!over() && !stopped && std::chrono::steady_clock::now() < deadline) {
    answered_.wait_until(lock, std::min(deadline, std::chrono::steady_clock::now() + kLookEvery), over);
    // Unlocked: what is asked may be busy with what calls us.
    lock.unlock();
    stopped = interrupted();
    lock.lock();
  }
  waiting_.erase(ticket);
  if (!over() && stopped) return Status(Code::kAborted, "connecting to rank " + std::to_string(peer) + " was interrupted");
  if (!over()) {
    return Status(Code::kTimeout, "rank " + std::to_string(peer) + " did not answer a request for shared memory within " +
                                      std::to_string(timeout_s) + " s: its process is stopped or starved");
  }
  if (!answer.there) return gone(peer, "left while this rank was connecting to it");
  if (answer.code != Code::kOk) return Status(answer.code, "rank " + std::to_string(peer) + ": " + answer.text);
  if (!answer.inbox) return system_error("receive the shared memory of rank " + std::to_string(peer) + " (too many open files?)", EMFILE);
  return std::move(answer.inbox);
}

}  // namespace tutti::shm
