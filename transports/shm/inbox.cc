#include "transports/shm/inbox.h"

namespace tutti::shm {
namespace {

constexpr size_t kPageBytes = 4096;

struct Registry {
  std::mutex mutex;
  std::map<InboxId, std::weak_ptr<Inbox>> inboxes;
};

Registry& registry() {
  static auto* const instance = new Registry;  // never destroyed: inboxes may outlive every static
  return *instance;
}

}  // namespace

size_t fifo_length(const FifoShapes& shapes, Protocol protocol) {
  return (shapes.of(protocol).bytes() + kPageBytes - 1) / kPageBytes * kPageBytes;
}

size_t fifo_offset(const FifoShapes& shapes, int owner, const FifoKey& key) {
  const size_t inlined = fifo_length(shapes, Protocol::kInline), staged = fifo_length(shapes, Protocol::kStaged);
  const auto place = static_cast<size_t>(key.peer < owner ? key.peer : key.peer - 1);
  const auto channel = static_cast<size_t>(key.channel);
  const size_t peer_offset = place * kFifoChannels * (inlined + staged);
  return peer_offset + (key.protocol == Protocol::kInline ? channel * inlined : kFifoChannels * inlined + channel * staged);
}

size_t segment_length(const FifoShapes& shapes, int nranks) {
  return fifo_offset(shapes, nranks, {.peer = nranks - 1, .channel = 0, .protocol = Protocol::kInline});
}

Result<std::shared_ptr<Inbox>> Inbox::create(const InboxId& id, int rank, int nranks, const FifoShapes& shapes,
                                             std::shared_ptr<MemoryBudget> budget) {
  Result<Fd> fd = create_segment(segment_length(shapes, nranks));
  if (!fd.ok()) return fd.status();
  std::shared_ptr<Inbox> inbox(new Inbox(id, rank, nranks, shapes, std::move(budget), std::move(*fd)));
  std::lock_guard lock(registry().mutex);
  registry().inboxes[id] = inbox;
  return inbox;
}

std::shared_ptr<Inbox> Inbox::find(const InboxId& id) {
  std::lock_guard lock(registry().mutex);
  const auto found = registry().inboxes.find(id);
  return found == registry().inboxes.end() ? nullptr : found->second.lock();
}

Inbox::~Inbox() {
  std::lock_guard lock(registry().mutex);
  registry().inboxes.erase(id_);
}

size_t Inbox::offset(const FifoKey& key) const {
  return fifo_offset(shapes_, rank_, key);
}
size_t Inbox::length(Protocol protocol) const {
  return fifo_length(shapes_, protocol);
}

Result<std::byte*> Inbox::prepare(const FifoKey& key) {
  if (key.peer < 0 || key.peer >= nranks_ || key.peer == rank_ || key.channel < 0 || key.channel >= kFifoChannels) {
    return Status(Code::kInvalidArgument, "no FIFO from rank " + std::to_string(key.peer) + " on channel " + std::to_string(key.channel));
  }
  std::lock_guard lock(mutex_);
  if (const auto found = mapped_.find(key); found != mapped_.end()) return found->second.data();
  const size_t bytes = length(key.protocol);
  if (Status status = budget_->take(bytes); !status.ok()) return status;
  if (Status status = reserve(fd_.get(), offset(key), bytes); !status.ok()) return status;
  Result<Mapping> mapping = Mapping::map(fd_.get(), offset(key), bytes);
  if (!mapping.ok()) return mapping.status();
  return mapped_.emplace(key, std::move(*mapping)).first->second.data();
}

bool Inbox::prepared(const FifoKey& key) {
  std::lock_guard lock(mutex_);
  return mapped_.contains(key);
}

}  // namespace tutti::shm
