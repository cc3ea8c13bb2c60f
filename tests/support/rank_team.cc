#include "tests/support/rank_team.h"

#include <dirent.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fstream>
#include <new>
#include <stdexcept>
#include <thread>

#include "tests/support/eventually.h"

namespace tutti {

template <class Condition>
void Meeting::await(const Condition& condition, const std::string& what) const {
  const bool met = eventually([&] { return condition() || failed_.load(); });
  if (!met) throw std::runtime_error("waited in vain for " + what);
  if (!condition()) throw std::runtime_error("another rank failed while this one waited for " + what);
}

void Meeting::publish(int rank, std::span<const std::byte> bytes) {
  if (bytes.size() > kMaxBytes) throw std::runtime_error("published too much");
  Seat& seat = seats_[rank];
  std::copy(bytes.begin(), bytes.end(), seat.bytes);
  seat.published = static_cast<uint32_t>(bytes.size()) + 1;
}

std::vector<std::byte> Meeting::await_published(int rank) const {
  const Seat& seat = seats_[rank];
  await([&] { return seat.published != 0; }, "what rank " + std::to_string(rank) + " publishes");
  return {seat.bytes, seat.bytes + seat.published - 1};
}

void Meeting::mark(int rank, int number) {
  seats_[rank].marks |= 1U << number;
}

void Meeting::await_mark(int rank, int number) const {
  await([&] { return has_mark(rank, number); }, "mark " + std::to_string(number) + " of rank " + std::to_string(rank));
}

void Meeting::barrier(int rank, int nranks, const std::function<void()>& meanwhile) {
  const uint32_t number = ++seats_[rank].barriers;
  for (int other = 0; other < nranks; ++other) {
    await([&] { return meanwhile(), seats_[other].barriers >= number; }, "rank " + std::to_string(other) + " at barrier " + std::to_string(number));
  }
}

pid_t Meeting::pid(int rank) const {
  await([&] { return seats_[rank].pid != 0; }, "the pid of rank " + std::to_string(rank));
  return seats_[rank].pid;
}

namespace {

using Body = std::function<void()>;

// Runs in the child and does not return.
[[noreturn]] void be_child(const Body& body) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  try {
    body();
  } catch (const std::exception& error) {
    ADD_FAILURE() << error.what();
  }
  std::fflush(nullptr);
  _exit(::testing::Test::HasFailure() ? 1 : 0);
}

pid_t fork_child(const Body& body) {
  std::fflush(nullptr);
  const pid_t pid = fork();
  if (pid == 0) be_child(body);
  EXPECT_GT(pid, 0) << std::strerror(errno);
  return pid;
}

// In whatever order they end: who waits for a process to vanish needs it reaped.
std::vector<RankEnd> reap(const std::vector<pid_t>& pids) {
  std::vector<RankEnd> ends(pids.size());
  std::vector<bool> ended(pids.size());
  const auto collect = [&](int flags) {
    for (size_t i = 0; i < pids.size(); ++i) {
      int status = 0;
      if (ended[i] || waitpid(pids[i], &status, flags) == 0) continue;
      ended[i] = true;
      if (WIFEXITED(status)) ends[i].exit_status = WEXITSTATUS(status);
      if (WIFSIGNALED(status)) ends[i].signal = WTERMSIG(status);
    }
    return std::find(ended.begin(), ended.end(), false) == ended.end();
  };
  if (eventually([&] { return collect(WNOHANG); }, 2 * kTestPatience_s)) return ends;
  for (size_t i = 0; i < pids.size(); ++i) {
    if (ended[i]) continue;
    ADD_FAILURE() << "process " << pids[i] << " did not end";
    kill(pids[i], SIGKILL);
  }
  collect(0);
  return ends;
}

}  // namespace

class RankTeam {
 public:
  RankTeam(int nranks, const std::function<void(Meeting&, int)>& body) : nranks_(nranks), body_(body) {
    void* const memory = mmap(nullptr, sizeof(Meeting), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::runtime_error("cannot map memory for the meeting");
    meeting_ = new (memory) Meeting;
  }
  ~RankTeam() { munmap(meeting_, sizeof(Meeting)); }
  RankTeam(const RankTeam&) = delete;
  RankTeam& operator=(const RankTeam&) = delete;

  std::vector<RankEnd> run_threads() {
    std::vector<std::thread> threads;
    for (int rank = 0; rank < nranks_; ++rank) {
      threads.emplace_back([this, rank] {
        try {
          run_body(rank);
        } catch (const std::exception& error) {
          ADD_FAILURE() << error.what();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    return std::vector<RankEnd>(static_cast<size_t>(nranks_));
  }

  std::vector<RankEnd> run_processes() {
    std::vector<pid_t> pids;
    for (int rank = 0; rank < nranks_; ++rank) {
      pids.push_back(fork_child([this, rank] {
        meeting_->seats_[rank].pid = getpid();
        run_body(rank);
      }));
    }
    return reap(pids);
  }

 private:
  void run_body(int rank) {
    try {
      body_(*meeting_, rank);
    } catch (const std::exception& error) {
      meeting_->failed_ = true;
      throw std::runtime_error("rank " + std::to_string(rank) + ": " + error.what());
    }
  }

  int nranks_;
  const std::function<void(Meeting&, int)>& body_;
  Meeting* meeting_;
};

std::vector<RankEnd> run_ranks(Mode mode, int nranks, const std::function<void(Meeting&, int)>& body) {
  RankTeam team(nranks, body);
  return mode == Mode::kThreads ? team.run_threads() : team.run_processes();
}

void expect_ends(const std::vector<RankEnd>& ends, std::span<const int> killed) {
  for (size_t rank = 0; rank < ends.size(); ++rank) {
    const bool must_be_killed = std::find(killed.begin(), killed.end(), static_cast<int>(rank)) != killed.end();
    EXPECT_EQ(ends[rank].signal, must_be_killed ? SIGKILL : 0) << "rank " << rank;
    EXPECT_EQ(ends[rank].exit_status, 0) << "rank " << rank << " failed: see above";
  }
}

bool run_apart(const std::function<void()>& body) {
  const RankEnd end = reap({fork_child(body)})[0];
  return end.exit_status == 0 && end.signal == 0;
}

char process_state(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  const size_t name_end = text.rfind(')');
  return name_end == std::string::npos || name_end + 2 >= text.size() ? 'X' : text[name_end + 2];
}

size_t open_descriptors() {
  size_t count = 0;
  DIR* const directory = opendir("/proc/self/fd");
  if (directory == nullptr) return 0;
  while (readdir(directory) != nullptr) ++count;
  closedir(directory);
  return count;
}

}  // namespace tutti
