// The other end of a handshake: connects to a peer's listener.
// Threading: any thread; blocks until the deadline at most.
#pragma once

#include <chrono>
#include <functional>

#include "base/fd.h"
#include "transports/tcp/handshake.h"

namespace tutti::tcp {

struct DialResult {
  enum class Outcome : uint8_t {
    kConnected,  // `fd` carries frames from here on
    kWait,       // the peer has a connection to us, or is making one
    kNobody,     // nobody listens there any more
    kHungUp,     // it listens, and ended the handshake: it is leaving, or swamped
  };
  Outcome outcome = Outcome::kNobody;
  Fd fd;
};

// Tries `addresses` one after another. Errors: kTimeout; kRemote (what answers there does not know the key); kSystem (no way there: the
// sentence says where to);
// kAborted (`interrupted`, which is asked now and then, said so). `peer` names the peer in errors.
Result<DialResult> dial(std::span<const IpAddress> addresses, uint16_t port, const Hello& hello, const Key& key, size_t buffer_bytes,
                        std::chrono::steady_clock::time_point deadline, const std::string& peer,
                        const std::function<bool()>& interrupted = {});

}  // namespace tutti::tcp
