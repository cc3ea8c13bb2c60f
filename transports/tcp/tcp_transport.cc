#include "transports/tcp/tcp_transport.h"

#include <sys/epoll.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <thread>

#include "base/log.h"
#include "transports/tcp/connection.h"
#include "transports/tcp/dial.h"
#include "transports/tcp/listener.h"

namespace tutti {
namespace tcp {
namespace {

using Clock = std::chrono::steady_clock;

// Between looks for a connection that the peer makes, and between calls to one that hangs up.
constexpr std::chrono::microseconds kLongestPause(2000), kLongestPauseHungUp(100'000);
constexpr double kUnbounded_s = 3600;  // of making a connection, where the caller gives no bound
// Up to so many connections are read one by one, a system call each; more are asked for by epoll first.
constexpr size_t kReadOneByOne = 4;
constexpr int kMostEvents = 64;
constexpr auto kWindUpBound = std::chrono::seconds(5);
constexpr auto kWindUpBoundAborted = std::chrono::milliseconds(200);
constexpr int kMostDrains = 10'000;

// How a transport of this process fares, for peers in the same process that never had a connection to it: ranks as threads.
using Presence = std::atomic<PeerState>;  // release by farewell(), acquire by who finds nobody listening

class Presences {
 public:
  // shared_ptr: the owner and its peers use it, whoever ends last.
  static std::shared_ptr<Presence> enter(const ListenerId& id) {
    auto presence = std::make_shared<Presence>(PeerState::kAlive);
    std::lock_guard lock(mutex());
    std::erase_if(all(), [](const auto& each) { return each.second.expired(); });
    all()[id] = presence;
    return presence;
  }
  // nullptr: not of this process.
  static std::shared_ptr<Presence> find(const ListenerId& id) {
    std::lock_guard lock(mutex());
    const auto found = all().find(id);
    return found == all().end() ? nullptr : found->second.lock();
  }

 private:
  static std::mutex& mutex() {
    static std::mutex instance;
    return instance;
  }
  static std::map<ListenerId, std::weak_ptr<Presence>>& all() {
    static std::map<ListenerId, std::weak_ptr<Presence>> instance;
    return instance;
  }
};

class TcpTransport final : public Transport {
 public:
  TcpTransport(int rank, int nranks, const FifoShapes& shapes, const TcpOptions& options, const Key& key,
               std::shared_ptr<MemoryBudget> budget)
      : rank_(rank),
        nranks_(nranks),
        shapes_(shapes),
        options_(options),
        key_(key),
        budget_(std::move(budget)),
        peers_(static_cast<size_t>(nranks)),
        most_connections_(2 * static_cast<size_t>(nranks) * kMaxSockets),
        connections_(std::make_unique<std::unique_ptr<Connection>[]>(most_connections_)) {}
  ~TcpTransport() override;

  Status open();

  const char* name() const override { return "tcp"; }
  uint32_t abilities() const override { return kAbilityInline; }
  const FifoShapes& shapes() const override { return shapes_; }
  std::span<const std::byte> address() const override { return encoded_address_; }

  Status introduce(std::vector<std::vector<std::byte>> addresses) override;
  Result<FifoSender*> sender(const FifoKey& key, double timeout_s) override;
  Result<FifoReceiver*> receiver(const FifoKey& key, double timeout_s) override;
  bool progress() override;
  void settle() override;
  PeerState peer_state(int peer) const override { return peers_[static_cast<size_t>(peer)].state.load(std::memory_order_acquire); }
  void farewell(PeerState state) override;

 private:
  struct Peer {
    Address address;
    std::shared_ptr<Presence> presence;  // of a rank in this process
    // Release once it is known, acquire by a waiter, who then finds all that the peer had sent.
    std::atomic<PeerState> state{PeerState::kAlive};
    // Guarded by mutex_.
    std::unique_ptr<FifoTable> fifos;
    Connection* by_index[kMaxSockets] = {};
    bool dialling[kMaxSockets] = {};
    int welcomed[kMaxSockets] = {};  // guests that have not gone ahead yet
    std::vector<Connection*> connections;
  };

  Peer& peer_of(int rank) { return peers_[static_cast<size_t>(rank)]; }
  int index_of(const FifoKey& key) const { return key.channel % options_.sockets; }
  FifoTable& fifos_of(Peer& peer);
  void publish(Peer& peer, PeerState how);

  Verdict admit(int rank, int index);
  void adopt(Fd fd, int rank, int index);
  void abandon(int rank, int index);
  void have_epoll_watch(Connection& connection);

  Result<Connection*> meet(int rank, int index, double timeout_s);
  std::optional<Result<Connection*>> look_around(Peer& peer, int index, bool& mine);
  Result<DialResult> dial_peer(int rank, int index, Clock::time_point deadline);

  bool receive(Connection& connection, Connection::Locking locking = Connection::Locking::kTry);
  void learn(Connection& connection);
  void lay_out_dead(Peer& peer, const Connection& connection);
  Clock::duration time_to_next_look() const {
    return std::chrono::duration_cast<Clock::duration>(
        std::chrono::duration<double>(std::min(options_.heartbeat_s, 1e6) / HostWatch::kLooks));
  }
  void begin_looking_for_lost_hosts(ControlLoop& loop);
  void look_for_lost_hosts();
  void stop_looking();
  template <class Act>
  void for_each_connection(const Act& act);
  void wind_up(PeerState said);

  int rank_;
  int nranks_;
  FifoShapes shapes_;
  TcpOptions options_;
  Key key_;
  std::shared_ptr<MemoryBudget> budget_;
  Address address_;
  std::vector<std::byte> encoded_address_;
  std::shared_ptr<Presence> presence_;
  std::vector<Peer> peers_;
  Fd epoll_;
  std::atomic<int> unsent_{0};  // connections with something queued. Relaxed: a hint; progress() comes by again
  std::mutex mutex_;            // peers' connections; no connection's mutex is taken under it
  size_t most_connections_;
  std::unique_ptr<std::unique_ptr<Connection>[]> connections_;  // the first count_; they stay till the end
  std::atomic<size_t> count_{0};                                // release under mutex_, acquire by those who walk them
  std::atomic<PeerState> said_{PeerState::kAlive};              // the farewell, once it was said; seq_cst, see adopt()
  ControlLoop* looks_on_ = nullptr;                             // guarded by mutex_: where hosts are looked for, once there is a connection
  uint64_t next_look_ = 0;                                      // guarded by mutex_: its timer
  bool looks_no_more_ = false;                                  // guarded by mutex_
  std::unique_ptr<Listener> listener_;                          // last: its handlers use all of it
};

template <class Act>
void TcpTransport::for_each_connection(const Act& act) {
  const size_t count = count_.load(std::memory_order_acquire);
  for (size_t i = 0; i < count; ++i) act(*connections_[i]);
}

Status TcpTransport::open() {
  const Result<std::vector<Interface>> interfaces = usable_interfaces(options_.interfaces);
  if (!interfaces.ok()) return interfaces.status();
  std::vector<IpAddress> addresses;
  for (const Interface& each : interfaces.value()) {
    if (addresses.size() == Address::kMaxEntries) break;
    addresses.push_back(each.address);
    address_.entries.push_back({.ip = each.address, .prefix_bits = static_cast<uint8_t>(each.prefix_bits)});
  }
  epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_) return system_error("create an epoll descriptor", errno);
  Listener::Host host = {.admit = [this](int rank, int index) { return admit(rank, index); },
                         .adopt =
                             [this](Fd fd, int rank, int index) {
                               adopt(std::move(fd), rank, index);
                               abandon(rank, index);
                             },
                         .abandon = [this](int rank, int index) { abandon(rank, index); }};
  const Listener::Self self = {.rank = rank_, .nranks = nranks_, .key = key_, .buffer_bytes = options_.buffer_bytes};
  Result<std::unique_ptr<Listener>> listener = Listener::open(self, std::move(addresses), std::move(host));
  if (!listener.ok()) return listener.status();
  listener_ = std::move(*listener);
  address_.port = listener_->port();
  address_.id = listener_->id();
  encoded_address_ = address_.encode();
  presence_ = Presences::enter(address_.id);
  return {};
}

// What has been posted reaches the peers' kernels, within bounds, before the sockets are closed.
TcpTransport::~TcpTransport() {
  farewell(PeerState::kLeft);
  if (!listener_) return;
  const PeerState said = said_.load();
  listener_->close(said);
  stop_looking();
  wind_up(said);
}

void TcpTransport::wind_up(PeerState said) {
  const auto deadline = Clock::now() + (said == PeerState::kAborted ? Clock::duration(kWindUpBoundAborted) : Clock::duration(kWindUpBound));
  auto pause = std::chrono::microseconds(20);
  for (;;) {
    bool done = true;
    for_each_connection([&](Connection& connection) { done &= connection.wind_up(); });
    if (done || Clock::now() > deadline) return;
    std::this_thread::sleep_for(pause);
    pause = std::min(2 * pause, std::chrono::microseconds(2000));
  }
}

Status TcpTransport::introduce(std::vector<std::vector<std::byte>> addresses) {
  for (int rank = 0; rank < nranks_; ++rank) {
    if (rank == rank_) continue;
    const auto& bytes = addresses[static_cast<size_t>(rank)];
    if (bytes.empty()) continue;  // reached otherwise
    std::optional<Address> address = Address::decode(bytes);
    if (!address) return {Code::kInternal, "rank " + std::to_string(rank) + " sent a malformed TCP address"};
    peer_of(rank).presence = Presences::find(address->id);
    peer_of(rank).address = std::move(*address);
  }
  return {};
}

FifoTable& TcpTransport::fifos_of(Peer& peer) {
  std::lock_guard lock(mutex_);
  if (!peer.fifos) peer.fifos = std::make_unique<FifoTable>(shapes_, budget_);
  return *peer.fifos;
}

// What was known first stays.
void TcpTransport::publish(Peer& peer, PeerState how) {
  PeerState alive = PeerState::kAlive;
  peer.state.compare_exchange_strong(alive, how, std::memory_order_release, std::memory_order_relaxed);
}

// --- Connections are made. Of two ranks that call each other at once, the lower one's call is the one that stays: its listener says kWait,
// and the higher one waits for it to come. So a pair has one connection a number.

Verdict TcpTransport::admit(int rank, int index) {
  Peer& peer = peer_of(rank);
  std::lock_guard lock(mutex_);
  if (peer.by_index[index] != nullptr || (peer.dialling[index] && rank_ < rank)) return Verdict::kWait;
  ++peer.welcomed[index];
  return Verdict::kWelcome;
}

void TcpTransport::abandon(int rank, int index) {
  std::lock_guard lock(mutex_);
  --peer_of(rank).welcomed[index];
}

// Takes a connection over, whoever dialled.
void TcpTransport::adopt(Fd fd, int rank, int index) {
  Peer& peer = peer_of(rank);
  FifoTable& fifos = fifos_of(peer);
  const Result<ControlLoop*> loop = ControlLoop::instance();
  Connection* made = nullptr;
  {
    std::lock_guard lock(mutex_);
    const size_t count = count_.load(std::memory_order_relaxed);
    if (count < most_connections_ && loop.ok()) {
      connections_[count] = std::make_unique<Connection>(*loop.value(), std::move(fd), rank, fifos, unsent_);
      made = connections_[count].get();
      peer.connections.push_back(made);
      if (peer.by_index[index] == nullptr) peer.by_index[index] = made;
      // Where they are few nobody asks epoll, and each arrival would pay for telling it.
      if (count == kReadOneByOne) {
        for (size_t i = 0; i < count; ++i) have_epoll_watch(*connections_[i]);
      }
      if (count >= kReadOneByOne) have_epoll_watch(*made);
      count_.store(count + 1, std::memory_order_release);
    }
  }
  if (made == nullptr) return;
  made->watch_host(options_.heartbeat_s);
  begin_looking_for_lost_hosts(*loop.value());
  // farewell() stores said_ before it walks the connections: it finds this one, or is found here.
  if (const PeerState said = said_.load(); said != PeerState::kAlive) made->say_farewell(said);
}

// Under mutex_, as unwatching: an ended connection would stay ready for ever.
void TcpTransport::have_epoll_watch(Connection& connection) {
  if (connection.ended()) return;
  epoll_event event = {.events = EPOLLIN, .data = {.ptr = &connection}};
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, connection.fd(), &event);
}

// What there is to say without dialling; else `mine` says whether it is this thread's to dial now.
std::optional<Result<Connection*>> TcpTransport::look_around(Peer& peer, int index, bool& mine) {
  std::lock_guard lock(mutex_);
  mine = false;
  if (peer.by_index[index] != nullptr) return peer.by_index[index];
  if (peer.state.load(std::memory_order_acquire) != PeerState::kAlive) return nullptr;
  if (said_.load() != PeerState::kAlive) {
    return Result<Connection*>(Status(Code::kAborted, "the communicator was aborted or finalized: this rank connects to nobody any more"));
  }
  mine = !peer.dialling[index] && peer.welcomed[index] == 0;
  if (mine) peer.dialling[index] = true;
  return std::nullopt;
}

Result<DialResult> TcpTransport::dial_peer(int rank, int index, Clock::time_point deadline) {
  const Peer& peer = peer_of(rank);
  Hello hello = {.index = static_cast<uint16_t>(index),
                 .rank = static_cast<uint32_t>(rank_),
                 .nranks = static_cast<uint32_t>(nranks_),
                 .to_rank = static_cast<uint32_t>(rank),
                 .listener = peer.address.id};
  if (Status status = random_bytes(hello.nonce); !status.ok()) return status;
  return dial(candidates(address_, peer.address, index), peer.address.port, hello, key_, options_.buffer_bytes, deadline,
              "rank " + std::to_string(rank), [this] { return interrupted(); });
}

// nullptr: the peer has gone. That is no failure here: an operation may need nothing more of it, and who waits for it learns its state.
Result<Connection*> TcpTransport::meet(int rank, int index, double timeout_s) {
  Peer& peer = peer_of(rank);
  const auto deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                           std::chrono::duration<double>(timeout_s > 0 ? std::min(timeout_s, 1e9) : kUnbounded_s));
  auto pause = std::chrono::microseconds(50);
  auto longest_pause = kLongestPause;
  for (;;) {
    bool mine = false;
    if (auto found = look_around(peer, index, mine)) return *found;
    if (mine) {
      Result<DialResult> dialled = dial_peer(rank, index, deadline);
      const bool connected = dialled.ok() && dialled->outcome == DialResult::Outcome::kConnected;
      if (connected) adopt(std::move(dialled->fd), rank, index);
      {
        std::lock_guard lock(mutex_);
        peer.dialling[index] = false;
      }
      if (!dialled.ok()) return dialled.status();
      if (connected) continue;
      // A goodbye that it said is on another connection, and read first.
      if (dialled->outcome == DialResult::Outcome::kNobody) {
        progress();
        const PeerState said = peer.presence ? peer.presence->load(std::memory_order_acquire) : PeerState::kAlive;
        publish(peer, said != PeerState::kAlive ? said : PeerState::kAbsent);
        return nullptr;
      }
      if (dialled->outcome == DialResult::Outcome::kHungUp) longest_pause = kLongestPauseHungUp;
    }
    if (interrupted()) return Status(Code::kAborted, "connecting to rank " + std::to_string(rank) + " was interrupted");
    if (Clock::now() > deadline) {
      return Status(Code::kTimeout, "rank " + std::to_string(rank) + " (" + peer.address.text() + ") made no TCP connection within " +
                                        std::to_string(timeout_s) + " s: its process is stopped or starved");
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(2 * pause, longest_pause);
  }
}

Result<FifoSender*> TcpTransport::sender(const FifoKey& key, double timeout_s) {
  FifoTable& fifos = fifos_of(peer_of(key.peer));
  if (OutFifo* const found = fifos.out(key)) return &found->end;
  const Result<Connection*> connection = meet(key.peer, index_of(key), timeout_s);
  if (!connection.ok()) return connection.status();
  const Result<OutFifo*> made = fifos.make_out(key, connection.value());
  if (!made.ok()) return made.status();
  return &made.value()->end;
}

Result<FifoReceiver*> TcpTransport::receiver(const FifoKey& key, double timeout_s) {
  FifoTable& fifos = fifos_of(peer_of(key.peer));
  // Messages may have come already; and a peer that sends must be known to be there all the same.
  const Result<Connection*> connection = meet(key.peer, index_of(key), timeout_s);
  if (!connection.ok() && fifos.in(key) == nullptr) return connection.status();
  const Result<InFifo*> made = fifos.make_in(key);
  if (!made.ok()) return made.status();
  return &made.value()->end;
}

// --- Data

bool TcpTransport::progress() {
  bool moved = false;
  if (unsent_.load(std::memory_order_relaxed) != 0) {
    for_each_connection([&](Connection& connection) { moved |= connection.flush(); });
  }
  if (count_.load(std::memory_order_acquire) <= kReadOneByOne) {
    for_each_connection([&](Connection& connection) { moved |= receive(connection); });
    return moved;
  }
  epoll_event events[kMostEvents];
  const int ready = epoll_wait(epoll_.get(), events, kMostEvents, 0);
  for (int i = 0; i < ready; ++i) moved |= receive(*static_cast<Connection*>(events[i].data.ptr));
  return moved;
}

bool TcpTransport::receive(Connection& connection, Connection::Locking locking) {
  if (connection.ended()) return false;
  const Connection::Received received = connection.receive(locking);
  if (received.news) learn(connection);
  return received.moved;
}

void TcpTransport::settle() {
  if (unsent_.load(std::memory_order_relaxed) == 0) return;
  for_each_connection([](Connection& connection) { connection.settle(); });
}

// --- Liveness

// A peer has gone once it has said so, or ended, on every connection; so that all that it had sent is in its slots.
void TcpTransport::learn(Connection& connection) {
  Peer& peer = peer_of(connection.peer);
  if (connection.ended()) {
    std::lock_guard lock(mutex_);
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, connection.fd(), nullptr);
  }
  if (connection.ended() && connection.heard() == PeerState::kAlive) return lay_out_dead(peer, connection);
  std::lock_guard lock(mutex_);
  const auto quiet = [](const Connection* each) { return each->heard() != PeerState::kAlive || each->ended(); };
  if (std::all_of(peer.connections.begin(), peer.connections.end(), quiet)) publish(peer, connection.heard());
}

// One connection ended without a goodbye. What its other connections had brought is read; a goodbye there counts.
void TcpTransport::lay_out_dead(Peer& peer, const Connection& connection) {
  std::vector<Connection*> others;
  {
    std::lock_guard lock(mutex_);
    others = peer.connections;
  }
  PeerState how = PeerState::kDied;
  for (Connection* other : others) {
    if (other == &connection) continue;
    for (int drains = 0; drains < kMostDrains && other->receive(Connection::Locking::kWait).moved; ++drains) {
    }
    if (other->heard() != PeerState::kAlive) how = other->heard();
  }
  publish(peer, how);
}

// On the control thread, as long as there are connections.
void TcpTransport::begin_looking_for_lost_hosts(ControlLoop& loop) {
  std::lock_guard lock(mutex_);
  if (options_.heartbeat_s <= 0 || looks_no_more_ || looks_on_ != nullptr) return;
  looks_on_ = &loop;
  next_look_ = loop.at(Clock::now() + time_to_next_look(), [this] { look_for_lost_hosts(); });
}

void TcpTransport::look_for_lost_hosts() {
  for_each_connection([&](Connection& connection) {
    if (connection.end_if_host_is_lost()) learn(connection);
  });
  std::lock_guard lock(mutex_);
  if (!looks_no_more_) next_look_ = looks_on_->at(Clock::now() + time_to_next_look(), [this] { look_for_lost_hosts(); });
}

void TcpTransport::stop_looking() {
  uint64_t look = 0;
  {
    std::lock_guard lock(mutex_);
    looks_no_more_ = true;
    look = next_look_;
  }
  if (look != 0) looks_on_->cancel(look);
}

void TcpTransport::farewell(PeerState state) {
  PeerState nothing = PeerState::kAlive;
  if (!said_.compare_exchange_strong(nothing, state)) return;
  if (presence_) presence_->store(state, std::memory_order_release);
  for_each_connection([&](Connection& connection) { connection.say_farewell(state); });
}

}  // namespace
}  // namespace tcp

Result<std::unique_ptr<Transport>> make_tcp_transport(int rank, int nranks, const FifoShapes& shapes, const TcpOptions& options,
                                                      const Key& key, std::shared_ptr<MemoryBudget> budget) {
  auto transport = std::make_unique<tcp::TcpTransport>(rank, nranks, shapes, options, key, std::move(budget));
  if (Status status = transport->open(); !status.ok()) return status;
  return std::unique_ptr<Transport>(std::move(transport));
}

}  // namespace tutti
