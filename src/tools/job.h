// tutti-run's life of a job: start the ranks, hand signals on, notice who failed, end the others in time, and know the exit status.
//
// A job that goes well is over when every rank has exited with status 0. After the first failure the others get `grace_s` to report, then
// SIGTERM, then after 2 s more SIGKILL; it is over when nothing of any rank's process group is left. With keep_going nobody is ended.
// Every wait that follows a failure or the last rank's end is bounded; only running ranks are waited for without end.
// Signals (INT, TERM, HUP, USR1, USR2, and TSTP with CONT) are handed on to every rank's process group; what becomes of the job then is
// the ranks' choice. SIGKILL and SIGQUIT end tutti-run at once, and the kernel ends the ranks with it.
//
// Invariant: no child stays unreaped, and whoever leaves run() early has ended the ranks.
// Threading: the main thread only, with the signals of handled_signals() blocked in every thread of the process.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "tools/launch.h"
#include "tools/prefix_output.h"

namespace tutti::run {

struct JobOptions {
  bool keep_going = false;
  bool prefix_output = false;
  double grace_s = 10;
};

// What to block before the first thread starts. A signal that tutti-run was started to ignore (nohup) stays ignored.
sigset_t handled_signals();

class Job {
 public:
  Job(LaunchPlan plan, JobOptions options) : plan_(std::move(plan)), options_(options) {}

  // Runs the job and returns tutti-run's exit status: 0, or the first failure's (128 + signal for a signal), or 1 when a rank could not be
  // started. Blocks until the job is over.
  int run();

 private:
  using Clock = std::chrono::steady_clock;
  enum class Phase { kRunning, kGrace, kTerminating, kKilling, kDraining, kOver };

  struct Rank {
    pid_t pid = 0;  // also its process group
    bool running = true;
    bool group_left = false;  // it has ended, and something that it started has not
  };

  Status start();
  void step();
  void settle();
  void wait_at_most(double seconds);
  void read_signals();
  void hand_on(int signal_number);
  void reap();
  void ended(int rank, int wait_status);
  void failed(int rank, int wait_status);
  void act_on_deadline();
  void end_ranks(Phase phase);
  void signal_groups(int signal_number);
  bool asked_to_end() const;
  int timeout_ms() const;
  size_t running() const;
  bool groups_left();
  void say(const std::string& message);

  LaunchPlan plan_;
  JobOptions options_;
  Fd signals_;
  std::vector<Rank> ranks_;
  PrefixOutput output_;
  Phase phase_ = Phase::kRunning;
  std::optional<Clock::time_point> deadline_;
  int exit_status_ = 0;
  bool failed_ = false;
  sigset_t handed_on_{};  // signals that ranks may die of by our doing
};

}  // namespace tutti::run
