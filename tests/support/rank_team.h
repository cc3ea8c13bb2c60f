// Ranks of a test as threads or as forked processes, by the same body; and what they may tell each other beside what is under test.
//
// Processes are forked without exec, so the test's own process must have no other thread: it must not use Tutti itself (whose control
// thread starts with its first user). Such tests have a program of their own, labelled no-tsan.
// Threading: a Meeting may be used from any rank; run_ranks() belongs to the test's thread.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace tutti {

enum class Mode { kThreads, kProcesses };

// Shared by the ranks of a team. What awaits throws std::runtime_error where it waits in vain (a minute) or a rank has failed.
class Meeting {
 public:
  static constexpr int kMaxRanks = 16;
  static constexpr size_t kMaxBytes = 256;

  // What each rank gives to all, e.g. its address; for another round after a barrier.
  void publish(int rank, std::span<const std::byte> bytes);
  std::vector<std::byte> await_published(int rank) const;

  // Marks are bits that a rank sets and others await.
  void mark(int rank, int number);
  bool has_mark(int rank, int number) const { return (seats_[rank].marks & 1U << number) != 0; }
  void await_mark(int rank, int number) const;

  // All of the first `nranks` ranks come, then all go. `meanwhile` is called again and again by who waits.
  void barrier(int rank, int nranks, const std::function<void()>& meanwhile = [] {});

  // Of a rank that is a process.
  pid_t pid(int rank) const;

 private:
  friend class RankTeam;
  struct Seat {
    std::atomic<uint32_t> published{0};  // bytes + 1
    std::byte bytes[kMaxBytes];
    std::atomic<uint32_t> marks{0};
    std::atomic<uint32_t> barriers{0};
    std::atomic<pid_t> pid{0};
  };
  template <class Condition>
  void await(const Condition& condition, const std::string& what) const;

  Seat seats_[kMaxRanks];
  std::atomic<bool> failed_{false};
};

// How a rank ended. A thread always ends well, or fails the test directly.
struct RankEnd {
  int exit_status = 0;  // 1: its body failed an expectation or threw
  int signal = 0;       // that ended it
};

// Runs body(meeting, rank) for every rank, and returns when all have ended. An exception that leaves a body is a failure of the test. A
// process that does not end within two minutes is killed.
std::vector<RankEnd> run_ranks(Mode mode, int nranks, const std::function<void(Meeting&, int)>& body);

// Fails the test unless every rank ended well, but for `killed`, which must have been ended by SIGKILL.
void expect_ends(const std::vector<RankEnd>& ends, std::span<const int> killed = {});

// Runs `body` in a forked child, alone: for what changes a process for good. True: it ended well.
bool run_apart(const std::function<void()>& body);

// The state letter of a process in /proc, e.g. 'T' where it is stopped; 'X' where there is none.
char process_state(pid_t pid);

// Descriptors that this process holds.
size_t open_descriptors();

}  // namespace tutti
