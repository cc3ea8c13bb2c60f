// Ranks that fail in every way, at random moments, many times: whether nobody hangs, whether everybody hears who it was, and how long that
// takes. Prints a table of times; nothing is asserted of them but the bounds of scenario.h. Processes as ranks, several runs side by side.
//   failure_runs [--repeat N] [--kinds kill,stop,...] [--wires shm,tcp,shm+tcp] [--seed S] [--only NUMBER] [--jobs J] [--lab NETNS_LAB]
// --lab: scripts/netns-lab, for cables (root only; without it there are none); --only: that one run of each kind and wire.
// Threading: one thread; it never calls Tutti.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>
#include <string>

#include "tests/api/failures/judge.h"

namespace tutti::failures {
namespace {

struct Options {
  uint64_t repeat = 100;
  uint64_t seed = 1;
  int64_t only = -1;
  int jobs = 4;
  std::string kinds = "kill,stop,cable,never-calls,other-call,abort", wires = "shm,tcp,shm+tcp";
  std::string lab;
};

struct Outcome {
  bool done = false, right = false, hung = false, void_run = false;
  double detected_s = 0;  // until the last survivor's error
  double released_s = 0;  // the slowest destroy or abort
};

// A lab of one worker: three hosts, up as long as it lives.
class Lab {
 public:
  Lab(const std::string& script, int worker) : name_("faillab" + std::to_string(getppid()) + "w" + std::to_string(worker)) {
    if (script.empty()) return;
    command_ = "env TUTTI_LAB=" + name_ + " " + script + " ";
    made_ = std::system((command_ + "up 3 2>/dev/null").c_str()) == 0;
  }
  ~Lab() {
    if (made_ && std::system((command_ + "down").c_str()) != 0) std::fprintf(stderr, "could not take down %s\n", name_.c_str());
  }
  Lab(const Lab&) = delete;
  Lab& operator=(const Lab&) = delete;

  bool made() const { return made_; }
  void cable(int host, const char* state) const {
    if (std::system((command_ + "cable " + std::to_string(host) + " " + state).c_str()) != 0) std::fprintf(stderr, "no cable\n");
  }
  // The calling process moves there.
  void enter(int host) const {
    const int fd = open(("/var/run/netns/" + name_ + std::to_string(host)).c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET) != 0) _exit(9);
    close(fd);
  }

 private:
  std::string name_, command_;
  bool made_ = false;
};

class Run {
 public:
  Run(const Scenario& scenario, const Lab& lab) : s_(scenario), lab_(lab) {
    void* const memory = mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    board_ = new (memory) Board;
    log_ = memfd_create("log", 0);
  }
  ~Run() {
    munmap(board_, sizeof(Board));
    close(log_);
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  Outcome run() {
    char host[256] = {};
    gethostname(host, sizeof host - 1);
    ended_.host = host;
    for (int rank = 0; rank < s_.ranks; ++rank) start(rank);
    ended_.statuses.assign(static_cast<size_t>(s_.ranks), -1);
    injure();
    const double bound = detection_bound_s(s_) + kRelease_s + 5;
    wait_until(now_s() + bound, [&] { return survivors_are_over(); });
    board_->finish.store(true, std::memory_order_release);
    if (s_.kind == Kind::kStop) kill(pid(s_.victim), s_.resumed ? SIGCONT : SIGKILL);
    wait_until(now_s() + (s_.kind == Kind::kStop ? bound : kRelease_s + 5), [&] { return all_have_ended(); });
    const bool hung = !all_have_ended();
    if (hung) show_stacks();
    for (int rank = 0; rank < s_.ranks; ++rank) {
      if (!has_ended(rank)) kill(pid(rank), SIGKILL), waitpid(pid(rank), nullptr, 0);
    }
    if (s_.kind == Kind::kCable) {
      lab_.cable(s_.host_of(s_.victim), "up");
      usleep(1'500'000);  // until the kernel believes it
    }
    return sum_up(hung);
  }

 private:
  pid_t pid(int rank) const { return ended_.pids[static_cast<size_t>(rank)]; }
  Report& report(int rank) const { return board_->reports[rank]; }
  Phase phase(int rank) const { return report(rank).phase.load(std::memory_order_acquire); }

  void start(int rank) {
    const pid_t parent = getpid(), child = fork();
    if (child < 0) std::abort();
    if (child == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != parent) _exit(9);
      dup2(log_, STDERR_FILENO);
      if (s_.hosts > 1) lab_.enter(s_.host_of(rank));
      run_rank(s_, rank, *board_);
      _exit(0);
    }
    ended_.pids.push_back(child);
  }

  template <class Condition>
  bool wait_until(double deadline, const Condition& condition) {
    while (!condition()) {
      if (now_s() > deadline) return false;
      usleep(200);
    }
    return true;
  }

  bool has_ended(int rank) {
    int& known = ended_.statuses[static_cast<size_t>(rank)];
    int status = 0;
    if (known == -1 && waitpid(pid(rank), &status, WNOHANG) == pid(rank)) known = status;
    return known != -1;
  }
  bool all_have_ended() {
    bool all = true;
    for (int rank = 0; rank < s_.ranks; ++rank) all = has_ended(rank) && all;
    return all;
  }
  bool survivors_are_over() {
    for (int rank = 0; rank < s_.ranks; ++rank) {
      if ((s_.kind == Kind::kCable || rank != s_.victim) && phase(rank) != Phase::kOver && !has_ended(rank)) return false;
    }
    return true;
  }

  void injure() {
    const Phase moment = s_.moment == Moment::kInit ? Phase::kJoining : Phase::kAtTheCall;
    const double patience = now_s() + 60;
    const bool by_itself = s_.kind == Kind::kNeverCalls || s_.kind == Kind::kOtherCall || s_.kind == Kind::kAbort;
    if (by_itself) {
      wait_until(patience,
                 [&] { return report(s_.victim).acted_at.load(std::memory_order_acquire) != 0 || phase(s_.victim) == Phase::kOver; });
      ended_.injured_at = report(s_.victim).acted_at;
      // Who comes late shall not have helped.
      if (s_.kind == Kind::kAbort) wait_until(patience, [&] { return phase(s_.victim) == Phase::kOver; });
    } else {
      wait_until(patience, [&] { return phase(s_.victim) >= moment; });
      usleep(static_cast<useconds_t>(s_.delay_us));
      ended_.injured_at = now_s();
      if (s_.kind == Kind::kKill) kill(pid(s_.victim), SIGKILL);
      if (s_.kind == Kind::kStop) kill(pid(s_.victim), SIGSTOP);
      if (s_.kind == Kind::kCable) lab_.cable(s_.host_of(s_.victim), "down");
    }
    board_->injured.store(true, std::memory_order_release);
  }

  void show_stacks() {
    if (std::getenv("FAILURE_RUNS_GDB") == nullptr) return;
    for (int rank = 0; rank < s_.ranks; ++rank) {
      if (has_ended(rank)) continue;
      const std::string command = "gdb -p " + std::to_string(pid(rank)) + " -batch -ex 'thread apply all bt' 2>/dev/null 1>&2";
      static_cast<void>(std::system(command.c_str()));
    }
  }

  Outcome sum_up(bool hung) {
    Outcome outcome = {.done = true, .hung = hung, .void_run = report(s_.victim).void_run};
    const std::string wrong = outcome.void_run ? "" : judge(s_, *board_, ended_);
    outcome.right = wrong.empty() && !hung;
    for (int rank = 0; rank < s_.ranks; ++rank) {
      if (phase(rank) != Phase::kOver || (rank == s_.victim && s_.kind != Kind::kCable && s_.kind != Kind::kAbort)) continue;
      outcome.detected_s = std::max(outcome.detected_s, report(rank).failed_at - ended_.injured_at);
      outcome.released_s = std::max(outcome.released_s, report(rank).released_s);
    }
    if (!outcome.right) tell(wrong);
    return outcome;
  }

  // In one piece, since several workers may have something to tell.
  void tell(const std::string& wrong) const {
    std::string text = "\nWRONG: " + s_.describe() + "\n" + wrong;
    for (int rank = 0; rank < s_.ranks; ++rank) {
      const Report& r = report(rank);
      char line[256];
      std::snprintf(line, sizeof line,
                    "  rank %d (pid %d): phase %d, result %d after %.3f s, call %d%s, async %d, then %d, freed in %.3f s: ", rank,
                    pid(rank), static_cast<int>(phase(rank)), r.result, r.failed_at - ended_.injured_at, r.failed_call,
                    r.in_init ? " (init)" : "", r.async, r.repeated, r.released_s);
      text += line + std::string(r.sentence) + "\n";
    }
    char log[4000];
    const ssize_t got = pread(log, sizeof log);
    if (got > 0) text += "  log: " + std::string(log, static_cast<size_t>(got)) + "\n";
    static_cast<void>(!write(STDERR_FILENO, text.data(), text.size()));
  }
  ssize_t pread(char* to, size_t bytes) const { return ::pread(log_, to, bytes, 0); }

  const Scenario s_;
  const Lab& lab_;
  Board* board_ = nullptr;
  int log_ = -1;
  Ended ended_;
};

bool lists(const std::string& list, const std::string& name) {
  return ("," + list + ",").find("," + name + ",") != std::string::npos;
}

struct Table {
  Kind kind;
  Wire wire;
  std::vector<Scenario> scenarios;
};

std::vector<Table> plan(const Options& options) {
  std::vector<Table> tables;
  for (const Kind kind : kKinds) {
    for (const Wire wire : kWires) {
      const bool cable = kind == Kind::kCable;
      if (!lists(options.kinds, text_of(kind)) || !lists(options.wires, text_of(wire))) continue;
      if (cable && (wire == Wire::kShm || options.lab.empty())) continue;
      Table& table = tables.emplace_back(Table{kind, wire, {}});
      for (uint64_t i = 0; i < options.repeat; ++i) {
        if (options.only < 0 || static_cast<uint64_t>(options.only) == i)
          table.scenarios.push_back(make_scenario(options.seed, i, kind, wire));
      }
    }
  }
  return tables;
}

// Runs every jobs-th scenario.
void work(int worker, const Options& options, const std::vector<Scenario>& all, Outcome* outcomes) {
  const Lab lab(options.lab, worker);
  for (size_t i = static_cast<size_t>(worker); i < all.size(); i += static_cast<size_t>(options.jobs)) {
    if (all[i].kind == Kind::kCable && !lab.made()) continue;
    outcomes[i] = Run(all[i], lab).run();
  }
}

double at(const std::vector<double>& sorted, double part) {
  return sorted[std::min(sorted.size() - 1, static_cast<size_t>(part * static_cast<double>(sorted.size())))];
}

// True where nothing went wrong.
bool print(const Table& table, const Outcome* outcomes) {
  std::vector<double> times;
  size_t wrong = 0, hung = 0, skipped = 0;
  double released = 0;
  for (size_t i = 0; i < table.scenarios.size(); ++i) {
    const Outcome& o = outcomes[i];
    skipped += o.void_run || !o.done ? 1 : 0;
    if (o.void_run || !o.done) continue;
    wrong += o.right ? 0 : 1;
    hung += o.hung ? 1 : 0;
    if (table.scenarios[i].moment != Moment::kInit) times.push_back(1000 * o.detected_s);
    released = std::max(released, 1000 * o.released_s);
  }
  std::sort(times.begin(), times.end());
  if (times.empty()) times.push_back(0);
  std::printf("%-12s %-8s %5zu %5zu %6zu %9.1f %9.1f %9.1f %9.1f\n", text_of(table.kind), text_of(table.wire),
              table.scenarios.size() - skipped, hung, wrong, at(times, 0.5), at(times, 0.9), times.back(), released);
  return wrong == 0;
}

int run(const Options& options) {
  const std::vector<Table> tables = plan(options);
  std::vector<Scenario> all;
  for (const Table& table : tables) all.insert(all.end(), table.scenarios.begin(), table.scenarios.end());
  const size_t bytes = sizeof(Outcome) * (all.size() + 1);
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 2;
  auto* const outcomes = new (memory) Outcome[all.size() + 1];
  std::vector<pid_t> workers;
  for (int worker = 0; worker < options.jobs; ++worker) {
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child == 0) {
      work(worker, options, all, outcomes);
      _exit(0);
    }
    workers.push_back(child);
  }
  bool right = true;
  for (const pid_t worker : workers) {
    int status = 0;
    right = waitpid(worker, &status, 0) == worker && status == 0 && right;
  }
  std::printf(
      "# milliseconds from the failure to the last survivor's error (not of those during init), and the slowest destroy or abort\n");
  std::printf("# %-10s %-8s %5s %5s %6s %9s %9s %9s %9s\n", "failure", "over", "runs", "hangs", "wrong", "median", "p90", "worst", "freed");
  size_t first = 0;
  for (const Table& table : tables) {
    right = print(table, outcomes + first) && right;
    first += table.scenarios.size();
  }
  std::printf(right ? "# all as it must be\n" : "# WRONG, see above\n");
  return right ? 0 : 1;
}

int parse_and_run(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i], value = i + 1 < argc ? argv[i + 1] : "";
    if (name == "--repeat")
      options.repeat = std::strtoull(value.c_str(), nullptr, 10);
    else if (name == "--seed")
      options.seed = std::strtoull(value.c_str(), nullptr, 10);
    else if (name == "--only")
      options.only = std::strtoll(value.c_str(), nullptr, 10);
    else if (name == "--jobs")
      options.jobs = std::max(1, std::atoi(value.c_str()));
    else if (name == "--kinds")
      options.kinds = value;
    else if (name == "--wires")
      options.wires = value;
    else if (name == "--lab")
      options.lab = value;
    else
      return std::fprintf(
                 stderr,
                 "usage: failure_runs [--repeat N] [--seed X] [--only RUN] [--jobs N] [--kinds LIST] [--wires LIST] [--lab netns-lab]\n"),
             2;
  }
  return run(options);
}

}  // namespace
}  // namespace tutti::failures

int main(int argc, char** argv) {
  return tutti::failures::parse_and_run(argc, argv);
}
