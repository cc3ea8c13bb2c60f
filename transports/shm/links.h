// Links between processes of one node: Unix sockets, through which a sender asks a receiver's control thread for its inbox, and through
// which each learns that the other has left, failed or died. Never on the data path.
//
// One Links serves a rank's communicator and all that are split off it: each is a context, with an inbox and a farewell of its own, over
// the same sockets. A link: one end connects to the other's listener (a random abstract name, so it lives and dies with the process), says
// which rank it is and proves that it knows the communicator's key; from then on both ends are equal. Goodbyes are said per context;
// an end of file means to every context in which the peer has not said goodbye that its process died. Those that have proved nothing yet
// are kMaxStrangers at most, of whom the oldest goes first.
//
// Threading: every method from any thread. All reading is done by the control thread.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/control_loop.h"
#include "base/crypto.h"
#include "executor/transport.h"
#include "transports/shm/inbox.h"

namespace tutti::shm {

using LinkName = std::array<std::byte, 16>;

// One communicator over the links.
struct Context {
  std::shared_ptr<Inbox> inbox;
  std::vector<int> members;  // the context's rank -> the rank that the links know
  // Called on the control thread or in enter(), with the context's rank; must not block or call back.
  std::function<void(int rank, PeerState how)> on_gone;
};

class Links {
 public:
  static constexpr size_t kMaxStrangers = 128;
  // `self`: this rank. Errors: kSystem.
  static Result<std::shared_ptr<Links>> open(int self, const Key& key);
  // Every context has left.
  ~Links();

  const LinkName& name() const { return name_; }
  int self() const { return self_; }
  const Key& key() const { return key_; }
  // The listeners of all ranks, by rank; once, before the first meet().
  void introduce(std::vector<LinkName> names) { names_ = std::move(names); }
  const LinkName& name_of(int rank) const { return names_[static_cast<size_t>(rank)]; }

  // Errors: kInternal (the number is taken).
  Status enter(uint32_t context, Context what);
  // Tells every peer, those too that connect later. Once a context.
  void farewell(uint32_t context, PeerState state);
  // Afterwards on_gone is not called.
  void leave(uint32_t context);

  // Makes sure of a link to the peer. Errors: kRemote (nobody listens there any more), kSystem, kTimeout.
  Status meet(int peer, double timeout_s);
  // The inbox of the peer's `context`, with the FIFO `key` prepared in it (.peer is this rank in the context). Precondition: meet() was
  // successful. `interrupted` is asked now and then. Errors: kRemote (it has gone, or has left the context), kTimeout, kAborted
  // (interrupted), kSystem.
  Result<Fd> request_fifo(int peer, uint32_t context, const FifoKey& key, double timeout_s, const std::function<bool()>& interrupted);

 private:
  struct Packet;
  struct Link {
    Fd fd;
    ControlLoop::Watch watch = 0;
    int rank = -1;  // -1 until it has proved who it is
    std::chrono::steady_clock::time_point since = std::chrono::steady_clock::now();
    bool open = true;  // guarded by mutex_
  };
  struct Answer {
    bool there = false;
    Code code = Code::kOk;
    std::string text;
    Fd inbox;
  };

  Links(ControlLoop& loop, int self, const Key& key) : loop_(loop), self_(self), key_(key) {}
  void accept_all();
  bool make_room();
  void complain(const char* what);
  void rest();
  Status add(const std::shared_ptr<Link>& link);
  void serve(const std::shared_ptr<Link>& link);
  bool handle(Link& link, const Packet& packet, Fd carried);
  bool greet(Link& link, const Packet& hello);
  void heard_farewell(int rank, uint32_t context, PeerState how);
  Packet reply_to(const Link& link, const Packet& request, int& inbox_fd);
  void end(const std::shared_ptr<Link>& link);
  void drop(const std::shared_ptr<Link>& link);
  std::shared_ptr<Link> link_to(int rank) const;

  static bool send_packet(int socket, const Packet& packet, int fd = -1);
  static int receive_packet(int socket, Packet& packet, Fd& carried);
  static Mac hello_proof(const Key& key, const LinkName& name, int32_t rank);

  ControlLoop& loop_;
  const int self_;
  const Key key_;
  LinkName name_{};
  std::vector<LinkName> names_;
  Fd listener_;
  ControlLoop::Watch watch_ = 0;
  uint64_t resting_ = 0;                                             // the timer that ends a pause of accepting; the control thread's
  std::optional<std::chrono::steady_clock::time_point> complained_;  // as that

  std::mutex mutex_;  // of all below
  std::condition_variable answered_;
  std::list<std::shared_ptr<Link>> links_;
  std::map<uint32_t, Context> contexts_;
  std::map<uint32_t, PeerState> said_;   // farewells, by context that ever was: for who connects later; kAlive: not yet
  std::map<uint32_t, Answer*> waiting_;  // by ticket
  uint32_t tickets_ = 0;
};

}  // namespace tutti::shm
