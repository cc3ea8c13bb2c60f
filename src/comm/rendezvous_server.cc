// The listener's end of the rendezvous. Everything here runs on the control thread but open_rendezvous(). See rendezvous.h.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <list>
#include <map>
#include <memory>

#include "base/config.h"
#include "base/control_loop.h"
#include "base/interfaces.h"
#include "base/log.h"
#include "comm/rendezvous.h"
#include "comm/rendezvous_protocol.h"

namespace tutti {
namespace {

constexpr std::array<std::byte, 16> kAnyV4 = {{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, std::byte{0xff}, std::byte{0xff}}};
constexpr size_t kMaxGuestFrameBytes = kMaxJoinBytes + 256;

class Listener {
 public:
  Listener(ControlLoop& loop, Fd fd, const Key& key) : loop_(loop), fd_(std::move(fd)), key_(key) {}

  Status start() {
    return loop_.add(fd_.get(), EPOLLIN, [this](uint32_t) { accept_all(); }).status();
  }

 private:
  struct Guest {
    Fd fd;
    ControlLoop::Watch watch = 0;
    FrameDecoder decoder{kMaxGuestFrameBytes};
    Bytes out;
    bool leaving = false;  // once `out` is written
    Hello hello;
    Bytes hello_body;  // empty until it came
    Nonce nonce{};
    bool seated = false;
  };

  struct Seat {
    Guest* guest = nullptr;
    Bytes brought;
  };

  // The ranks of one communicator to be.
  struct Meeting {
    std::vector<Seat> seats;
    size_t taken = 0;
    uint64_t timer = 0;
    Status failed;  // what everybody, and everybody who comes later, is told
  };

  void accept_all();
  void on_event(Guest& guest, uint32_t events);
  bool read_all(Guest& guest);
  bool handle(Guest& guest, const Frame& frame);
  bool greet(Guest& guest, const Frame& frame);
  bool seat(Guest& guest, const Frame& frame);
  Meeting& meeting_of(const Hello& hello);
  void finish(Meeting& meeting);
  void fail(Meeting& meeting, Status status);
  void refuse(Guest& guest, const Status& status);
  void send(Guest& guest, FrameType type, std::span<const std::byte> body);
  void flush(Guest& guest);
  void drop(Guest& guest);

  ControlLoop& loop_;
  Fd fd_;
  Key key_;
  std::list<Guest> guests_;
  std::map<uint32_t, Meeting> meetings_;
};

void Listener::accept_all() {
  for (;;) {
    Fd fd(accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) return;
    const int on = 1;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    Guest& guest = guests_.emplace_back();
    guest.fd = std::move(fd);
    const Result<ControlLoop::Watch> watch =
        loop_.add(guest.fd.get(), EPOLLIN, [this, &guest](uint32_t events) { on_event(guest, events); });
    if (watch.ok()) {
      guest.watch = watch.value();
    } else {
      guests_.pop_back();
    }
  }
}

void Listener::on_event(Guest& guest, uint32_t events) {
  if ((events & EPOLLOUT) != 0) flush(guest);
  if (!read_all(guest) || (guest.leaving && guest.out.empty())) drop(guest);
}

// False: the guest is to be dropped.
bool Listener::read_all(Guest& guest) {
  for (;;) {
    std::byte buffer[8192];
    const ssize_t n = recv(guest.fd.get(), buffer, sizeof buffer, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (n <= 0) return false;
    guest.decoder.feed(std::span(buffer, static_cast<size_t>(n)));
    for (;;) {
      Result<std::optional<Frame>> frame = guest.decoder.next();
      if (!frame.ok()) {
        log_info("rendezvous: dropped a connection: " + frame.status().message());
        return false;
      }
      if (!frame->has_value()) break;
      if (guest.leaving || !handle(guest, **frame)) return guest.leaving;
    }
  }
}

bool Listener::handle(Guest& guest, const Frame& frame) {
  if (frame.type == FrameType::kHello && guest.hello_body.empty()) return greet(guest, frame);
  if (frame.type == FrameType::kJoin && !guest.hello_body.empty() && !guest.seated) return seat(guest, frame);
  return false;
}

bool Listener::greet(Guest& guest, const Frame& frame) {
  const std::optional<Hello> hello = decode_hello(frame.body);
  if (!hello) return false;
  guest.hello = *hello;
  guest.hello_body = frame.body;
  if (!random_bytes(guest.nonce).ok()) return false;
  ByteWriter challenge;
  challenge.raw(guest.nonce);
  challenge.raw(rendezvous_proof(key_, Role::kListener, guest.nonce, guest.hello_body));
  send(guest, FrameType::kChallenge, challenge.take());
  return true;
}

bool Listener::seat(Guest& guest, const Frame& frame) {
  ByteReader reader(frame.body);
  const Mac proof = reader.array<Mac>();
  const auto brought = reader.bytes();
  if (!reader.ok() || !reader.at_end() || brought.size() > kMaxJoinBytes) return false;
  if (!equal_macs(proof, rendezvous_proof(key_, Role::kRank, guest.nonce, guest.hello_body))) {
    log_warn("rendezvous: dropped a connection that does not know the communicator's key");
    return false;
  }
  const Hello& hello = guest.hello;
  const std::string version = std::to_string(TUTTI_VERSION_CODE);
  if (hello.protocol != kProtocolVersion || hello.version != version) {
    refuse(guest, {Code::kInvalidUsage, "rank " + std::to_string(hello.rank) + " runs Tutti " + hello.version + ", the rendezvous runs " +
                                            version + ": install one version everywhere"});
    return true;
  }
  Meeting& meeting = meeting_of(hello);
  if (!meeting.failed.ok()) {
    refuse(guest, meeting.failed);
    return true;
  }
  if (hello.nranks != meeting.seats.size()) {
    fail(meeting, {Code::kInvalidUsage, "rank " + std::to_string(hello.rank) + " was told of " + std::to_string(hello.nranks) +
                                            " ranks, others of " + std::to_string(meeting.seats.size()) + ": give all the same nranks"});
    refuse(guest, meeting.failed);
    return true;
  }
  Seat& seat = meeting.seats[hello.rank];
  if (seat.guest != nullptr) {
    fail(meeting, {Code::kInvalidUsage, "two processes joined as rank " + std::to_string(hello.rank) +
                                            ": give each its own rank, and make a new id for every communicator"});
    refuse(guest, meeting.failed);
    return true;
  }
  seat = {&guest, Bytes(brought.begin(), brought.end())};
  guest.seated = true;
  if (++meeting.taken == meeting.seats.size()) finish(meeting);
  return true;
}

Listener::Meeting& Listener::meeting_of(const Hello& hello) {
  Meeting& meeting = meetings_[hello.meeting];
  if (!meeting.seats.empty()) return meeting;
  meeting.seats.resize(hello.nranks);
  if (hello.timeout_s > 0) {
    const auto bound = std::chrono::duration_cast<ControlLoop::Clock::duration>(std::chrono::duration<double>(hello.timeout_s));
    meeting.timer = loop_.at(ControlLoop::Clock::now() + bound, [this, &meeting, bound_s = hello.timeout_s] {
      std::string missing;
      for (size_t rank = 0; rank < meeting.seats.size(); ++rank) {
        if (meeting.seats[rank].guest == nullptr) missing += (missing.empty() ? "" : ", ") + std::to_string(rank);
      }
      if (missing.empty() || !meeting.failed.ok()) return;
      char seconds[32];
      std::snprintf(seconds, sizeof seconds, "%g", bound_s);
      fail(meeting, {Code::kTimeout, "of " + std::to_string(meeting.seats.size()) + " ranks, these never came within " + seconds +
                                         " s of the first: " + missing +
                                         ". Were they started, and with this id? (initTimeout, TUTTI_INIT_TIMEOUT)"});
    });
  }
  return meeting;
}

void Listener::finish(Meeting& meeting) {
  loop_.cancel(meeting.timer);
  ByteWriter table;
  for (const Seat& seat : meeting.seats) table.bytes(seat.brought);
  const Bytes body = table.take();
  // From the last to rank 0, who as a rule made the id: this very process may end as soon as its own rank knows.
  for (auto seat = meeting.seats.rbegin(); seat != meeting.seats.rend(); ++seat) {
    seat->guest->seated = false;  // may go now without harm
    seat->guest->leaving = true;
    send(*seat->guest, FrameType::kTable, body);
    seat->brought.clear();
  }
  meeting.failed = {Code::kInvalidUsage, "this unique id's communicator is complete: make a new id for another one"};
}

void Listener::fail(Meeting& meeting, Status status) {
  meeting.failed = std::move(status);
  for (auto seat = meeting.seats.rbegin(); seat != meeting.seats.rend(); ++seat) {  // as in finish()
    if (seat->guest == nullptr) continue;
    seat->guest->seated = false;
    refuse(*seat->guest, meeting.failed);
  }
}

void Listener::refuse(Guest& guest, const Status& status) {
  ByteWriter writer;
  writer.u32(static_cast<uint32_t>(status.code()));
  writer.text(status.message());
  guest.leaving = true;
  send(guest, FrameType::kRefuse, writer.take());
}

void Listener::send(Guest& guest, FrameType type, std::span<const std::byte> body) {
  const Bytes frame = encode_frame(type, body);
  guest.out.insert(guest.out.end(), frame.begin(), frame.end());
  flush(guest);
  // Also wakes on_event() for a guest that is to leave.
  if (!guest.out.empty() || guest.leaving) loop_.modify(guest.watch, EPOLLIN | EPOLLOUT);
}

void Listener::flush(Guest& guest) {
  while (!guest.out.empty()) {
    const ssize_t n = ::send(guest.fd.get(), guest.out.data(), guest.out.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) break;  // full: again on EPOLLOUT; broken: read_all() sees it
    guest.out.erase(guest.out.begin(), guest.out.begin() + n);
  }
  if (guest.out.empty() && !guest.leaving) loop_.modify(guest.watch, EPOLLIN);
}

void Listener::drop(Guest& guest) {
  if (guest.seated) {
    Meeting& meeting = meetings_[guest.hello.meeting];
    meeting.seats[guest.hello.rank].guest = nullptr;
    fail(meeting, {Code::kRemote, "rank " + std::to_string(guest.hello.rank) + " ended before all ranks had come"});
  }
  loop_.remove(guest.watch);
  guests_.remove_if([&](const Guest& each) { return &each == &guest; });
}

}  // namespace

Result<RendezvousId> open_rendezvous() {
  Result<ControlLoop*> loop = ControlLoop::instance();
  if (!loop.ok()) return loop.status();
  const Result<Config>& config = process_config();
  if (!config.ok()) return config.status();
  const Result<std::vector<Interface>> interfaces = usable_interfaces(config.value().socket_ifname);
  if (!interfaces.ok()) return interfaces.status();
  // The id holds the best address; the port is open on all addresses of its family, but for a host that has loopback only.
  const IpAddress best = interfaces.value().front().address;
  const IpAddress any = best.is_v4() ? IpAddress{.bytes = kAnyV4} : IpAddress{};
  sockaddr_storage address;
  socklen_t length = (best.is_loopback() ? best : any).to_sockaddr(0, address);
  Fd fd(socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return system_error("create a socket", errno);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0 || listen(fd.get(), SOMAXCONN) != 0 ||
      getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    return system_error("listen for the ranks at " + best.text(), errno);
  }
  RendezvousId id;
  id.port = ntohs(best.is_v4() ? reinterpret_cast<const sockaddr_in&>(address).sin_port
                               : reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
  id.address = best.bytes;
  if (Status status = random_bytes(id.key); !status.ok()) return status;
  // Never destroyed: it serves as long as the process lives, and its id may be used at any time.
  auto* const listener = new Listener(**loop, std::move(fd), id.key);
  if (Status status = listener->start(); !status.ok()) {
    delete listener;
    return status;
  }
  return id;
}

Result<RendezvousId> open_rendezvous_at(const RendezvousId& at) {
  Result<ControlLoop*> loop = ControlLoop::instance();
  if (!loop.ok()) return loop.status();
  in6_addr wanted;
  std::memcpy(&wanted, at.address.data(), sizeof wanted);
  const bool any = IN6_IS_ADDR_UNSPECIFIED(&wanted);
  sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(at.port), .sin6_addr = wanted};
  sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(at.port)};  // INADDR_ANY
  std::memcpy(&v4.sin_addr, at.address.data() + 12, 4);
  Fd fd;
  bool is_v6 = !IN6_IS_ADDR_V4MAPPED(&wanted);
  if (is_v6) fd.reset(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd && (any || !is_v6)) {  // also where IPv6 is switched off
    fd.reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    is_v6 = false;
  }
  if (!fd) return system_error("create a socket", errno);
  const int on = 1, off = 0;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);  // connections of an earlier job linger
  if (is_v6) setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  const int bound = is_v6 ? bind(fd.get(), reinterpret_cast<const sockaddr*>(&v6), sizeof v6)
                          : bind(fd.get(), reinterpret_cast<const sockaddr*>(&v4), sizeof v4);
  if (bound != 0 || listen(fd.get(), SOMAXCONN) != 0) {
    const int error = errno;
    const Status why = system_error("listen on port " + std::to_string(at.port), error);
    const bool theirs = error == EADDRINUSE || error == EACCES || error == EADDRNOTAVAIL;
    return theirs ? Status(Code::kInvalidUsage, why.message()) : why;
  }
  // As open_rendezvous()'s.
  auto* const listener = new Listener(**loop, std::move(fd), at.key);
  if (Status status = listener->start(); !status.ok()) {
    delete listener;
    return status;
  }
  RendezvousId id = at;
  if (any) {
    const in_addr_t loopback = htonl(INADDR_LOOPBACK);
    id.address[10] = id.address[11] = std::byte{0xff};  // ::ffff:127.0.0.1
    std::memcpy(id.address.data() + 12, &loopback, sizeof loopback);
  }
  return id;
}

}  // namespace tutti
