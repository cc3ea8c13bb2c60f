// Where a rank is reached: accepts connections, has each prove that it knows the key (handshake.h), and hands on those that do. All of it
// happens on the control thread, within bounds: so many guests at once (the oldest of those without proof goes first), so many seconds
// each, and no spinning where descriptors have run out.
// Threading: as stated.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>

#include "base/control_loop.h"
#include "transports/tcp/handshake.h"

namespace tutti::tcp {

// A socket made ready for data: no delay, and buffers of `buffer_bytes` (0: the kernel's choice). Before it connects or listens.
void prepare_socket(int fd, size_t buffer_bytes);

class Listener {
 public:
  // Called on the control thread.
  struct Host {
    std::function<Verdict(int rank, int index)> admit;      // of a peer that has proved itself
    std::function<void(Fd fd, int rank, int index)> adopt;  // it was welcome, and has gone ahead
    std::function<void(int rank, int index)> abandon;       // it was welcome, and has given up
  };
  struct Self {
    int rank = 0;
    int nranks = 0;
    Key key{};
    size_t buffer_bytes = 0;
  };

  // On a port of the kernel's choice, and only for connections that come to one of `addresses`. Errors: kSystem.
  static Result<std::unique_ptr<Listener>> open(const Self& self, std::vector<IpAddress> addresses, Host host);
  ~Listener();

  uint16_t port() const { return port_; }
  const ListenerId& id() const { return id_; }

  // Accepts no more; who was welcome and has not gone ahead yet is told goodbye. Not from the control thread; afterwards `host` is not
  // called any more.
  void close(PeerState goodbye);

 private:
  using Clock = ControlLoop::Clock;
  enum class Stage : uint8_t { kHello, kProof, kAhead };
  struct Guest {
    Fd fd;
    ControlLoop::Watch watch = 0;
    Stage stage = Stage::kHello;
    Clock::time_point deadline;
    Hello hello;
    Nonce nonce{};
    Mac proof{};
    char go = 0;
    size_t got = 0;  // bytes of what the stage awaits
  };

  Listener(ControlLoop& loop, const Self& self, std::vector<IpAddress> addresses, Host host)
      : loop_(loop), self_(self), addresses_(std::move(addresses)), host_(std::move(host)) {}
  Status start();
  void accept_all();
  void pause_accepting();
  bool is_for_us(int fd) const;
  void sweep();
  void arm_timer();
  std::span<std::byte> awaited(Guest& guest);
  void serve(Guest& guest);
  bool handle(Guest& guest);
  bool challenge(Guest& guest);
  bool judge(Guest& guest);
  void drop(Guest& guest);
  void complain(const char* what);

  ControlLoop& loop_;
  Self self_;
  std::vector<IpAddress> addresses_;
  Host host_;
  Fd fd_;
  Fd timer_;
  ControlLoop::Watch watch_ = 0;
  ControlLoop::Watch timer_watch_ = 0;
  uint16_t port_ = 0;
  ListenerId id_{};
  bool paused_ = false;      // of the control thread
  bool complained_ = false;  // of the control thread
  std::mutex mutex_;         // guests_: the control thread changes it, close() empties it
  std::list<Guest> guests_;
};

}  // namespace tutti::tcp
