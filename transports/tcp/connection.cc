#include "transports/tcp/connection.h"

#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/log.h"

namespace tutti::tcp {

Connection::~Connection() {
  if (watch_ != 0) loop_.remove(watch_);
}

// --- Writing

void Connection::enqueue(const FrameHeader& header, const std::byte* payload) {
  if (write_broken_) return;
  if (head_ == queue_.size()) {
    queue_.clear();
    head_ = 0;
    unsent_.fetch_add(1, std::memory_order_relaxed);
  } else if (head_ > 64 && head_ > queue_.size() / 2) {
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(head_));
    head_ = 0;
  }
  queue_.push_back({header, payload});
}

void Connection::post(const OutFifo& fifo, const std::byte* payload, uint32_t bytes, uint16_t signature) {
  FrameHeader header = {
      .bytes = bytes, .signature = signature, .channel = static_cast<uint16_t>(fifo.key.channel), .protocol = fifo.key.protocol};
  std::lock_guard lock(mutex_);
  InFifo* const opposite = fifos_.in(fifo.key);
  if (opposite != nullptr && opposite->from.load(std::memory_order_relaxed) == this) {
    header.has_credit = 1;
    header.credit = opposite->credited = opposite->consumed();
  }
  enqueue(header, payload);
  flush_locked();
}

void Connection::released(InFifo& fifo) {
  std::lock_guard lock(mutex_);
  credit_if_due(fifo);
}

// Called after each release and each arrival, so that one of the two sees what the other did. The sender is never left standing: it has a
// free slot as long as less than all slots have arrived without credit for them.
void Connection::credit_if_due(InFifo& fifo) {
  const uint32_t consumed = fifo.consumed();
  const uint32_t gained = consumed - fifo.credited;
  const bool stands = fifo.arrived - fifo.credited >= fifo.shape.slots;
  if (gained == 0 || (gained < std::max(1u, fifo.shape.slots / 2) && !stands)) return;
  fifo.credited = consumed;
  enqueue({.credit = consumed,
           .channel = static_cast<uint16_t>(fifo.key.channel),
           .kind = FrameKind::kCredit,
           .protocol = fifo.key.protocol,
           .has_credit = 1},
          nullptr);
  flush_locked();
}

bool Connection::flush() {
  std::lock_guard lock(mutex_);
  return flush_locked();
}

// As much as the kernel takes.
bool Connection::flush_locked() {
  bool moved = false;
  while (head_ != queue_.size()) {
    size_t total = 0;
    const ssize_t sent = send_some(total);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS)) break;
    if (sent < 0) {  // the peer has gone; what it had sent is still to be read, and tells how
      write_broken_ = true;
      queue_.clear();
      head_ = head_bytes_ = 0;
      unsent_.fetch_sub(1, std::memory_order_relaxed);
      return moved;
    }
    moved = true;
    consume(static_cast<size_t>(sent));
    if (static_cast<size_t>(sent) < total) break;  // the kernel is full
  }
  return moved;
}

// `total`: what the kernel is asked to take.
ssize_t Connection::send_some(size_t& total) {
  const Frame& head = queue_[head_];
  // The usual small message, alone: copying it costs less than what the kernel does for a list of parts.
  if (head_ + 1 == queue_.size() && head_bytes_ == 0 && head.header.bytes <= kCopiedBytes) {
    std::byte whole[sizeof(FrameHeader) + kCopiedBytes];
    std::memcpy(whole, &head.header, sizeof(FrameHeader));
    if (head.header.bytes != 0) std::memcpy(whole + sizeof(FrameHeader), head.payload, head.header.bytes);
    total = sizeof(FrameHeader) + head.header.bytes;
    return send(fd_.get(), whole, total, MSG_DONTWAIT | MSG_NOSIGNAL);
  }
  iovec parts[kMostParts];
  size_t count = 0, skip = head_bytes_;
  const auto add = [&](const void* data, size_t bytes) {
    const size_t skipped = std::min(skip, bytes);
    skip -= skipped;
    if (skipped == bytes) return;
    parts[count++] = {.iov_base = const_cast<char*>(static_cast<const char*>(data)) + skipped, .iov_len = bytes - skipped};
    total += bytes - skipped;
  };
  for (size_t i = head_; i < queue_.size() && count + 2 <= kMostParts; ++i) {
    add(&queue_[i].header, sizeof(FrameHeader));
    add(queue_[i].payload, queue_[i].header.bytes);
  }
  msghdr message = {};
  message.msg_iov = parts;
  message.msg_iovlen = count;
  return sendmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

// The kernel has taken `bytes` more of the queue.
void Connection::consume(size_t bytes) {
  bytes += head_bytes_;
  while (head_ != queue_.size() && bytes >= sizeof(FrameHeader) + queue_[head_].header.bytes) {
    bytes -= sizeof(FrameHeader) + queue_[head_].header.bytes;
    ++head_;
  }
  head_bytes_ = bytes;
  if (head_ == queue_.size()) unsent_.fetch_sub(1, std::memory_order_relaxed);
}

void Connection::settle() {
  std::lock_guard lock(mutex_);
  settle_locked();
}

void Connection::settle_locked() {
  if (head_ == queue_.size()) return;
  if (watch_ != 0) {
    loop_.modify(watch_, EPOLLOUT | EPOLLONESHOT);
    return;
  }
  const Result<ControlLoop::Watch> watch = loop_.add(fd_.get(), EPOLLOUT | EPOLLONESHOT, [this](uint32_t) {
    std::lock_guard lock(mutex_);
    flush_locked();
    settle_locked();
  });
  // Without a watch (no kernel memory) the next progress() sends it.
  if (watch.ok()) watch_ = watch.value();
}

void Connection::say_farewell(PeerState state) {
  std::lock_guard lock(mutex_);
  if (std::exchange(farewell_said_, true)) return;
  enqueue({.kind = FrameKind::kGoodbye, .goodbye = state}, nullptr);
  flush_locked();
  settle_locked();
}

void Connection::watch_host(double bound_s) {
  std::lock_guard lock(mutex_);
  host_watch_.begin(fd_.get(), bound_s);
}

bool Connection::end_if_host_is_lost() {
  std::lock_guard lock(mutex_);
  if (ended() || !host_watch_.lost(fd_.get(), HostWatch::Clock::now())) return false;
  end("its host does not answer any more (TUTTI_HEARTBEAT)");
  return true;
}

bool Connection::wind_up() {
  std::lock_guard lock(mutex_);
  flush_locked();
  // What lies unread when a socket is closed makes the kernel throw away what it has not sent yet.
  bool at_end = false;
  for (int reads = 0; reads < kMostReads && !at_end; ++reads) {
    const ssize_t got = recv(fd_.get(), staging_, sizeof staging_, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) break;
    at_end = got <= 0;
  }
  if (head_ != queue_.size()) return false;
  if (!std::exchange(shut_, true)) shutdown(fd_.get(), SHUT_WR);
  int unacknowledged = 0;
  return at_end || write_broken_ || ioctl(fd_.get(), SIOCOUTQ, &unacknowledged) != 0 || unacknowledged == 0;
}

// --- Reading

Connection::Received Connection::receive(Locking locking) {
  Received received;
  std::unique_lock lock(mutex_, std::defer_lock);
  if (locking == Locking::kTry) {
    if (!lock.try_lock()) return received;
  } else {
    lock.lock();
  }
  for (int reads = 0; reads < kMostReads && !ended_.load(std::memory_order_relaxed); ++reads) {
    size_t asked = 0;
    const ssize_t got = read_some(asked);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == ENOMEM || errno == ENOBUFS)) break;
    if (got <= 0) {  // reset, timed out, or closed: what it means, the goodbye before it says
      ended_.store(true, std::memory_order_release);
      received.news = true;
      break;
    }
    if (!parse(received)) {
      received.news = true;
      break;
    }
    if (static_cast<size_t>(got) < asked) break;
  }
  return received;
}

// The rest of the message straight into its slot, and what follows into the staging area, which is empty then.
ssize_t Connection::read_some(size_t& asked) {
  const size_t room = sizeof staging_ - staged_end_;
  asked = missing_ + room;
  ssize_t got = 0;
  if (missing_ == 0) {  // as when a small message is waited for: without a list of parts, which the kernel would copy at every look
    got = recv(fd_.get(), staging_ + staged_end_, room, MSG_DONTWAIT);
  } else {
    iovec parts[] = {{.iov_base = target_, .iov_len = missing_}, {.iov_base = staging_ + staged_end_, .iov_len = room}};
    msghdr message = {};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    got = recvmsg(fd_.get(), &message, MSG_DONTWAIT);
  }
  if (got <= 0) return got;
  const size_t direct = std::min(static_cast<size_t>(got), missing_);
  target_ += direct;
  missing_ -= direct;
  staged_end_ += static_cast<size_t>(got) - direct;
  return got;
}

// Works off what has been read. False: the connection is broken.
bool Connection::parse(Received& received) {
  for (;;) {
    if (incoming_ != nullptr) {
      const size_t bytes = std::min(missing_, staged_end_ - staged_begin_);
      if (bytes != 0) std::memcpy(target_, staging_ + staged_begin_, bytes);
      target_ += bytes;
      missing_ -= bytes;
      staged_begin_ += bytes;
      if (missing_ != 0) break;
      end_message(received);
    }
    FrameHeader header;
    if (staged_end_ - staged_begin_ < sizeof header) break;
    std::memcpy(&header, staging_ + staged_begin_, sizeof header);
    staged_begin_ += sizeof header;
    if (!begin_frame(header, received)) return false;
  }
  // A header's beginning moves to the front.
  std::memmove(staging_, staging_ + staged_begin_, staged_end_ - staged_begin_);
  staged_end_ -= staged_begin_;
  staged_begin_ = 0;
  return true;
}

bool Connection::begin_frame(const FrameHeader& header, Received& received) {
  const bool names_fifo = header.channel < kFifoChannels && (header.protocol == Protocol::kInline || header.protocol == Protocol::kStaged);
  if (header.kind == FrameKind::kGoodbye && (header.goodbye == PeerState::kLeft || header.goodbye == PeerState::kAborted)) {
    heard_.store(header.goodbye, std::memory_order_release);
    received.news = true;
    return true;
  }
  if (!names_fifo || (header.kind != FrameKind::kData && header.kind != FrameKind::kCredit)) {
    end("a frame of no known kind");
    return false;
  }
  if (header.has_credit != 0) {
    const FifoKey key = {.peer = peer, .channel = header.channel, .protocol = header.protocol};
    if (OutFifo* const out = fifos_.out(key)) out->credit(header.credit);
    received.moved = true;
  }
  return header.kind == FrameKind::kCredit || begin_message(header);
}

bool Connection::begin_message(const FrameHeader& header) {
  const FifoKey key = {.peer = peer, .channel = header.channel, .protocol = header.protocol};
  InFifo* fifo = fifos_.in(key);
  if (fifo == nullptr) {
    const Result<InFifo*> made = fifos_.make_in(key);
    if (!made.ok()) {
      end(made.status().message());
      return false;
    }
    fifo = made.value();
  }
  if (fifo->from.load(std::memory_order_relaxed) == nullptr) fifo->from.store(this, std::memory_order_relaxed);
  const bool in_place = fifo->from.load(std::memory_order_relaxed) == this;
  // consumed() acquires: the slot was read before it is written again.
  if (!in_place || header.bytes > fifo->shape.capacity || fifo->arrived - fifo->consumed() >= fifo->shape.slots) {
    end(!in_place                             ? "a FIFO on two connections"
        : header.bytes > fifo->shape.capacity ? "a message over its slot"
                                              : "a message without credit");
    return false;
  }
  incoming_ = fifo;
  target_ = fifo->next_payload();
  missing_ = header.bytes;
  signature_ = header.signature;
  return true;
}

void Connection::end_message(Received& received) {
  InFifo& fifo = *std::exchange(incoming_, nullptr);
  fifo.publish(signature_);
  received.moved = true;
  credit_if_due(fifo);
}

// Says why once, since an ended connection reads nothing more.
void Connection::end(const std::string& why) {
  log_warn("dropped the TCP connection to rank " + std::to_string(peer) + ": " + why);
  ended_.store(true, std::memory_order_release);
  shutdown(fd_.get(), SHUT_RDWR);
}

}  // namespace tutti::tcp
