#include "tools/job.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>

namespace tutti::run {

namespace {

constexpr int kHandedOn[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGTSTP, SIGCONT};
constexpr double kKillAfterS = 2;      // from SIGTERM to SIGKILL
constexpr double kGiveUpAfterS = 2;    // from SIGKILL, which a process stuck in the kernel does not heed
constexpr double kLeftBehindForS = 2;  // for what dead ranks left running to finish, such as a `tee` of their output

std::string signal_text(int number) {
  return "signal " + std::to_string(number) + " (" + strsignal(number) + ")";
}

std::string seconds(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g s", value);
  return text;
}

constexpr int kAskToEnd[] = {SIGINT, SIGTERM, SIGHUP};

bool asks_to_end(int number) {
  return std::find(std::begin(kAskToEnd), std::end(kAskToEnd), number) != std::end(kAskToEnd);
}

}  // namespace

sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  // Writing to a pipe that nobody reads shall be an error of write().
  sigaddset(&set, SIGPIPE);
  for (const int number : kHandedOn) {
    // Blocked signals are queued for the signalfd even when they are to be ignored, so ask first.
    struct sigaction action {};
    if (sigaction(number, nullptr, &action) == 0 && action.sa_handler != SIG_IGN) sigaddset(&set, number);
  }
  return set;
}

int Job::run() {
  sigemptyset(&handed_on_);
  sigset_t watched = handled_signals();
  sigdelset(&watched, SIGPIPE);
  signals_.reset(signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_) {
    say(std::string("cannot watch signals: ") + std::strerror(errno));
    return 1;
  }
  if (const Status status = start(); !status.ok()) {
    say(status.message());
    failed_ = true;
    exit_status_ = 1;
    options_.keep_going = false;  // the job is not what was asked for: it ends, whatever was to happen to failing ranks
    end_ranks(Phase::kTerminating);
  }
  for (settle(); phase_ != Phase::kOver; settle()) step();
  return exit_status_;
}

Status Job::start() {
  for (int rank = 0; rank < plan_.ranks; ++rank) {
    RankPipes pipes;
    Result<pid_t> pid = start_rank(plan_, rank, options_.prefix_output ? &pipes : nullptr);
    if (!pid.ok()) return pid.status();
    ranks_.push_back({.pid = *pid});
    if (options_.prefix_output) {
      output_.add(rank, std::move(pipes.out), STDOUT_FILENO);
      output_.add(rank, std::move(pipes.err), STDERR_FILENO);
    }
  }
  return {};
}

// Waits for one thing to happen, and deals with all that has.
void Job::step() {
  std::vector<pollfd> polls = {{signals_.get(), POLLIN, 0}};
  output_.watch(polls);
  if (poll(polls.data(), polls.size(), timeout_ms()) < 0) return;  // EINTR, or ENOMEM: nothing is lost by asking again
  if (polls[0].revents != 0) read_signals();
  output_.handle(polls.data() + 1, polls.size() - 1);
  act_on_deadline();
}

// Decides whether the job is over, or what there is to wait for once all ranks have ended.
void Job::settle() {
  if (phase_ == Phase::kOver || running() > 0) return;
  if (failed_ && !options_.keep_going && groups_left()) {
    if (phase_ == Phase::kGrace) wait_at_most(kLeftBehindForS);
    return;
  }
  // Open: bytes that are not read yet, or something that left its group holds the pipe. Pending: the reader of our own output is slow,
  // and may be, unless we were asked to end.
  if (output_.open() || (output_.pending() && asked_to_end())) {
    if (phase_ != Phase::kDraining) deadline_.reset();
    phase_ = Phase::kDraining;
    wait_at_most(kLeftBehindForS);
  } else if (!output_.pending()) {
    phase_ = Phase::kOver;
  }
}

// Brings the deadline forward; never puts it off.
void Job::wait_at_most(double seconds) {
  const Clock::time_point bound = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  deadline_ = deadline_ ? std::min(*deadline_, bound) : bound;
}

void Job::read_signals() {
  signalfd_siginfo info{};
  while (read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    if (info.ssi_signo != SIGCHLD) hand_on(static_cast<int>(info.ssi_signo));
  }
  reap();  // SIGCHLDs merge, so one of them may stand for many
}

void Job::hand_on(int number) {
  sigaddset(&handed_on_, number);
  if (asks_to_end(number) && running() == 0) {  // only leavings and output were waited for
    phase_ = Phase::kOver;
    if (exit_status_ == 0) exit_status_ = 128 + number;
    if (failed_ && !options_.keep_going) signal_groups(SIGKILL);
    return;
  }
  signal_groups(number);
  // Stop as we were asked to, now that the ranks were; SIGCONT resumes us before it arrives here to be handed on.
  if (number == SIGTSTP) raise(SIGSTOP);
}

// As a child subreaper (see main) tutti-run inherits what dead ranks leave behind, so pids that are no rank's come by as well.
void Job::reap() {
  int status = 0;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    const auto rank = std::find_if(ranks_.begin(), ranks_.end(), [&](const Rank& r) { return r.running && r.pid == pid; });
    if (rank != ranks_.end()) ended(static_cast<int>(rank - ranks_.begin()), status);
  }
}

void Job::ended(int rank, int wait_status) {
  ranks_[rank].running = false;
  // Asked at once: while a member is left the kernel does not give the number to anybody else.
  ranks_[rank].group_left = kill(-ranks_[rank].pid, 0) == 0;
  if (!WIFEXITED(wait_status) || WEXITSTATUS(wait_status) != 0) failed(rank, wait_status);
}

void Job::failed(int rank, int wait_status) {
  const bool first = !failed_;
  const bool killed = WIFSIGNALED(wait_status);
  const int code = killed ? WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
  if (first) {
    failed_ = true;
    exit_status_ = killed ? 128 + code : code;
  } else if (phase_ >= Phase::kTerminating || (killed && sigismember(&handed_on_, code) == 1)) {
    return;  // our doing, or the user's: said once
  }
  std::string message = "rank " + std::to_string(rank) + " (pid " + std::to_string(ranks_[rank].pid) + ") ";
  message += killed ? "was killed by " + signal_text(code) : "exited with status " + std::to_string(code);
  const bool others = running() > 0;
  if (first && others) message += options_.keep_going ? "; the others go on" : "; ending the others in " + seconds(options_.grace_s);
  say(message);
  if (first && !options_.keep_going && phase_ == Phase::kRunning) {
    phase_ = Phase::kGrace;
    wait_at_most(options_.grace_s);
  }
}

void Job::act_on_deadline() {
  if (!deadline_ || Clock::now() < *deadline_) return;
  deadline_.reset();
  switch (phase_) {
    case Phase::kGrace: end_ranks(Phase::kTerminating); break;
    case Phase::kTerminating: end_ranks(Phase::kKilling); break;
    case Phase::kKilling:
      // Not by say(): nothing that is queued now would be carried out.
      std::fputs("tutti-run: gave up waiting for processes that do not die: look at ps\n", stderr);
      phase_ = Phase::kOver;
      break;
    case Phase::kDraining:
      output_.close_pipes();
      if (asked_to_end()) phase_ = Phase::kOver;
      break;
    case Phase::kRunning:
    case Phase::kOver: break;  // they have no deadline
  }
}

void Job::end_ranks(Phase phase) {
  phase_ = phase;
  if (phase == Phase::kTerminating) {
    signal_groups(SIGTERM);
    signal_groups(SIGCONT);  // a stopped process takes no SIGTERM before it continues
    wait_at_most(kKillAfterS);
  } else {
    signal_groups(SIGKILL);
    wait_at_most(kGiveUpAfterS);
  }
}

void Job::signal_groups(int number) {
  for (const Rank& rank : ranks_) {
    if (rank.running || rank.group_left) kill(-rank.pid, number);
  }
}

bool Job::asked_to_end() const {
  return std::any_of(std::begin(kAskToEnd), std::end(kAskToEnd), [&](int number) { return sigismember(&handed_on_, number) == 1; });
}

int Job::timeout_ms() const {
  if (!deadline_) return -1;
  const double left_ms = std::chrono::duration<double, std::milli>(*deadline_ - Clock::now()).count();
  return static_cast<int>(std::ceil(std::clamp(left_ms, 0.0, 1e6)));
}

size_t Job::running() const {
  return static_cast<size_t>(std::count_if(ranks_.begin(), ranks_.end(), [](const Rank& rank) { return rank.running; }));
}

bool Job::groups_left() {
  bool any = false;
  for (Rank& rank : ranks_) {
    rank.group_left = rank.group_left && kill(-rank.pid, 0) == 0;
    any = any || rank.group_left;
  }
  return any;
}

void Job::say(const std::string& message) {
  const std::string line = "tutti-run: " + message;
  if (options_.prefix_output) {
    output_.say(line);
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
}

}  // namespace tutti::run
