// A process manager as small as may be, that speaks PMI-1 and PMI-2 to ranks over socket pairs as hydra and slurmstepd do: key-value space,
// barrier, and the orders of messages that they insist on. On request it misbehaves in one answer to one rank.
// Invariant: every socket is closed and every thread has ended when the server's destructor returns.
// Threading: a thread for each rank; everything that they share is behind one mutex.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "launch/environment.h"

namespace tutti {

struct PmiFault {
  int rank = 0;
  int answer = 0;       // which of the rank's answers, from 0
  std::string instead;  // what it is replaced by
  bool close = false;   // then hang up on everybody, as a manager does whose job failed
};

class PmiServer {
 public:
  explicit PmiServer(int ranks, int longest_value = 1024, std::optional<PmiFault> fault = {});
  ~PmiServer();
  PmiServer(const PmiServer&) = delete;
  PmiServer& operator=(const PmiServer&) = delete;

  // What rank `rank` finds in its environment.
  Environment environment(int rank) const;
  // The rank's process ends: its socket closes.
  void end(int rank) { ranks_[static_cast<size_t>(rank)].theirs.reset(); }

  // Ranks that took leave with cmd=finalize. Call when all have been ended.
  int finalized();
  int longest_value_seen();

 private:
  struct Rank {
    Fd ours;
    Fd theirs;
    std::thread thread;
    int answers = 0;
    int version = 0;
  };

  void serve(int rank);
  bool serve_line(int rank, const std::string& line);
  bool serve_message(int rank, const std::string& body);
  bool answer(int rank, const std::string& text);
  bool answer_message(int rank, const std::string& body);
  bool barrier();
  void put(const std::string& key, const std::string& value);
  std::optional<std::string> get(const std::string& key);
  void hang_up();

  const int longest_value_;
  const std::optional<PmiFault> fault_;
  std::vector<Rank> ranks_;
  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::map<std::string, std::string> values_;
  int waiting_ = 0;
  int passed_ = 0;
  int finalized_ = 0;
  size_t longest_seen_ = 0;
  bool over_ = false;
};

}  // namespace tutti
