// One TCP connection to a peer, past its handshake: frames out of senders' slots, and into receivers' slots, without a copy on the way but
// for the few bytes that come along with a header.
//
// Writing happens in post(), at once; what the kernel does not take stays queued for flush(), or for the control thread once settle() was
// called. Reading happens in receive(), by whoever drives the transport's progress: one system call brings a small message whole, and a
// read that brings less than was asked for is the last of its round.
//
// Invariant: a FIFO's messages and its credits use one connection, so its mutex orders all that this side does with a slot.
// Threading: any thread. No method waits for the peer.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include "base/control_loop.h"
#include "base/fd.h"
#include "transports/tcp/fifos.h"
#include "transports/tcp/host_watch.h"

namespace tutti::tcp {

class Connection {
 public:
  // `unsent`: counts the transport's connections that have something queued. All references outlive the connection.
  Connection(ControlLoop& loop, Fd fd, int peer_rank, FifoTable& fifos, std::atomic<int>& unsent)
      : peer(peer_rank), loop_(loop), fd_(std::move(fd)), fifos_(fifos), unsent_(unsent) {}
  ~Connection();
  Connection(const Connection&) = delete;

  const int peer;
  int fd() const { return fd_.get(); }

  void post(const OutFifo& fifo, const std::byte* payload, uint32_t bytes, uint16_t signature);
  void released(InFifo& fifo);

  struct Received {
    bool moved = false;
    bool news = false;  // heard() or ended() has changed
  };
  enum class Locking { kTry, kWait };
  // kTry: does nothing where another thread is at it.
  Received receive(Locking locking);

  // True if anything was sent.
  bool flush();
  // What is queued goes out by the control thread.
  void settle();
  // Once; it follows what was posted before.
  void say_farewell(PeerState state);

  // What the peer said; kAlive: nothing yet. Release by receive(), acquire: what it had sent before is in its slots.
  PeerState heard() const { return heard_.load(std::memory_order_acquire); }
  // Nothing more can be read.
  bool ended() const { return ended_.load(std::memory_order_acquire); }

  // From now on end_if_host_is_lost() tells; `bound_s` as HostWatch::begin.
  void watch_host(double bound_s);
  // True: the peer's host has not answered for the bound, and the connection has ended just now.
  bool end_if_host_is_lost();

  // For the end: reads and forgets; true once all that was sent has reached the peer's kernel, or never will.
  bool wind_up();

 private:
  struct Frame {
    FrameHeader header;
    const std::byte* payload;
  };
  static constexpr size_t kStagingBytes = 8192;  // a whole inline message with its header
  static constexpr int kMostReads = 16;          // of one receive()
  static constexpr int kMostParts = 32;          // of one sendmsg()
  static constexpr size_t kCopiedBytes = 512;    // a message of so many is sent as one part

  void enqueue(const FrameHeader& header, const std::byte* payload);
  bool flush_locked();
  ssize_t send_some(size_t& total);
  void consume(size_t bytes);
  void settle_locked();
  void credit_if_due(InFifo& fifo);

  ssize_t read_some(size_t& asked);
  bool parse(Received& received);
  bool begin_frame(const FrameHeader& header, Received& received);
  bool begin_message(const FrameHeader& header);
  void end_message(Received& received);
  void end(const std::string& why);

  ControlLoop& loop_;
  Fd fd_;
  FifoTable& fifos_;
  std::atomic<int>& unsent_;

  std::mutex mutex_;  // of all that follows, but the atomics
  std::vector<Frame> queue_;
  size_t head_ = 0;        // of the queue
  size_t head_bytes_ = 0;  // of the head that were sent
  bool write_broken_ = false;
  bool farewell_said_ = false;
  bool shut_ = false;
  ControlLoop::Watch watch_ = 0;
  HostWatch host_watch_;

  alignas(64) std::byte staging_[kStagingBytes];
  size_t staged_begin_ = 0;
  size_t staged_end_ = 0;
  InFifo* incoming_ = nullptr;   // whose message is being read
  std::byte* target_ = nullptr;  // where its next byte goes
  size_t missing_ = 0;           // bytes of it
  uint16_t signature_ = 0;

  std::atomic<PeerState> heard_{PeerState::kAlive};
  std::atomic<bool> ended_{false};
};

}  // namespace tutti::tcp
