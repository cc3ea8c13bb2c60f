// Where the ranks of a communicator to be meet: a listener in one process, served by its control thread; every rank brings some bytes and
// goes away with everybody's.
//
//   rank -> hello      who I am, how many we are, a nonce
//   rank <- challenge  a nonce, and proof that the listener knows the key
//   rank -> join       proof that I know the key, my bytes
//   rank <- table      all ranks' bytes, once all have come; or refuse: a code and a sentence
//
// Proofs are HMAC-SHA-256 over both nonces and the hello, so a replay proves nothing. Before a rank's proof the listener has believed
// nothing but sizes.
// Threading: open_rendezvous() and join() from any thread; all of a listener's state belongs to the control thread.
#pragma once

#include <array>
#include <vector>

#include "base/crypto.h"
#include "base/status.h"
#include "comm/wire.h"
#include "tutti/tutti.h"

namespace tutti {

// What a tuttiUniqueId holds.
struct RendezvousId {
  std::array<std::byte, 16> address{};  // IPv6, or IPv4 mapped into it
  uint16_t port = 0;
  Key key{};
};

tuttiUniqueId encode_id(const RendezvousId& id);
// Errors: kInvalidArgument (these bytes were not made by tuttiGetUniqueId).
Result<RendezvousId> decode_id(const tuttiUniqueId& id);

// Starts a listener with a fresh key on this host. It serves as long as the process lives. Errors: kSystem.
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
  double timeout_s = 120;  // 0: no bound
};

inline constexpr size_t kMaxJoinBytes = 4096;  // what a rank may bring

// Blocks until all have come: everybody's bytes, by rank. Errors: kTimeout (lists who never came), kInvalidUsage (ranks disagree; `mine` is
// too long), kRemote (a rank left; the listener is gone; a wrong key), kSystem.
Result<std::vector<Bytes>> join_rendezvous(const RendezvousId& id, const Joining& joining, std::span<const std::byte> mine);

}  // namespace tutti
