// Links between processes of one node: Unix sockets, through which a sender asks a receiver's control thread for its inbox, and through
// which each learns that the other has left, failed or died. Never on the data path.
//
// A link: the client connects to the peer's listener (a random abstract name, so it lives and dies with the process), says which rank it
// is and proves that it knows the communicator's key; then it may ask for FIFOs. Either end says goodbye with one byte before it shuts
// down; an end of file without it means that the process died.
// Threading: as stated per method.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>

#include "base/control_loop.h"
#include "base/crypto.h"
#include "executor/transport.h"
#include "transports/shm/inbox.h"

namespace tutti::shm {

// The name of a rank's listener is its inbox's id.
using ListenerName = InboxId;

// Called on the control thread when a peer has gone.
using OnGone = std::function<void(int peer, PeerState how)>;

// The side that serves: accepts links of peers, hands out the inbox.
class LinkServer {
 public:
  static Result<std::unique_ptr<LinkServer>> listen(std::shared_ptr<Inbox> inbox, const Key& key, OnGone on_gone);
  ~LinkServer();

  // Any thread, once. Who connects later hears it too.
  void farewell(PeerState state);

 private:
  struct Peer {
    Fd fd;
    ControlLoop::Watch watch = 0;
    int rank = -1;  // -1 until it has proved who it is
  };

  LinkServer(ControlLoop& loop, std::shared_ptr<Inbox> inbox, const Key& key, OnGone on_gone)
      : loop_(loop), inbox_(std::move(inbox)), key_(key), on_gone_(std::move(on_gone)) {}
  void accept_all();
  void rest();
  void serve(Peer& peer);
  bool handle(Peer& peer, const std::byte* message, size_t bytes);
  void drop(Peer& peer);

  ControlLoop& loop_;
  std::shared_ptr<Inbox> inbox_;
  Key key_;
  OnGone on_gone_;
  Fd listener_;
  ControlLoop::Watch watch_ = 0;
  uint64_t resting_ = 0;  // the timer that ends a pause of accepting; the control thread's
  std::mutex mutex_;      // peers_: the control thread changes it, farewell() walks it; said_
  std::list<Peer> peers_;
  PeerState said_ = PeerState::kAlive;  // the farewell, once it was said
};

// The side that asks: one link to one peer's process.
class LinkClient {
 public:
  static Result<std::unique_ptr<LinkClient>> connect(const ListenerName& name, const Key& key, int self, int peer, double timeout_s,
                                                     OnGone on_gone);
  ~LinkClient();

  // The peer's inbox, with the FIFO `key` (whose .peer is this rank) prepared in it. One thread at a time.
  Result<Fd> request_fifo(const FifoKey& key, double timeout_s);

  // Any thread, once.
  void farewell(PeerState state);

 private:
  LinkClient(ControlLoop& loop, Fd fd, int peer, OnGone on_gone)
      : loop_(loop), fd_(std::move(fd)), peer_(peer), on_gone_(std::move(on_gone)) {}
  void on_hang_up();
  Status await_packet(bool bounded, double left_s, double timeout_s);

  ControlLoop& loop_;
  Fd fd_;
  ControlLoop::Watch watch_ = 0;
  uint32_t requests_ = 0;  // made so far: a reply to an earlier one, that was given up, is not taken for the next one's
  int peer_;
  OnGone on_gone_;
  std::atomic<bool> said_{false};  // goodbye. Relaxed: a hang-up in answer to it comes through the kernel, so after it
};

}  // namespace tutti::shm
