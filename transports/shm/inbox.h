// Where a rank receives: one sparse segment with a place for the FIFO of every (peer, channel, protocol). A place costs memory only
// from prepare() on. Ranks of the same process find each other's inbox by its id and use the same mapping, so that a data race between
// them would be seen by ThreadSanitizer; other processes are handed the descriptor.
// Threading: any thread.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>

#include "executor/transport.h"
#include "transports/shm/segment.h"

namespace tutti::shm {

using InboxId = std::array<std::byte, 16>;

class Inbox {
 public:
  // Registers the inbox under `id`, which no other has. shared_ptr: the owner and the peers of its process use one mapping, and its
  // budget, whoever ends last.
  static Result<std::shared_ptr<Inbox>> create(const InboxId& id, int rank, int nranks, const FifoShapes& shapes,
                                               std::shared_ptr<MemoryBudget> budget);
  // nullptr where no such inbox lives in this process.
  static std::shared_ptr<Inbox> find(const InboxId& id);
  ~Inbox();

  const InboxId& id() const { return id_; }
  int fd() const { return fd_.get(); }

  // The memory of a FIFO into this inbox, allocated and mapped at the first call. `key.peer` is the sending rank. Valid as long as the
  // inbox. Errors: kSystem (memory, or the budget), kInvalidArgument (no such FIFO).
  Result<std::byte*> prepare(const FifoKey& key);
  // Whether somebody has.
  bool prepared(const FifoKey& key);

  // Where the FIFO lies in the segment, in bytes; the same for every process.
  size_t offset(const FifoKey& key) const;
  size_t length(Protocol protocol) const;

  // How the owner fares, for peers in this process. Release by the owner, acquire by a waiter, who then finds all that the owner had sent.
  std::atomic<PeerState> owner{PeerState::kAlive};

 private:
  Inbox(const InboxId& id, int rank, int nranks, const FifoShapes& shapes, std::shared_ptr<MemoryBudget> budget, Fd fd)
      : id_(id), rank_(rank), nranks_(nranks), shapes_(shapes), budget_(std::move(budget)), fd_(std::move(fd)) {}

  InboxId id_;
  int rank_;
  int nranks_;
  FifoShapes shapes_;
  std::shared_ptr<MemoryBudget> budget_;
  Fd fd_;
  std::mutex mutex_;
  std::map<FifoKey, Mapping> mapped_;
};

// Where the FIFO `key` lies in the inbox of `owner`, and how long a segment is: what both ends compute alike.
size_t fifo_length(const FifoShapes& shapes, Protocol protocol);
size_t fifo_offset(const FifoShapes& shapes, int owner, const FifoKey& key);
size_t segment_length(const FifoShapes& shapes, int nranks);

}  // namespace tutti::shm
