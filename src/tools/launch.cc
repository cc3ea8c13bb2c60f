#include "tools/launch.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <string_view>

namespace tutti::run {

namespace {

// A set of PUs of any size: cpu_set_t ends at 1024.
class PuSet {
 public:
  explicit PuSet(size_t pus) : words_((pus + kBits - 1) / kBits) {}
  cpu_set_t* get() { return reinterpret_cast<cpu_set_t*>(words_.data()); }
  const cpu_set_t* get() const { return reinterpret_cast<const cpu_set_t*>(words_.data()); }
  size_t size_bytes() const { return words_.size() * sizeof(unsigned long); }
  size_t size_pus() const { return words_.size() * kBits; }

 private:
  static constexpr size_t kBits = 8 * sizeof(unsigned long);
  std::vector<unsigned long> words_;
};

bool is_program(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && access(path.c_str(), X_OK) == 0;
}

std::vector<int> allowed_pus() {
  for (size_t pus = 1024; pus <= (1U << 20); pus *= 2) {
    PuSet set(pus);
    if (sched_getaffinity(0, set.size_bytes(), set.get()) != 0) {
      if (errno == EINVAL) continue;  // the kernel knows more PUs than the set holds
      return {};
    }
    std::vector<int> result;
    for (size_t pu = 0; pu < set.size_pus(); ++pu) {
      if (CPU_ISSET_S(pu, set.size_bytes(), set.get())) result.push_back(static_cast<int>(pu));
    }
    return result;
  }
  return {};
}

// Equal for the PUs of one core.
std::string core_of(int pu) {
  const std::string folder = "/sys/devices/system/cpu/cpu" + std::to_string(pu) + "/topology/";
  for (const char* name : {"core_cpus_list", "thread_siblings_list"}) {  // before Linux 5.3 only the second
    std::ifstream file(folder + name);
    std::string siblings;
    if (std::getline(file, siblings) && !siblings.empty()) return siblings;
  }
  return std::to_string(pu);
}

// Variables by which a program would take itself for a rank of a launcher outside tutti-run, or that force one.
bool names_another_launcher(std::string_view variable) {
  constexpr std::string_view kNames[] = {"PMI_FD=",    "PMI_PORT=",       "PMI_ID=",  "PMI_RANK=",       "PMI_SIZE=",
                                         "PMIX_RANK=", "PMIX_NAMESPACE=", "PMIX_ID=", "TUTTI_LAUNCHER=", "TUTTI_RENDEZVOUS="};
  constexpr std::string_view kPrefixes[] = {"PMIX_SERVER_URI", "OMPI_COMM_WORLD_"};
  const auto begins = [&](std::string_view with) { return variable.starts_with(with); };
  return std::any_of(std::begin(kNames), std::end(kNames), begins) || std::any_of(std::begin(kPrefixes), std::end(kPrefixes), begins);
}

// This process's environment with the rank's own variables in place of any that it holds, and no other launcher's.
std::vector<std::string> rank_environment(const LaunchPlan& plan, int rank) {
  const std::string number = std::to_string(rank);
  const std::string size = std::to_string(plan.ranks);
  const std::string local_rank = std::to_string(rank - plan.first);
  const std::string local_size = std::to_string(plan.count);
  const std::pair<std::string, std::string> own[] = {{"TUTTI_RANK=", number},
                                                     {"TUTTI_SIZE=", size},
                                                     {"TUTTI_LOCAL_RANK=", local_rank},
                                                     {"TUTTI_LOCAL_SIZE=", local_size},
                                                     {"TUTTI_UNIQUE_ID=", plan.unique_id_hex}};
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (!names_another_launcher(text) && std::none_of(std::begin(own), std::end(own), [&](const auto& variable) {
          return text.substr(0, variable.first.size()) == variable.first;
        })) {
      result.emplace_back(text);
    }
  }
  for (const auto& [name, value] : own) result.push_back(name + value);
  return result;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (std::string& string : strings) result.push_back(string.data());
  result.push_back(nullptr);
  return result;
}

// What a child needs, all of it made before the fork.
struct Child {
  const char* program;
  char* const* arguments;
  char* const* environment;
  const cpu_set_t* pus = nullptr;  // null: not bound
  size_t pus_bytes = 0;
  bool must_bind = false;
  const sigset_t* signal_mask = nullptr;
  pid_t parent = 0;
  int in = -1;   // -1: inherited
  int out = -1;  // -1: inherited
  int err = -1;
  int report = -1;  // closed by a successful exec
};

// What a child says when it cannot become its program.
struct Failure {
  enum class Step : int { kBind, kRedirect, kExec } step;
  int error;
};

[[noreturn]] void give_up(const Child& child, Failure::Step step) {
  const Failure failure{step, errno};
  // Should this write fail, the parent sees a rank that exited with 127, which is true as well.
  [[maybe_unused]] const ssize_t written = write(child.report, &failure, sizeof failure);
  _exit(127);
}

[[noreturn]] void become_program(const Child& child) {
  // A group of its own for every rank: a signal that tutti-run forwards reaches the rank's own children too (a rank is often a shell
  // script), and Ctrl-C, which the terminal sends to the foreground group, reaches each rank once, by way of tutti-run, not twice.
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != child.parent) _exit(127);  // tutti-run died before the line above could tell us
  if (child.pus != nullptr && sched_setaffinity(0, child.pus_bytes, child.pus) != 0 && child.must_bind)
    give_up(child, Failure::Step::kBind);
  if (child.in >= 0 && dup2(child.in, STDIN_FILENO) < 0) give_up(child, Failure::Step::kRedirect);
  if (child.out >= 0 && dup2(child.out, STDOUT_FILENO) < 0) give_up(child, Failure::Step::kRedirect);
  if (child.err >= 0 && dup2(child.err, STDERR_FILENO) < 0) give_up(child, Failure::Step::kRedirect);
  // What was pending for tutti-run does not come along; what arrives from here on meets the program's own dispositions.
  sigprocmask(SIG_SETMASK, child.signal_mask, nullptr);
  execve(child.program, child.arguments, child.environment);
  give_up(child, Failure::Step::kExec);
}

Status start_error(const LaunchPlan& plan, int rank, const Failure& failure) {
  const std::string reason = std::strerror(failure.error);
  const std::string who = "cannot start rank " + std::to_string(rank) + ": ";
  switch (failure.step) {
    case Failure::Step::kBind:
      return {Code::kSystem, who + "binding it to PU " +
                                 std::to_string(plan.pus[static_cast<size_t>(rank - plan.first) % plan.pus.size()]) + " failed: " + reason +
                                 "; try --pin no"};
    case Failure::Step::kRedirect: return {Code::kSystem, who + "redirecting its input and output failed: " + reason};
    case Failure::Step::kExec: break;
  }
  return {Code::kSystem, who + plan.program + ": " + reason};
}

Status pipe_error() {
  return {Code::kSystem, std::string("cannot make a pipe: ") + std::strerror(errno)};
}

Status make_pipe(Fd& read_end, Fd& write_end) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return pipe_error();
  read_end.reset(ends[0]);
  write_end.reset(ends[1]);
  return {};
}

// Waits for the child's exec. Nothing is read when it succeeded: the pipe's last writer closed on exec.
bool read_failure(int fd, Failure& failure) {
  ssize_t got;
  do {
    got = read(fd, &failure, sizeof failure);
  } while (got < 0 && errno == EINTR);
  return got == static_cast<ssize_t>(sizeof failure);
}

// Forks, and waits until the child has become its program. Errors: kSystem (a pipe, or the fork itself, failed). 0: `failure` says why the
// child could not; it is gone.
Result<pid_t> start(Child child, Failure& failure) {
  Fd report_read, report_write;
  if (Status status = make_pipe(report_read, report_write); !status.ok()) return status;
  child.report = report_write.get();
  const pid_t pid = fork();
  if (pid == 0) become_program(child);
  if (pid < 0) return Status(Code::kSystem, std::string("fork failed: ") + std::strerror(errno));
  setpgid(pid, pid);  // both sides do it: whoever comes first, the group exists from here on
  report_write.reset();
  if (!read_failure(report_read.get(), failure)) return pid;
  waitpid(pid, nullptr, 0);
  return pid_t{0};
}

// Rank 0 keeps tutti-run's standard input unless that is a terminal, which stops background groups that read from it. The others get
// /dev/null: they would compete for its bytes.
Fd rank_input(const LaunchPlan& plan, int rank) {
  if (rank == 0 && plan.input && isatty(STDIN_FILENO) == 0) return Fd();
  return Fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
}

}  // namespace

Result<std::string> find_program(const std::string& name) {
  errno = 0;  // stays so where the file exists and may be run, but is a folder
  if (name.find('/') != std::string::npos) {
    if (is_program(name)) return name;
    return Status(Code::kInvalidArgument,
                  name + " is not a program that can be run: " + (errno == 0 ? "not a file" : std::strerror(errno)));
  }
  const char* const path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "/bin:/usr/bin" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string candidate = (folder.empty() ? "." : folder) + "/" + name;
    if (is_program(candidate)) return candidate;
  }
  return Status(Code::kInvalidArgument, name + ": command not found in PATH");
}

std::vector<int> pinning_order() {
  struct Place {
    int round;  // how many PUs of the same core come before
    int pu;
  };
  std::vector<Place> places;
  std::map<std::string, int> seen;
  for (const int pu : allowed_pus()) places.push_back({seen[core_of(pu)]++, pu});
  std::stable_sort(places.begin(), places.end(), [](const Place& a, const Place& b) { return a.round < b.round; });
  std::vector<int> order;
  for (const Place& place : places) order.push_back(place.pu);
  return order;
}

Result<pid_t> start_rank(const LaunchPlan& plan, int rank, RankPipes* pipes) {
  std::vector<std::string> arguments = plan.arguments;
  std::vector<std::string> environment = rank_environment(plan, rank);
  const std::vector<char*> argv = pointers(arguments);
  const std::vector<char*> envp = pointers(environment);
  const bool bind = !plan.pus.empty();
  const int pu = bind ? plan.pus[static_cast<size_t>(rank - plan.first) % plan.pus.size()] : 0;
  PuSet pus(static_cast<size_t>(pu) + 1);
  if (bind) CPU_SET_S(static_cast<size_t>(pu), pus.size_bytes(), pus.get());

  const Fd in = rank_input(plan, rank);
  Fd out_write, err_write;
  if (pipes != nullptr) {
    if (Status status = make_pipe(pipes->out, out_write); !status.ok()) return status;
    if (Status status = make_pipe(pipes->err, err_write); !status.ok()) return status;
  }
  Failure failure{};
  const Result<pid_t> pid = start({.program = plan.program.c_str(),
                                   .arguments = argv.data(),
                                   .environment = envp.data(),
                                   .pus = bind ? pus.get() : nullptr,
                                   .pus_bytes = pus.size_bytes(),
                                   .must_bind = plan.must_bind,
                                   .signal_mask = &plan.signal_mask,
                                   .parent = getpid(),
                                   .in = in.get(),
                                   .out = out_write.get(),
                                   .err = err_write.get()},
                                  failure);
  if (!pid.ok()) return Status(Code::kSystem, "cannot start rank " + std::to_string(rank) + ": " + pid.status().message());
  if (pid.value() == 0) return start_error(plan, rank, failure);
  return pid;
}

Result<RemoteShell> start_remote_shell(std::vector<std::string> command, const sigset_t& signal_mask, bool capture_out) {
  Result<std::string> program = find_program(command.front());
  if (!program.ok()) return program.status();
  RemoteShell shell;
  Fd in_read, out_write, err_write;
  if (Status status = make_pipe(in_read, shell.control); !status.ok()) return status;
  if (Status status = make_pipe(shell.err, err_write); !status.ok()) return status;
  if (capture_out) {
    if (Status status = make_pipe(shell.out, out_write); !status.ok()) return status;
  }
  for (const int fd : {shell.control.get(), shell.err.get(), shell.out.get()}) {
    if (fd >= 0 && fcntl(fd, F_SETFL, O_NONBLOCK) != 0) return pipe_error();
  }
  const std::vector<char*> argv = pointers(command);
  Failure failure{};
  const Result<pid_t> pid = start({.program = program->c_str(),
                                   .arguments = argv.data(),
                                   .environment = environ,
                                   .signal_mask = &signal_mask,
                                   .parent = getpid(),
                                   .in = in_read.get(),
                                   .out = out_write.get(),
                                   .err = err_write.get()},
                                  failure);
  if (!pid.ok()) return pid.status();
  if (pid.value() == 0) return Status(Code::kSystem, "cannot start " + *program + ": " + std::strerror(failure.error));
  shell.pid = pid.value();
  return shell;
}

}  // namespace tutti::run
