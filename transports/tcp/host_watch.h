// Whether the host at the other end of a connection still answers.
//
// On an idle connection the kernel's keepalive probes find out. While something is unacknowledged they rest, and the kernel would send it
// again for a quarter of an hour. TCP_USER_TIMEOUT is no help: it also counts the time for which the peer's window stays shut, and so ends
// the connection to a living rank that computes for that long while its kernel is full of what it was sent (seen on Linux 6.18). So the
// kernel is asked now and then: something has waited for an answer all the time, and not one acknowledgement came. A living host's kernel
// answers, whatever its processes do.
// Threading: one thread at a time.
#pragma once

#include <chrono>

namespace tutti::tcp {

class HostWatch {
 public:
  using Clock = std::chrono::steady_clock;

  // `fd`: a connected TCP socket. `bound_s`: after so long without an answer the host counts as lost; 0: never.
  void begin(int fd, double bound_s);

  // Looks. True: lost. With looks every `bound_s` / kLooks or more often, within 1 + 2/kLooks of the bound; where a full peer was asked for
  // room when its host vanished, once the kernel has asked again.
  bool lost(int fd, Clock::time_point now);

  static constexpr int kLooks = 4;

 private:
  double bound_s_ = 0;
  bool waits_ = false;       // something was unanswered at the last look
  Clock::time_point since_;  // when it was first, or when an answer was last seen
};

}  // namespace tutti::tcp
