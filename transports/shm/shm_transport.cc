#include "transports/shm/shm_transport.h"

#include <chrono>
#include <cstring>
#include <list>
#include <thread>

#include "transports/shm/inbox.h"
#include "transports/shm/link.h"

namespace tutti {
namespace shm {
namespace {

constexpr int kGoodbyeWaitMs = 100;

class ShmTransport final : public Transport {
 public:
  ShmTransport(int rank, int nranks, const FifoShapes& shapes, const Key& key)
      : rank_(rank), nranks_(nranks), shapes_(shapes), key_(key), peers_(static_cast<size_t>(nranks)) {}
  ~ShmTransport() override { farewell(PeerState::kLeft); }

  Status open() {
    Result<std::shared_ptr<Inbox>> inbox = Inbox::create(rank_, nranks_, shapes_);
    if (!inbox.ok()) return inbox.status();
    inbox_ = std::move(*inbox);
    Result<std::unique_ptr<LinkServer>> server = LinkServer::listen(inbox_, key_, on_gone());
    if (!server.ok()) return server.status();
    server_ = std::move(*server);
    return {};
  }

  const char* name() const override { return "shm"; }
  uint32_t abilities() const override { return kAbilityMapped | kAbilityInline; }
  const FifoShapes& shapes() const override { return shapes_; }
  std::span<const std::byte> address() const override { return inbox_->id(); }

  Status introduce(std::vector<std::vector<std::byte>> addresses) override;
  Result<FifoSender*> sender(const FifoKey& key, double timeout_s) override;
  Result<FifoReceiver*> receiver(const FifoKey& key, double timeout_s) override;
  PeerState peer_state(int peer) const override;
  void farewell(PeerState state) override;

 private:
  // What is known of a peer. `state` is stored by the control thread (release) and read by a waiter (acquire), who then finds all that the
  // peer had sent.
  struct Peer {
    InboxId id{};
    bool in_process = false;
    std::shared_ptr<Inbox> inbox;      // of a rank in this process
    std::unique_ptr<LinkClient> link;  // to one in another
    std::atomic<PeerState> state{PeerState::kAlive};
  };

  OnGone on_gone() {
    return [this](int peer, PeerState how) {
      if (peer < 0 || peer >= nranks_) return;
      PeerState alive = PeerState::kAlive;  // what was known first stays
      peers_[static_cast<size_t>(peer)].state.compare_exchange_strong(alive, how, std::memory_order_release, std::memory_order_relaxed);
    };
  }
  Status meet(int peer, double timeout_s);
  Result<std::byte*> memory_at_peer(const FifoKey& key, double timeout_s);
  Result<std::byte*> map(int fd, size_t offset, Protocol protocol);
  void pair_up(const FifoKey& key);

  int rank_;
  int nranks_;
  FifoShapes shapes_;
  Key key_;
  std::shared_ptr<Inbox> inbox_;
  std::vector<Peer> peers_;
  std::mutex fifos_mutex_;  // of the three below, and of making links
  std::list<Mapping> mappings_;
  std::map<FifoKey, FifoSender> senders_;
  std::map<FifoKey, FifoReceiver> receivers_;
  std::mutex links_mutex_;                          // farewell() may come from any thread, and walks the links that meet() makes
  std::atomic<PeerState> said_{PeerState::kAlive};  // the farewell, once it was said; seq_cst, see meet()
  std::unique_ptr<LinkServer> server_;              // last: its handlers use peers_
};

Status ShmTransport::introduce(std::vector<std::vector<std::byte>> addresses) {
  for (size_t peer = 0; peer < peers_.size(); ++peer) {
    if (addresses[peer].size() != sizeof(InboxId)) {
      return {Code::kInternal, "rank " + std::to_string(peer) + " sent a malformed shared-memory address"};
    }
    std::memcpy(peers_[peer].id.data(), addresses[peer].data(), sizeof(InboxId));
    if (static_cast<int>(peer) == rank_) continue;
    peers_[peer].inbox = Inbox::find(peers_[peer].id);
    peers_[peer].in_process = peers_[peer].inbox != nullptr;
  }
  return {};
}

// Afterwards this rank hears when the peer goes; or it has gone, and there is no link. That is no failure here: what it sent lies in this
// rank's inbox, and an operation of which it needs nothing more is none of its. Who waits for it learns its state.
Status ShmTransport::meet(int peer_rank, double timeout_s) {
  Peer& peer = peers_[static_cast<size_t>(peer_rank)];
  if (peer.in_process || peer.link || peer_state(peer_rank) != PeerState::kAlive) return {};
  Result<std::unique_ptr<LinkClient>> link = LinkClient::connect(peer.id, key_, rank_, peer_rank, timeout_s, on_gone());
  if (!link.ok()) {
    if (link.status().code() != Code::kRemote) return link.status();
    // Nobody listens there any more. Its goodbye may still be on its way to the control thread; without one, it has died.
    for (int waited_ms = 0; waited_ms < kGoodbyeWaitMs && peer_state(peer_rank) == PeerState::kAlive; ++waited_ms) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    on_gone()(peer_rank, PeerState::kDied);
    return {};
  }
  std::lock_guard lock(links_mutex_);
  peer.link = std::move(*link);
  // farewell() stores said_ before it takes the lock and walks the links: it finds this one, or is found here.
  if (const PeerState said = said_.load(); said != PeerState::kAlive) {
    peer.link->farewell(said);
    return {Code::kAborted, "this rank has left the communicator, and connects to nobody any more"};
  }
  return {};
}

Result<std::byte*> ShmTransport::map(int fd, size_t offset, Protocol protocol) {
  Result<Mapping> mapping = Mapping::map(fd, offset, fifo_length(shapes_, protocol));
  if (!mapping.ok()) return mapping.status();
  mappings_.push_back(std::move(*mapping));
  return mappings_.back().data();
}

Result<std::byte*> ShmTransport::memory_at_peer(const FifoKey& key, double timeout_s) {
  if (Status status = meet(key.peer, timeout_s); !status.ok()) return status;
  Peer& peer = peers_[static_cast<size_t>(key.peer)];
  const FifoKey mine{.peer = rank_, .channel = key.channel, .protocol = key.protocol};
  if (peer.in_process) return peer.inbox->prepare(mine);
  if (peer.link) {
    const Result<Fd> inbox = peer.link->request_fifo(mine, timeout_s);
    if (inbox.ok()) return map(inbox.value().get(), fifo_offset(shapes_, key.peer, mine), key.protocol);
    if (inbox.status().code() != Code::kRemote) return inbox.status();
  }
  // It has gone, and the link tells how: memory that nobody reads.
  const Result<Fd> nowhere = create_segment(fifo_length(shapes_, key.protocol));
  return nowhere.ok() ? map(nowhere.value().get(), 0, key.protocol) : nowhere.status();
}

void ShmTransport::pair_up(const FifoKey& key) {
  const auto sender = senders_.find(key);
  const auto receiver = receivers_.find(key);
  if (sender != senders_.end() && receiver != receivers_.end()) pair_opposite(sender->second, receiver->second);
}

Result<FifoSender*> ShmTransport::sender(const FifoKey& key, double timeout_s) {
  std::lock_guard lock(fifos_mutex_);
  if (const auto found = senders_.find(key); found != senders_.end()) return &found->second;
  const Result<std::byte*> memory = memory_at_peer(key, timeout_s);
  if (!memory.ok()) return memory.status();
  FifoSender& made = senders_.emplace(key, FifoSender(memory.value(), shapes_.of(key.protocol))).first->second;
  pair_up(key);
  return &made;
}

Result<FifoReceiver*> ShmTransport::receiver(const FifoKey& key, double timeout_s) {
  std::lock_guard lock(fifos_mutex_);
  if (const auto found = receivers_.find(key); found != receivers_.end()) return &found->second;
  if (Status status = meet(key.peer, timeout_s); !status.ok()) {
    // A peer that had the FIFO prepared may have sent all that it had to, and left: that is still to be received.
    if (status.code() != Code::kRemote || !inbox_->prepared(key)) return status;
  }
  const Result<std::byte*> memory = inbox_->prepare(key);
  if (!memory.ok()) return memory.status();
  FifoReceiver& made = receivers_.emplace(key, FifoReceiver(memory.value(), shapes_.of(key.protocol))).first->second;
  pair_up(key);
  return &made;
}

PeerState ShmTransport::peer_state(int peer_rank) const {
  const Peer& peer = peers_[static_cast<size_t>(peer_rank)];
  if (peer.in_process) return peer.inbox->owner.load(std::memory_order_acquire);
  return peer.state.load(std::memory_order_acquire);
}

void ShmTransport::farewell(PeerState state) {
  PeerState nothing = PeerState::kAlive;
  if (!said_.compare_exchange_strong(nothing, state)) return;
  if (inbox_) inbox_->owner.store(state, std::memory_order_release);
  if (server_) server_->farewell(state);
  std::lock_guard lock(links_mutex_);
  for (Peer& peer : peers_) {
    if (peer.link) peer.link->farewell(state);
  }
}

}  // namespace
}  // namespace shm

Result<std::unique_ptr<Transport>> make_shm_transport(int rank, int nranks, const FifoShapes& shapes, const Key& key) {
  auto transport = std::make_unique<shm::ShmTransport>(rank, nranks, shapes, key);
  if (Status status = transport->open(); !status.ok()) return status;
  return std::unique_ptr<Transport>(std::move(transport));
}

}  // namespace tutti
