// The listener's end of the rendezvous. Everything here runs on the control thread but open_rendezvous(). See rendezvous.h.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>

#include "base/config.h"
#include "base/interfaces.h"
#include "base/log.h"
#include "comm/reception.h"
#include "comm/rendezvous.h"

namespace tutti {
namespace {

constexpr std::array<std::byte, 16> kAnyV4 = {{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, std::byte{0xff}, std::byte{0xff}}};
// A meeting that is over is remembered so long, to tell who comes late why.
constexpr auto kRememberOver = std::chrono::minutes(10);
constexpr size_t kMaxRememberedOver = 1024;
constexpr size_t kMaxLineBytes = 16384;  // a refusal: what a rank that has its place may say
// The listener of one communicator closes so long after its meeting: whoever comes late to one that failed shall hear why.
constexpr auto kCloseAfterFailure = std::chrono::seconds(60), kCloseAfter = std::chrono::seconds(2);

// All ranks' connections are open until each has its place. Errors: kSystem.
Status check_room_for(uint32_t nranks) {
  constexpr rlim_t kOthers = 32;  // of the process
  rlimit descriptors = {};
  if (getrlimit(RLIMIT_NOFILE, &descriptors) != 0 || descriptors.rlim_cur >= nranks + kOthers) return {};
  return {Code::kSystem, "the process that made the unique id may open " + std::to_string(descriptors.rlim_cur) + " descriptors, and " +
                             std::to_string(nranks) + " ranks meet there: raise `ulimit -n` to at least " +
                             std::to_string(nranks + kOthers)};
}

class Listener {
 public:
  Listener(ControlLoop& loop, Fd fd, const Key& key)
      : loop_(loop),
        reception_(
            loop, std::move(fd), key, Role::kListener, Role::kRank, "rendezvous",
            [this](Reception::Guest guest) { seat(std::move(guest)); },
            [this](const Hello& hello, const Status& status) { incompatible(hello, status); }) {}

  Status start() { return reception_.start(); }

 private:
  struct Seat {
    std::shared_ptr<Connection> connection;  // nullptr: has not come
    Arrival arrival;
    std::string name;
  };

  // The ranks of one communicator to be.
  struct Meeting {
    std::vector<Seat> seats;
    size_t taken = 0;
    uint64_t timer = 0;
    bool seated = false;  // all have their places; `taken` are not done yet
    Status over;          // what everybody who comes later is told
  };

  void seat(Reception::Guest guest);
  void incompatible(const Hello& hello, const Status& status);
  Meeting* open_meeting(const Hello& hello, Connection& guest);
  bool hear(uint32_t number, Meeting& meeting, uint32_t rank, const Frame& frame);
  void give_places(Meeting& meeting);
  void fail(uint32_t number, Meeting& meeting, const Status& status);
  void end(uint32_t number, Meeting& meeting, Status over, std::chrono::seconds close_after = kCloseAfterFailure);
  static Status complete() { return {Code::kInvalidUsage, "this unique id's communicator is complete: make a new id for another one"}; }

  ControlLoop& loop_;
  std::map<uint32_t, Meeting> meetings_;
  std::multimap<ControlLoop::Clock::time_point, uint32_t> over_;  // to be forgotten, and when
  bool closing_ = false;                                          // a timer will look whether this is needed any more
  Reception reception_;
};

void Listener::seat(Reception::Guest guest) {
  const Hello& hello = guest.hello;
  const std::optional<Arrival> arrival = decode_arrival(guest.brought);
  if (!arrival || hello.to != kToRendezvous) return guest.connection->close();
  Meeting* const meeting = open_meeting(hello, *guest.connection);
  if (meeting == nullptr) return;
  const std::string who = name_of(hello);
  const auto refuse_all = [&](Status status) {
    fail(hello.meeting, *meeting, status);
    refuse(*guest.connection, status);
  };
  if (hello.nranks != meeting->seats.size()) {
    return refuse_all({Code::kInvalidUsage, who + " was told of " + std::to_string(hello.nranks) + " ranks, others of " +
                                                std::to_string(meeting->seats.size()) + ": give all the same nranks"});
  }
  if (meeting->seated) return refuse(*guest.connection, complete());
  Seat& seat = meeting->seats[hello.rank];
  if (seat.connection) {
    return refuse_all({Code::kInvalidUsage, "two processes joined as rank " + std::to_string(hello.rank) + ", " + seat.name + " and " +
                                                who + ": give each its own rank, and make a new id for every communicator"});
  }
  seat = {guest.connection, *arrival, who};
  guest.connection->hand_over(
      kMaxLineBytes,
      [this, meeting, number = hello.meeting, rank = hello.rank](Frame& frame) { return hear(number, *meeting, rank, frame); },
      [this, meeting, number = hello.meeting, who](const Status&) {
        fail(number, *meeting, {Code::kRemote, who + " ended before all ranks had come"});
      });
  if (++meeting->taken == meeting->seats.size()) give_places(*meeting);
}

// What a rank that has its place says. False: its connection is closed.
bool Listener::hear(uint32_t number, Meeting& meeting, uint32_t rank, const Frame& frame) {
  Seat& seat = meeting.seats[rank];
  if (meeting.seated && frame.type == FrameType::kDone) {
    seat.connection.reset();
    if (--meeting.taken == 0) end(number, meeting, complete(), kCloseAfter);
    return false;
  }
  const std::string name = seat.name;
  seat.connection.reset();
  const bool says_why = frame.type == FrameType::kRefuse;
  fail(number, meeting, says_why ? decode_refusal(frame.body, name) : Status(Code::kRemote, name + " broke the control protocol"));
  return false;
}

void Listener::incompatible(const Hello& hello, const Status& status) {
  log_warn("rendezvous: " + status.message());
  // Another protocol's hello does not say which meeting: then it is the one, if there is one.
  for (auto& [number, meeting] : meetings_) {
    const bool meant = hello.build.protocol == kProtocolVersion ? number == hello.meeting : meetings_.size() == 1;
    if (meant && meeting.over.ok()) return fail(number, meeting, status);
  }
  // The first to come: the others hear of it when they do.
  if (hello.build.protocol == kProtocolVersion && !meetings_.contains(hello.meeting)) end(hello.meeting, meetings_[hello.meeting], status);
}

// nullptr: it is over, and the guest has been told so.
Listener::Meeting* Listener::open_meeting(const Hello& hello, Connection& guest) {
  while (!over_.empty() && (over_.begin()->first < ControlLoop::Clock::now() || over_.size() > kMaxRememberedOver)) {
    meetings_.erase(over_.begin()->second);
    over_.erase(over_.begin());
  }
  Meeting& meeting = meetings_[hello.meeting];
  if (!meeting.over.ok()) {
    refuse(guest, meeting.over);
    return nullptr;
  }
  if (!meeting.seats.empty()) return &meeting;
  if (Status room = check_room_for(hello.nranks); !room.ok()) {
    refuse(guest, room);
    end(hello.meeting, meeting, room);
    return nullptr;
  }
  meeting.seats.resize(hello.nranks);
  if (hello.timeout_s > 0) {
    const auto bound = std::chrono::duration_cast<ControlLoop::Clock::duration>(std::chrono::duration<double>(hello.timeout_s));
    meeting.timer = loop_.at(ControlLoop::Clock::now() + bound, [this, &meeting, number = hello.meeting, bound_s = hello.timeout_s] {
      std::string missing;
      for (size_t rank = 0; rank < meeting.seats.size(); ++rank) {
        if (!meeting.seats[rank].connection) missing += (missing.empty() ? "" : ", ") + std::to_string(rank);
      }
      char seconds[32];
      std::snprintf(seconds, sizeof seconds, "%g", bound_s);
      fail(
          number, meeting,
          {Code::kTimeout, "of " + std::to_string(meeting.seats.size()) + " ranks, these never came within " + seconds +
                               " s of the first: " + missing + ". Were they started, and with this id? (initTimeout, TUTTI_INIT_TIMEOUT)"});
    });
  }
  return &meeting;
}

void Listener::give_places(Meeting& meeting) {
  loop_.cancel(std::exchange(meeting.timer, 0));
  meeting.seated = true;
  // Ranks of one node side by side, nodes in the order of their lowest ranks, so that rank 0 comes first.
  std::map<uint64_t, size_t> first_of_node;
  std::vector<size_t> order(meeting.seats.size());
  for (size_t rank = 0; rank < order.size(); ++rank) {
    order[rank] = rank;
    first_of_node.emplace(meeting.seats[rank].arrival.node, rank);
  }
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return first_of_node[meeting.seats[a].arrival.node] < first_of_node[meeting.seats[b].arrival.node];
  });
  // From the last to rank 0, who as a rule made the id: this very process may end as soon as its own rank knows.
  for (size_t position = order.size(); position-- > 0;) {
    const bool first = first_of_node[meeting.seats[order[position]].arrival.node] == order[position];
    Place place{.position = static_cast<uint32_t>(position), .first_of_node = first};
    if (position != 0) {
      const size_t parent = order[(position - 1) / kTreeArity];
      place.parent = static_cast<int>(parent);
      place.parent_control = meeting.seats[parent].arrival.control;
      place.parent_name = meeting.seats[parent].name;
    }
    const size_t first_child = position * kTreeArity + 1;
    for (size_t child = first_child; child < std::min(first_child + kTreeArity, order.size()); ++child) {
      place.children.push_back(static_cast<int>(order[child]));
      place.child_names.push_back(meeting.seats[order[child]].name);
    }
    meeting.seats[order[position]].connection->send(FrameType::kPlace, encode_place(place));
  }
}

// The first failure stays: ranks that are told of it end, and are not its cause.
void Listener::fail(uint32_t number, Meeting& meeting, const Status& status) {
  if (!meeting.over.ok()) return;
  for (auto seat = meeting.seats.rbegin(); seat != meeting.seats.rend(); ++seat) {  // as in give_places()
    if (seat->connection) refuse(*seat->connection, status);
  }
  end(number, meeting, status);
}

void Listener::end(uint32_t number, Meeting& meeting, Status over, std::chrono::seconds close_after) {
  loop_.cancel(std::exchange(meeting.timer, 0));
  meeting.seats.clear();
  meeting.seats.shrink_to_fit();
  meeting.over = std::move(over);
  over_.emplace(ControlLoop::Clock::now() + kRememberOver, number);
  if (number != 0 || closing_) return;
  closing_ = true;
  loop_.at(ControlLoop::Clock::now() + close_after, [this] {
    if (meetings_.size() == 1) delete this;
  });
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
  // Its own, from here on: it ends by itself (end()), or with the process.
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
