// A listening socket and what happens at it until a guest has proved that it knows the key. All defences against strangers are here:
// nothing but sizes is believed before the proof; a guest has kHandshakeSeconds for it; at most kMaxStrangers (or a quarter of the
// process's descriptors) may be at it at once, of whom the oldest goes first; where descriptors run out the listener rests instead of
// spinning; complaints in the log are few.
//
//   guest -> hello      who I am, what I run, a nonce
//   guest <- challenge  a nonce, and proof that this end knows the key
//   guest -> join       proof that I know the key, and what I bring; from here on its owner's
//
// Proofs are HMAC-SHA-256 over both nonces and the hello, keyed by the id, with a role in them, so that a replay, or one end's proof shown
// to the other, proves nothing. A guest that proves the key but runs another build is refused here, by name. Threading: made by any thread,
// then of the control thread alone, its destructor included.
#pragma once

#include <list>

#include "comm/connection.h"
#include "comm/rendezvous_protocol.h"

namespace tutti {

class Reception {
 public:
  static constexpr size_t kMaxStrangers = 1024;
  static constexpr double kHandshakeSeconds = 10;
  static constexpr size_t kMaxFrameBytes = 1024;

  struct Guest {
    std::shared_ptr<Connection> connection;  // its handlers are the owner's to set, by hand_over()
    Hello hello;
    Bytes brought;
  };
  // Takes the guest over.
  using Admit = std::function<void(Guest)>;
  // Told of one that runs something else; it has been refused with that sentence.
  using Incompatible = std::function<void(const Hello&, const Status&)>;

  // `self`: the role in this end's proof, `guest` in the others'. `name` is for the log.
  Reception(ControlLoop& loop, Fd listener, const Key& key, Role self, Role guest, std::string name, Admit admit, Incompatible incompatible)
      : loop_(loop),
        listener_(std::move(listener)),
        key_(key),
        self_(self),
        guest_(guest),
        name_(std::move(name)),
        admit_(std::move(admit)),
        incompatible_(std::move(incompatible)) {}
  ~Reception();
  Reception(const Reception&) = delete;
  Reception& operator=(const Reception&) = delete;

  // Errors: kSystem.
  Status start();

 private:
  using Clock = ControlLoop::Clock;
  struct Stranger {
    std::shared_ptr<Connection> connection;
    Clock::time_point since;
    std::optional<Hello> hello;
    Bytes hello_body;
    Nonce nonce{};
  };

  void accept_some();
  bool make_room();
  void rest();
  void sweep();
  bool hear(Stranger& stranger, Frame& frame);
  bool challenge(Stranger& stranger, Frame& frame);
  bool judge(Stranger& stranger, Frame& frame);
  void forget(const Stranger& stranger);
  void complain(const std::string& message);

  ControlLoop& loop_;
  Fd listener_;
  Key key_;
  Role self_, guest_;
  std::string name_;
  Admit admit_;
  Incompatible incompatible_;
  ControlLoop::Watch watch_ = 0;
  size_t most_strangers_ = kMaxStrangers;
  std::list<Stranger> strangers_;  // the oldest first
  uint64_t sweeper_ = 0;           // timers; 0: none is set
  uint64_t resting_ = 0;
  std::optional<Clock::time_point> complained_;
  uint64_t swallowed_ = 0;  // complaints since
};

// Says why, and closes once that is sent.
void refuse(Connection& connection, const Status& status);

}  // namespace tutti
