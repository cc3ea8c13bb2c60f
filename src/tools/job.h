// tutti-run's life of a job: start the ranks, hand signals on, notice who failed, end the others in time, and know the exit status.
//
// A job that goes well is over when every rank has exited with status 0. After the first failure the others get `grace_s` to report, then
// SIGTERM, then after 2 s more SIGKILL; it is over when nothing of any rank's process group is left. With keep_going nobody is ended.
// Every wait that follows a failure or the last rank's end is bounded; only running ranks are waited for without end.
// Signals (INT, TERM, HUP, USR1, USR2, and TSTP with CONT) are handed on to every rank's process group; what becomes of the job then is
// the ranks' choice. SIGKILL and SIGQUIT end tutti-run at once, and the kernel ends the ranks with it.
//
// Ranks of other hosts are children of an agent there (agent.h), which is reached through a remote shell, a child of ours. It starts its
// ranks, hands signals on, and tells which rank failed; what is to be done about that is decided here. An agent whose tutti-run has gone
// (its standard input ends) ends its ranks by itself, as the kernel does for local ones.
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
#include "tools/agent.h"
#include "tools/launch.h"
#include "tools/prefix_output.h"

namespace tutti::run {

struct JobOptions {
  bool keep_going = false;
  bool prefix_output = false;
  double grace_s = 10;
  Fd orders;  // of an agent: where its signals come from
};

// The ranks of another host.
struct RemotePart {
  std::string host;
  int first = 0;
  int count = 0;
  std::vector<std::string> command;  // that starts the agent
  std::string order;                 // what it is told
};

// What to block before the first thread starts. A signal that tutti-run was started to ignore (nohup) stays ignored.
sigset_t handled_signals();

class Job {
 public:
  // plan.count may be 0: no rank on this host.
  Job(LaunchPlan plan, JobOptions options, std::vector<RemotePart> remote = {})
      : plan_(std::move(plan)), options_(std::move(options)), remote_(std::move(remote)), is_agent_(options_.orders) {}

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

  // A remote shell; its agent's ranks are running() as long as it is.
  struct Agent {
    pid_t pid = 0;
    std::string host;
    int first = 0;
    int count = 0;
    Fd control;
    std::string unsent;  // for control: the order, and signals that came before it was taken
    bool running = true;
    bool started = false;  // all of its ranks are
    bool done = false;     // all of them have ended
  };

  Status start();
  Status start_remote(const RemotePart& part);
  void step();
  void settle();
  void wait_at_most(double seconds);
  void read_signals();
  void hand_on(int signal_number);
  void reap();
  void ended(size_t index, int wait_status);
  void agent_ended(Agent& agent, int wait_status);
  void failed(int rank, const std::string& where, int wait_status);
  void cannot_go_on(const std::string& why);
  bool take_line(size_t agent, std::string& line);
  void tell(Agent& agent, const std::string& message);
  void flush(Agent& agent);
  void notify(const Notice& notice) const;
  void read_orders();
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
  std::vector<RemotePart> remote_;
  bool is_agent_;
  Fd signals_;
  std::vector<Rank> ranks_;  // of this host, plan_.first being the first
  std::vector<Agent> agents_;
  std::string orders_;  // read, and not a line yet
  PrefixOutput output_;
  Phase phase_ = Phase::kRunning;
  std::optional<Clock::time_point> deadline_;
  int exit_status_ = 0;
  bool failed_ = false;
  sigset_t handed_on_{};  // signals that ranks may die of by our doing
};

}  // namespace tutti::run
