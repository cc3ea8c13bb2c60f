// Where the ranks of a communicator to be meet: a listener in one process, served by its control thread. It learns where each rank can be
// reached and, once all have come, tells each its place in the control tree (control_tree.h), and nothing else: what ranks have to say to
// all goes along the tree, so that no rank's traffic grows with the square of their number.
//
//   rank -> hello, challenge, proof   as at every reception (reception.h); with the proof, its control address and its node
//   rank <- place                     its parent's address and its children, once all have come; or refuse: a code and a sentence
//   rank -> done                      it has all ranks' data, by the tree
//
// A rank that ends before it is done, or refuses, has failed all: whoever is not done hears it from the listener, since the tree may lack
// the connection that would tell. The listener needs to live until all have their places. If its process ends before, whoever has none is
// told so; afterwards nobody depends on it. The listener of one communicator (meeting 0) closes some time after that has met. Threading: open_rendezvous() and join_rendezvous() from any thread; all of a listener's state belongs to the control thread.
#pragma once

#include "comm/dialer.h"
#include "tutti/tutti.h"

namespace tutti {

// What a tuttiUniqueId holds.
struct RendezvousId {
  std::array<std::byte, 16> address{};  // IPv6, or IPv4 mapped into it
  uint16_t port = 0;
  Key key{};
  // Not part of what is handed out: this rank reaches the rendezvous over loopback, perhaps, and its children may not: it has to listen for
  // them on every address.
  bool children_anywhere = false;

  ControlAddress control_address() const { return {address, port}; }
};

tuttiUniqueId encode_id(const RendezvousId& id);
// Errors: kInvalidArgument (these bytes were not made by tuttiGetUniqueId).
Result<RendezvousId> decode_id(const tuttiUniqueId& id);

// Starts a listener with a fresh key on this host. It serves as long as the process lives, or until its only meeting, number 0, has long
// been over. Errors: kSystem.
Result<RendezvousId> open_rendezvous();
// As above, where and with a key that the ranks know already; the address :: means every address of this host. The id is for this host's
// own rank. Errors: kInvalidUsage (the port is taken, or this user may not have it), kSystem.
Result<RendezvousId> open_rendezvous_at(const RendezvousId& at);

inline constexpr int kMaxRanks = 1 << 20;

struct Joining {
  int rank = 0;
  int nranks = 1;
  // Several communicators may meet at one listener, one after another or at once: each has its own number.
  uint32_t meeting = 0;
  double timeout_s = 120;  // of the whole joining; 0: no bound
  uint64_t node = 0;       // equal for ranks of one node: they get adjacent places
  double heartbeat_s = 0;  // of the tree: Connection::detect_lost_host()
};

Hello make_hello(const Joining& joining, uint32_t to);
// When to give up where a peer whose own bound is `timeout_s` should have said why before.
Dialer::Deadline deadline_after(double timeout_s);

// A rank that has its place, and the line by which the listener tells of failures until it is done.
struct Seated {
  Place place;
  Fd line;
  FrameDecoder decoder;
};

// Blocks until all have come, at most until `deadline`. `control`: where this rank listens for its children; the address is filled in with
// the one by which this host reaches the rendezvous. Errors: kTimeout (lists who never came), kInvalidUsage (ranks disagree), kRemote (a
// rank left; the listener is gone; a wrong key), kSystem.
Result<Seated> join_rendezvous(const RendezvousId& id, const Joining& joining, const ControlAddress& control,
                               const Dialer::Deadline& deadline);

}  // namespace tutti
