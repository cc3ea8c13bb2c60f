// See ranks.h.
#include "ranks.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <system_error>
#include <thread>

#include "pin.h"

namespace perf {
namespace {

using Clock = std::chrono::steady_clock;

// What forked ranks share to find each other: rank 0 writes `id`, then releases it with `state`; the others acquire. A rank 0 that dies
// before is the parent's to notice.
struct Rendezvous {
  enum State : int { kPending, kReady, kFailed };
  std::atomic<int> state{kPending};
  tuttiUniqueId id;
};

void say(const std::string& message) {
  std::fprintf(stderr, "tutti-perf: %s\n", message.c_str());
}

bool make_id(tuttiUniqueId& id) {
  const tuttiResult_t result = tuttiGetUniqueId(&id);
  if (result != tuttiSuccess) say(std::string("tuttiGetUniqueId: ") + tuttiGetErrorString(result) + ": " + tuttiGetLastError(nullptr));
  return result == tuttiSuccess;
}

bool meet(Rendezvous& rendezvous, Membership& membership) {
  if (membership.rank == 0) {
    const bool made = make_id(rendezvous.id);
    rendezvous.state.store(made ? Rendezvous::kReady : Rendezvous::kFailed, std::memory_order_release);
    membership.id = rendezvous.id;
    return made;
  }
  int state = Rendezvous::kPending;
  while ((state = rendezvous.state.load(std::memory_order_acquire)) == Rendezvous::kPending) {
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  membership.id = rendezvous.id;
  return state == Rendezvous::kReady;
}

int forked_rank(const Options& options, const RankMain& rank_main, Rendezvous& rendezvous, int rank, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) return 1;  // it died before the line above
  Membership membership{.rank = rank, .ranks = options.ranks};
  membership.cpu = pin_rank(options.pin, rank, options.ranks, allowed_cpus());
  return meet(rendezvous, membership) ? rank_main(membership) : 1;
}

// How a child ended: its exit status, or 1 with a line on stderr for a signal.
int status_of(int rank, pid_t pid, int wait_status) {
  if (WIFEXITED(wait_status)) return WEXITSTATUS(wait_status);
  const int signal = WTERMSIG(wait_status);
  say("rank " + std::to_string(rank) + " (pid " + std::to_string(pid) + ") was ended by signal " + std::to_string(signal) + ", " +
      strsignal(signal));
  return 1;
}

// Waits for all children; after the first failure only for kGraceS. Returns the first failure's status, or 0.
int wait_for(std::vector<pid_t> children, int first_failure) {
  size_t running = children.size();
  Clock::time_point deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(kGraceS));
  bool killed = false;
  while (running > 0) {
    int wait_status = 0;
    const pid_t pid = waitpid(-1, &wait_status, first_failure != 0 && !killed ? WNOHANG : 0);
    if (pid < 0 && errno == EINTR) continue;
    if (pid < 0) return 1;
    if (pid == 0) {
      if (Clock::now() >= deadline) {
        killed = true;
        for (const pid_t child : children) {
          if (child != 0) kill(child, SIGKILL);
        }
      } else {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
      continue;
    }
    const auto child = std::find(children.begin(), children.end(), pid);
    if (child == children.end()) continue;
    *child = 0;
    --running;
    const int status = killed ? 1 : status_of(static_cast<int>(child - children.begin()), pid, wait_status);
    if (status != 0 && first_failure == 0) {
      first_failure = status;
      deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(kGraceS));
    }
  }
  return first_failure;
}

int run_forked(const Options& options, const RankMain& rank_main) {
  void* memory = mmap(nullptr, sizeof(Rendezvous), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    say(std::string("cannot map a page that the ranks share: ") + std::strerror(errno));
    return 1;
  }
  Rendezvous& rendezvous = *new (memory) Rendezvous;
  const pid_t parent = getpid();
  std::vector<pid_t> children;
  int failure = 0;
  std::fflush(nullptr);  // or each child would print what is buffered
  for (int rank = 0; rank < options.ranks; ++rank) {
    const pid_t pid = fork();
    if (pid == 0) return forked_rank(options, rank_main, rendezvous, rank, parent);
    if (pid < 0) {
      say("cannot fork rank " + std::to_string(rank) + ": " + std::strerror(errno));
      failure = 1;
      for (const pid_t child : children) kill(child, SIGKILL);
      break;
    }
    children.push_back(pid);
  }
  return wait_for(std::move(children), failure);
}

int run_threads(const Options& options, const RankMain& rank_main) {
  Membership first{.rank = 0, .ranks = options.ranks};
  if (!make_id(first.id)) return 1;
  const std::vector<int> allowed = allowed_cpus();
  std::vector<int> statuses(static_cast<size_t>(options.ranks), 0);
  const auto one_rank = [&](int rank) {
    Membership membership = first;
    membership.rank = rank;
    membership.cpu = pin_rank(options.pin, rank, options.ranks, allowed);
    statuses[static_cast<size_t>(rank)] = rank_main(membership);
  };
  std::vector<std::thread> threads;
  threads.reserve(statuses.size());
  try {
    for (int rank = 0; rank < options.ranks; ++rank) threads.emplace_back(one_rank, rank);
  } catch (const std::system_error& error) {
    say("cannot start the thread of rank " + std::to_string(threads.size()) + ": " + error.what());
    std::_Exit(1);  // the threads that did start wait for the others, and cannot be told
  }
  for (std::thread& thread : threads) thread.join();
  return *std::max_element(statuses.begin(), statuses.end());
}

int run_launched(const Options& options, const RankMain& rank_main) {
  Membership membership{.from_env = true, .rank = options.rank, .ranks = options.ranks};
  membership.cpu = pin_rank(options.pin, membership.rank, options.ranks, allowed_cpus());
  return rank_main(membership);
}

}  // namespace

int run_ranks(const Options& options, const RankMain& rank_main) {
  switch (options.launch) {
    case Launch::kLauncher: return run_launched(options, rank_main);
    case Launch::kThreads: return run_threads(options, rank_main);
    case Launch::kFork: break;
  }
  return run_forked(options, rank_main);
}

}  // namespace perf
