#include "transports/shm/shm_transport.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <list>
#include <numeric>
#include <thread>

#include "transports/shm/inbox.h"
#include "transports/shm/links.h"

namespace tutti {
namespace shm {
namespace {

constexpr int kGoodbyeWaitMs = 100;
constexpr uint32_t kFirstContext = 0;  // of the transport that opened the links

// Where a rank's inbox is found by the other ranks of its process: both ends compute it.
InboxId inbox_id(const Links& links, const LinkName& name, uint32_t context) {
  std::byte message[sizeof name + sizeof context];
  std::memcpy(message, name.data(), sizeof name);
  std::memcpy(message + sizeof name, &context, sizeof context);
  const Mac mac = hmac_sha256(links.key(), message);
  InboxId id;
  std::memcpy(id.data(), mac.data(), sizeof id);
  return id;
}

class ShmTransport final : public Transport {
 public:
  // `members`: the ranks that the links know, by rank.
  ShmTransport(std::vector<int> members, int rank, uint32_t context, const FifoShapes& shapes, std::shared_ptr<MemoryBudget> budget,
               std::shared_ptr<Links> links)
      : rank_(rank),
        context_(context),
        shapes_(shapes),
        budget_(std::move(budget)),
        members_(std::move(members)),
        links_(std::move(links)),
        peers_(members_.size()) {}
  ~ShmTransport() override {
    if (!inbox_) return;  // it never came to be
    farewell(PeerState::kLeft);
    links_->leave(context_);
  }

  Status open() {
    Result<std::shared_ptr<Inbox>> inbox = Inbox::create(inbox_id(*links_, links_->name(), context_), rank_, nranks(), shapes_, budget_);
    if (!inbox.ok()) return inbox.status();
    inbox_ = std::move(*inbox);
    Status entered =
        links_->enter(context_, {.inbox = inbox_, .members = members_, .on_gone = [this](int peer, PeerState how) { gone(peer, how); }});
    if (!entered.ok()) inbox_.reset();
    return entered;
  }

  const char* name() const override { return "shm"; }
  uint32_t abilities() const override { return kAbilityMapped | kAbilityInline | kAbilityDerive; }
  const FifoShapes& shapes() const override { return shapes_; }
  std::span<const std::byte> address() const override { return links_->name(); }

  Status introduce(std::vector<std::vector<std::byte>> addresses) override;
  Result<std::unique_ptr<Transport>> derive(std::vector<int> members, uint32_t context, const FifoShapes& shapes,
                                            std::shared_ptr<MemoryBudget> budget) override;
  Result<FifoSender*> sender(const FifoKey& key, double timeout_s) override;
  Result<FifoReceiver*> receiver(const FifoKey& key, double timeout_s) override;
  PeerState peer_state(int peer) const override;
  void farewell(PeerState state) override;

 private:
  // What is known of a peer. `state` is stored by the control thread (release) and read by a waiter (acquire), who then finds all that the
  // peer had sent.
  struct Peer {
    std::shared_ptr<Inbox> inbox;  // of a rank in this process
    std::atomic<PeerState> state{PeerState::kAlive};
  };

  int nranks() const { return static_cast<int>(members_.size()); }
  void gone(int peer, PeerState how) {
    PeerState alive = PeerState::kAlive;  // what was known first stays
    peers_[static_cast<size_t>(peer)].state.compare_exchange_strong(alive, how, std::memory_order_release, std::memory_order_relaxed);
  }
  Status meet(int peer, double timeout_s);
  Result<std::byte*> memory_at_peer(const FifoKey& key, double timeout_s);
  Result<std::byte*> map(int fd, size_t offset, Protocol protocol);
  void pair_up(const FifoKey& key);

  int rank_;
  uint32_t context_;
  FifoShapes shapes_;
  std::shared_ptr<MemoryBudget> budget_;
  std::vector<int> members_;
  std::shared_ptr<Links> links_;  // shared_ptr: with those that were derived from this one
  std::shared_ptr<Inbox> inbox_;
  std::vector<Peer> peers_;
  std::mutex fifos_mutex_;  // of the three below
  std::list<Mapping> mappings_;
  std::map<FifoKey, FifoSender> senders_;
  std::map<FifoKey, FifoReceiver> receivers_;
  std::atomic<PeerState> said_{PeerState::kAlive};  // the farewell, once it was said; relaxed: links_ orders it
};

Status ShmTransport::introduce(std::vector<std::vector<std::byte>> addresses) {
  if (context_ == kFirstContext) {
    std::vector<LinkName> names;
    for (const std::vector<std::byte>& address : addresses) {
      if (address.size() != sizeof(LinkName)) {
        return {Code::kInternal, "rank " + std::to_string(names.size()) + " sent a malformed shared-memory address"};
      }
      std::memcpy(names.emplace_back().data(), address.data(), sizeof(LinkName));
    }
    links_->introduce(std::move(names));
  }
  for (int peer = 0; peer < nranks(); ++peer) {
    if (peer == rank_) continue;
    const LinkName& name = links_->name_of(members_[static_cast<size_t>(peer)]);
    peers_[static_cast<size_t>(peer)].inbox = Inbox::find(inbox_id(*links_, name, context_));
  }
  return {};
}

Result<std::unique_ptr<Transport>> ShmTransport::derive(std::vector<int> members, uint32_t context, const FifoShapes& shapes,
                                                        std::shared_ptr<MemoryBudget> budget) {
  const auto place = std::find(members.begin(), members.end(), rank_);
  if (place == members.end()) return Status(Code::kInternal, "rank " + std::to_string(rank_) + " is none of the derived transport's");
  const auto rank = static_cast<int>(place - members.begin());
  for (int& member : members) member = members_[static_cast<size_t>(member)];
  auto derived = std::make_unique<ShmTransport>(std::move(members), rank, context, shapes, std::move(budget), links_);
  if (Status status = derived->open(); !status.ok()) return status;
  return std::unique_ptr<Transport>(std::move(derived));
}

// Afterwards this rank hears when the peer goes; or it has gone, and there is no link. That is no failure here: what it sent lies in this
// rank's inbox, and an operation of which it needs nothing more is none of its. Who waits for it learns its state.
Status ShmTransport::meet(int peer, double timeout_s) {
  if (said_.load(std::memory_order_relaxed) != PeerState::kAlive) {
    return {Code::kAborted, "this rank has left the communicator, and connects to nobody any more"};
  }
  if (peers_[static_cast<size_t>(peer)].inbox || peer_state(peer) != PeerState::kAlive) return {};
  const Status met = links_->meet(members_[static_cast<size_t>(peer)], timeout_s);
  if (met.ok() || met.code() != Code::kRemote) return met;
  // Nobody listens there any more. Its goodbye may still be on its way to the control thread.
  for (int waited_ms = 0; waited_ms < kGoodbyeWaitMs && peer_state(peer) == PeerState::kAlive; ++waited_ms) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  gone(peer, PeerState::kAbsent);
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
  const Peer& peer = peers_[static_cast<size_t>(key.peer)];
  const FifoKey mine{.peer = rank_, .channel = key.channel, .protocol = key.protocol};
  if (peer.inbox) return peer.inbox->prepare(mine);
  if (peer_state(key.peer) == PeerState::kAlive) {
    const Result<Fd> inbox = links_->request_fifo(members_[static_cast<size_t>(key.peer)], context_, mine, timeout_s,
                                                    [this] { return interrupted(); });
    if (inbox.ok()) return map(inbox.value().get(), fifo_offset(shapes_, key.peer, mine), key.protocol);
    if (inbox.status().code() != Code::kRemote) return inbox.status();
  }
  // It has gone, and its state tells how: memory that nobody reads.
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
  if (peer.inbox) return peer.inbox->owner.load(std::memory_order_acquire);
  return peer.state.load(std::memory_order_acquire);
}

void ShmTransport::farewell(PeerState state) {
  PeerState nothing = PeerState::kAlive;
  if (!said_.compare_exchange_strong(nothing, state, std::memory_order_relaxed)) return;
  inbox_->owner.store(state, std::memory_order_release);
  links_->farewell(context_, state);
}

}  // namespace
}  // namespace shm

Result<std::unique_ptr<Transport>> make_shm_transport(int rank, int nranks, const FifoShapes& shapes, const Key& key,
                                                      std::shared_ptr<MemoryBudget> budget) {
  Result<std::shared_ptr<shm::Links>> links = shm::Links::open(rank, key);
  if (!links.ok()) return links.status();
  std::vector<int> members(static_cast<size_t>(nranks));
  std::iota(members.begin(), members.end(), 0);
  auto transport =
      std::make_unique<shm::ShmTransport>(std::move(members), rank, shm::kFirstContext, shapes, std::move(budget), std::move(*links));
  if (Status status = transport->open(); !status.ok()) return status;
  return std::unique_ptr<Transport>(std::move(transport));
}

}  // namespace tutti
