// How tutti-run starts one rank: which program, on which PU, with which environment, and fork + exec.
// Invariant: between fork and exec a child calls only async-signal-safe functions, because the parent has a second thread (the
// library's, which holds the rendezvous). Everything that allocates is therefore prepared before the fork.
// Threading: tutti-run's main thread only, since PR_SET_PDEATHSIG fires when the thread that forked ends.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <string>
#include <vector>

#include "base/fd.h"
#include "base/status.h"

namespace tutti::run {

enum class Pin { kAuto, kNo, kYes };  // kAuto: where there is a PU for every rank

// The file that `name` starts, searched in PATH as the shell does. Errors: kInvalidArgument, a sentence for people.
Result<std::string> find_program(const std::string& name);

// The PUs that this process may use, one of every core first, so that few ranks do not share cores. Empty: unknown.
std::vector<int> pinning_order();

struct LaunchPlan {
  std::string program;                 // from find_program()
  std::vector<std::string> arguments;  // argv, [0] included
  int ranks = 1;                       // of the job
  int first = 0;                       // on this host: first .. first + count - 1
  int count = 1;
  bool input = true;  // rank 0 reads tutti-run's standard input
  std::string unique_id_hex;
  std::vector<int> pus;    // the k-th rank here is bound to pus[k % size]; empty: nobody is bound
  bool must_bind = false;  // a rank that cannot be bound fails to start
  sigset_t signal_mask{};  // the ranks'
};

// A rank's standard output and error, when they are to be captured; otherwise the ranks write to tutti-run's own.
struct RankPipes {
  Fd out;
  Fd err;
};

// Starts `rank` as a direct child and as the leader of its own process group, and returns once it runs the program. The kernel kills it
// when this process dies (its own children it does not). `pipes` may be null. Errors: kSystem, a sentence that names the program.
Result<pid_t> start_rank(const LaunchPlan& plan, int rank, RankPipes* pipes);

// A remote shell with its pipes: what it writes to standard error never blocks us, nor does what we write into `control`.
struct RemoteShell {
  pid_t pid = 0;
  Fd control;  // its standard input
  Fd out;      // only where asked for
  Fd err;
};

// Starts `command`, [0] searched in PATH, as start_rank() starts ranks, with tutti-run's own environment. Errors: kSystem,
// kInvalidArgument.
Result<RemoteShell> start_remote_shell(std::vector<std::string> command, const sigset_t& signal_mask, bool capture_out);

}  // namespace tutti::run
