// A rank that does as its arguments say, for the tests of tutti-run. Arguments: RANK=ACTION or *=ACTION; the first that fits is done.
//   env             prints its TUTTI_ variables
//   affinity        prints how many PUs it may use and the first of them
//   input           prints how many bytes standard input holds
//   lines:N         prints N lines, each in several writes, then half a line
//   exit:CODE       exits
//   signal:N        dies of signal N
//   wait:N[:CODE]   prints "ready", then "got S" for every signal that comes, and exits after signal N
//   stubborn        prints "ready" and ignores SIGTERM
//   behind:CODE     leaves a process behind in its group that holds standard output, and exits
//   count           prints how many descriptors above 2 it was given
// Threading: one thread.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

// One write, so that lines of ranks that share a pipe do not mix.
void print(const std::string& text) {
  if (write(STDOUT_FILENO, text.data(), text.size()) < 0) _exit(99);
}

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "(none)" : value;
}

int print_environment() {
  print("rank " + variable("TUTTI_RANK") + " size " + variable("TUTTI_SIZE") + " local " + variable("TUTTI_LOCAL_RANK") + " of " +
        variable("TUTTI_LOCAL_SIZE") + " id " + variable("TUTTI_UNIQUE_ID") + "\n");
  return 0;
}

int print_affinity() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 98;
  int first = 0;
  while (first < CPU_SETSIZE && !CPU_ISSET(first, &set)) ++first;
  print("pus " + std::to_string(CPU_COUNT(&set)) + " first " + std::to_string(first) + "\n");
  return 0;
}

int print_input() {
  char buffer[4096];
  size_t total = 0;
  for (ssize_t got; (got = read(STDIN_FILENO, buffer, sizeof buffer)) > 0;) total += static_cast<size_t>(got);
  print("input " + std::to_string(total) + "\n");
  return 0;
}

int print_lines(int count) {
  for (int i = 0; i < count; ++i) {
    print("line ");
    print(std::to_string(i));
    print(" " + std::string(40, 'x'));
    print("\n");
  }
  print("half");
  return 0;
}

int print_descriptors() {
  int count = 0;
  for (int fd = 3; fd < 256; ++fd) count += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
  print("descriptors " + std::to_string(count) + "\n");
  return 0;
}

int wait_for(int wanted, int code) {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2}) sigaddset(&set, number);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  print("ready\n");
  for (int number = 0; number != wanted;) {
    if (sigwait(&set, &number) != 0) return 97;
    print("got " + std::to_string(number) + "\n");
  }
  return code;
}

int be_stubborn() {
  signal(SIGTERM, SIG_IGN);
  print("ready\n");
  for (;;) pause();
}

int leave_behind(int code) {
  const pid_t pid = fork();
  if (pid != 0) return pid < 0 ? 96 : code;
  for (;;) pause();
}

int act(const std::string& action) {
  const size_t colon = action.find(':');
  const std::string verb = action.substr(0, colon);
  const std::string rest = colon == std::string::npos ? "" : action.substr(colon + 1);
  const int number = std::atoi(rest.c_str());
  const size_t second = rest.find(':');
  if (verb == "env") return print_environment();
  if (verb == "affinity") return print_affinity();
  if (verb == "input") return print_input();
  if (verb == "lines") return print_lines(number);
  if (verb == "exit") return number;
  if (verb == "signal") return raise(number);
  if (verb == "wait") return wait_for(number, second == std::string::npos ? 0 : std::atoi(rest.c_str() + second + 1));
  if (verb == "stubborn") return be_stubborn();
  if (verb == "behind") return leave_behind(number);
  if (verb == "count") return print_descriptors();
  return 95;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mine = variable("TUTTI_RANK") + "=";
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument.rfind(mine, 0) == 0) return act(argument.substr(mine.size()));
    if (argument.rfind("*=", 0) == 0) return act(argument.substr(2));
  }
  return 94;
}
