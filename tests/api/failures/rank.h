// What a rank of a failure run does, in a process of its own: joins, makes calls until one fails, and reports.
// Threading: run_rank() is the child's one thread (Tutti and the abort add theirs); Board is shared memory between parent and children.
#pragma once

#include <atomic>
#include <ctime>

#include "tests/api/failures/scenario.h"
#include "tutti/tutti.h"

namespace tutti::failures {

inline constexpr int kMaxRanks = 8;

// On the clock that all processes share.
inline double now_s() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

enum class Phase : uint8_t { kStarted, kJoining, kReady, kAtTheCall, kOver };

// Written by the rank until `phase` says so (release), read by the parent afterwards (acquire).
struct Report {
  std::atomic<Phase> phase{Phase::kStarted};
  std::atomic<double> acted_at{0};  // a victim that fails by itself: when
  double failed_at = 0;             // when its error came
  double released_s = 0;            // how long destroy or abort took
  int result = 0;                   // tuttiResult_t of the first call that failed
  int async = 0;                    // what GetAsyncError says afterwards
  int repeated = 0;                 // and another call
  double repeated_s = 0;
  bool in_init = false;
  bool inputs_intact = false;
  bool void_run = false;  // an abort that came before the call that it should release
  int failed_call = -1;
  char sentence[4096] = {};
};

struct Board {
  std::atomic<bool> id_there{false};  // release, after id
  tuttiUniqueId id{};
  std::atomic<bool> injured{false};  // who comes late may come now
  std::atomic<bool> finish{false};   // who never calls may end
  Report reports[kMaxRanks];
};

void run_rank(const Scenario& scenario, int rank, Board& board);

}  // namespace tutti::failures
