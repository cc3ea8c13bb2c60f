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
    cannot_go_on(status.message());
  }
  for (settle(); phase_ != Phase::kOver; settle()) step();
  return exit_status_;
}

Status Job::start() {
  for (const RemotePart& part : remote_) {  // these take longest
    if (Status status = start_remote(part); !status.ok()) return status;
  }
  for (int rank = plan_.first; rank < plan_.first + plan_.count; ++rank) {
    RankPipes pipes;
    Result<pid_t> pid = start_rank(plan_, rank, options_.prefix_output ? &pipes : nullptr);
    if (!pid.ok()) return pid.status();
    ranks_.push_back({.pid = *pid});
    if (options_.prefix_output) {
      output_.add(rank, std::move(pipes.out), STDOUT_FILENO);
      output_.add(rank, std::move(pipes.err), STDERR_FILENO);
    }
  }
  notify({.kind = Notice::Kind::kStarted});
  return {};
}

Status Job::start_remote(const RemotePart& part) {
  Result<RemoteShell> shell = start_remote_shell(part.command, plan_.signal_mask, options_.prefix_output);
  if (!shell.ok()) return {shell.status().code(), "cannot reach host " + part.host + ": " + shell.status().message()};
  const size_t index = agents_.size();
  agents_.push_back({.pid = shell->pid, .host = part.host, .first = part.first, .count = part.count, .control = std::move(shell->control)});
  output_.add_remote(std::move(shell->err), STDERR_FILENO, [this, index](std::string& line) { return take_line(index, line); });
  if (shell->out) output_.add_remote(std::move(shell->out), STDOUT_FILENO, [](std::string&) { return true; });
  tell(agents_.back(), part.order);
  return {};
}

// Waits for one thing to happen, and deals with all that has.
void Job::step() {
  std::vector<pollfd> polls = {{signals_.get(), POLLIN, 0}, {options_.orders.get(), POLLIN, 0}};
  for (const Agent& agent : agents_) polls.push_back({agent.unsent.empty() ? -1 : agent.control.get(), POLLOUT, 0});
  const size_t own = polls.size();
  output_.watch(polls);
  if (poll(polls.data(), polls.size(), timeout_ms()) < 0) return;  // EINTR, or ENOMEM: nothing is lost by asking again
  for (size_t i = 0; i < agents_.size(); ++i) {
    if (polls[2 + i].revents != 0) flush(agents_[i]);
  }
  if (polls[1].revents != 0) read_orders();
  if (polls[0].revents != 0) read_signals();
  output_.handle(polls.data() + own, polls.size() - own);
  act_on_deadline();
}

// Decides whether the job is over, or what there is to wait for once all ranks have ended.
void Job::settle() {
  if (phase_ == Phase::kOver || running() > 0) return;
  // On another host nobody would look after what is left, and it would keep the remote shell from ending.
  if ((failed_ || is_agent_) && !options_.keep_going && groups_left()) {
    if (phase_ == Phase::kRunning && is_agent_) phase_ = Phase::kGrace;
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
    notify({.kind = Notice::Kind::kDone});
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
  // Stop as we were asked to, now that the ranks were; SIGCONT resumes us before it arrives here to be handed on. An agent listens on.
  if (number == SIGTSTP && !is_agent_) raise(SIGSTOP);
}

// As a child subreaper (see main) tutti-run inherits what dead ranks leave behind, so pids that are no rank's come by as well.
void Job::reap() {
  int status = 0;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    const auto rank = std::find_if(ranks_.begin(), ranks_.end(), [&](const Rank& r) { return r.running && r.pid == pid; });
    if (rank != ranks_.end()) ended(static_cast<size_t>(rank - ranks_.begin()), status);
    const auto agent = std::find_if(agents_.begin(), agents_.end(), [&](const Agent& a) { return a.running && a.pid == pid; });
    if (agent != agents_.end()) agent_ended(*agent, status);
  }
}

void Job::ended(size_t index, int wait_status) {
  Rank& rank = ranks_[index];
  rank.running = false;
  // Asked at once: while a member is left the kernel does not give the number to anybody else.
  rank.group_left = kill(-rank.pid, 0) == 0;
  if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0) return;
  failed(plan_.first + static_cast<int>(index), "pid " + std::to_string(rank.pid), wait_status);
}

// Its notices are in the pipe by now. Without the last of them its ranks are in unknown hands.
void Job::agent_ended(Agent& agent, int wait_status) {
  output_.drain_remote();
  agent.running = false;
  agent.control.reset();
  if (agent.done && !agent.started) return cannot_go_on("");  // it has said why
  if (agent.done || phase_ >= Phase::kTerminating || asked_to_end()) return;
  const std::string ranks = agent.count == 1
                                ? "rank " + std::to_string(agent.first)
                                : "ranks " + std::to_string(agent.first) + ".." + std::to_string(agent.first + agent.count - 1);
  const std::string how = WIFEXITED(wait_status) ? "exited with status " + std::to_string(WEXITSTATUS(wait_status))
                                                 : "was killed by " + signal_text(WTERMSIG(wait_status));
  if (agent.started) return cannot_go_on("lost host " + agent.host + " with " + ranks + ": the remote shell " + how);
  cannot_go_on("cannot start " + ranks + " on host " + agent.host + ": the remote shell " + how +
               "; does it reach that host without a password, and is tutti-run at the same path there? (TUTTI_RSH)");
}

// The job is not what was asked for: it ends, whatever was to happen to failing ranks.
void Job::cannot_go_on(const std::string& why) {
  if (!why.empty()) say(why);
  if (!failed_) exit_status_ = 1;
  failed_ = true;
  options_.keep_going = false;
  end_ranks(Phase::kTerminating);
}

// Lines of an agent's standard error. False: nothing of it is for the reader.
bool Job::take_line(size_t index, std::string& line) {
  const std::optional<Notice> notice = take_notice(line);
  if (!notice) return true;
  Agent& agent = agents_[index];
  switch (notice->kind) {
    case Notice::Kind::kStarted: agent.started = true; break;
    case Notice::Kind::kDone: agent.done = true; break;
    case Notice::Kind::kFailed: failed(notice->rank, "host " + agent.host, notice->wait_status); break;
  }
  return !line.empty();
}

void Job::tell(Agent& agent, const std::string& message) {
  if (!agent.running) return;
  agent.unsent += message;
  flush(agent);
}

void Job::flush(Agent& agent) {
  while (!agent.unsent.empty()) {
    const ssize_t n = write(agent.control.get(), agent.unsent.data(), agent.unsent.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;  // again when poll() says so
    if (n < 0) agent.unsent.clear();       // it has gone; its end says the rest
    if (n > 0) agent.unsent.erase(0, static_cast<size_t>(n));
  }
}

// An agent's, to the tutti-run that started it. Short enough for one write, and never in the midst of a line of the ranks' if they write
// lines.
void Job::notify(const Notice& notice) const {
  if (!is_agent_) return;
  const std::string line = encode_notice(notice);
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line.data(), line.size());  // nobody there: orders_ ends as well
}

void Job::read_orders() {
  char buffer[256];
  const ssize_t got = read(options_.orders.get(), buffer, sizeof buffer);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (got <= 0) {  // tutti-run has gone, or the connection to it
    options_.orders.reset();
    cannot_go_on("");
    return;
  }
  orders_.append(buffer, static_cast<size_t>(got));
  for (size_t end; (end = orders_.find('\n')) != std::string::npos; orders_.erase(0, end + 1)) {
    int number = 0;
    if (std::sscanf(orders_.c_str(), "signal %d", &number) == 1 && number > 0 && number < NSIG) hand_on(number);
  }
}

void Job::failed(int rank, const std::string& where, int wait_status) {
  const bool first = !failed_;
  const bool killed = WIFSIGNALED(wait_status);
  const int code = killed ? WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
  if (first) {
    failed_ = true;
    exit_status_ = killed ? 128 + code : code;
  } else if (phase_ >= Phase::kTerminating || (killed && sigismember(&handed_on_, code) == 1)) {
    return;  // our doing, or the user's: said once
  }
  if (is_agent_) {  // whoever gave them decides what comes of it
    return notify({.kind = Notice::Kind::kFailed, .rank = rank, .wait_status = wait_status});
  }
  std::string message = "rank " + std::to_string(rank) + " (" + where + ") ";
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
      for (const Agent& agent : agents_) {
        if (agent.running) kill(-agent.pid, SIGKILL);
      }
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
  for (Agent& agent : agents_) {
    tell(agent, "signal " + std::to_string(number) + "\n");
    // Before its agent listens, the remote shell itself is what there is to end.
    if (agent.running && !agent.started && (asks_to_end(number) || number == SIGKILL)) kill(-agent.pid, number);
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
  const auto runs = [](const auto& child) { return child.running; };
  return static_cast<size_t>(std::count_if(ranks_.begin(), ranks_.end(), runs) + std::count_if(agents_.begin(), agents_.end(), runs));
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
  if (options_.prefix_output || !agents_.empty()) {
    output_.say(line);
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
}

}  // namespace tutti::run
