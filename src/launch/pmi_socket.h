// The socket to a PMI process manager, and what PMI-1 and PMI-2 have in common: how it is found, the first exchange, bounded reading and
// writing, and when to take leave.
//
// An MPI library in this process uses the same socket. Requests and answers alternate and all ranks make them in the same order, so both
// can use it one after the other; but after `finalize` the manager does not listen any more. So where an MPI library is loaded, leave is
// taken at exit, after which nobody wants anything; where none is, at once, so that the manager takes no later end of ours amiss.
//
// Invariant: never more is read than one answer, since none comes unasked. The descriptor is a duplicate: MPI may close its own.
// Threading: one thread at a time.
#pragma once

#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/status.h"
#include "launch/deadline.h"
#include "launch/environment.h"

namespace tutti {

class PmiSocket {
 public:
  // By PMI_FD, or by connecting to PMI_PORT (host:port). Errors: kInvalidUsage (neither leads to a socket).
  static Result<PmiSocket> open(const Environment& environment, double timeout_s);
  PmiSocket(Fd fd, double timeout_s) : fd_(std::move(fd)), deadline_(timeout_s) {}

  // Errors of all: kRemote (the manager ended, or answers with nonsense), kTimeout; kSystem.
  Status send(std::string_view message);
  // Without its newline. Lines over 64 KiB are nonsense.
  Result<std::string> read_line();
  Result<std::string> read_exactly(size_t bytes);
  // send(line) and read_line(); the answer must begin with cmd=`answer`.
  Result<std::string> ask_line(std::string_view line, std::string_view answer);

  // Sends `farewell` and waits shortly for any answer; at exit where an MPI library is loaded. The socket is not used afterwards.
  static void leave(PmiSocket socket, std::string farewell);

  static constexpr size_t kMaxMessageBytes = 64 * 1024;

 private:
  Status wait_for(short events);

  Fd fd_;
  Deadline deadline_;
  std::string received_;
};

// The value of `key` in "cmd=x key=value ..."; empty where there is none.
std::string pmi1_value(std::string_view line, std::string_view key);

// The first line that both protocols begin with. Errors: as ask_line; kRemote (the manager does not speak this version).
Status pmi_init(PmiSocket& socket, int version, int subversion);

// PMI_RANK and PMI_SIZE, where they are set.
bool pmi_present(const Environment& environment);

}  // namespace tutti
