// Ranks as threads of this process: a pool of threads that run one function each, and communicators that are made once and used by many
// tests.
#pragma once

#include <array>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "elements.h"
#include "oracle.h"
#include "tests/support/test_accelerator.h"
#include "tutti/tutti.h"

namespace tutti::test {

// The test accelerator behind a letter; nullptr: the host. Known to the library from the first call on.
TestAccelerator* accelerator_of(char letter);

// What one rank found wrong; empty: nothing.
using Finding = std::string;

// "" or "rank 2 of 5: what: <result>: <the library's sentence>".
Finding expect_success(tuttiResult_t result, const std::string& what, tuttiComm_t comm = nullptr);

// Threading: run() from one thread at a time.
class Team {
 public:
  Team() = default;
  Team(const Team&) = delete;
  ~Team();

  // Calls body(rank) for each rank on a thread of its own, and waits for all. Returns what they found, each behind its rank.
  Finding run(int nranks, const std::function<Finding(int rank)>& body);

 private:
  void serve(int rank, uint64_t seen);

  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  uint64_t round_ = 0;
  int nranks_ = 0;  // of the round
  int running_ = 0;
  bool ending_ = false;
  const std::function<Finding(int)>* body_ = nullptr;
  std::vector<Finding> findings_;
};

// The process's team.
Team& team();

// One rank's handle with the reductions that the tests use.
struct Member {
  tuttiComm_t comm = nullptr;
  std::array<tuttiRedOp_t, kTypes> premul = {};
  tuttiRedOp_t user_xor = tuttiSum;
  tuttiRedOp_t user_affine = tuttiSum;
  Device* device = nullptr;  // that holds this rank's buffers; nullptr: the host

  // Creates the reductions on `comm`, whose rank is `rank`.
  Finding create_reductions(int rank);
  tuttiRedOp_t op(const Call& call) const;
};

struct WorldConfig {
  int nranks = 1;
  std::string algorithm;  // empty: the library's choice
  double timeout_s = 120;
  std::string devices;  // a letter a rank: h, or a or b for a test accelerator; empty: the host's

  auto operator<=>(const WorldConfig&) const = default;
};

// A communicator, all ranks of it.
class World {
 public:
  // The team's threads make it, one a rank. A failure is a finding in `found`.
  World(const WorldConfig& config, Finding& found);
  World(const World&) = delete;
  ~World();

  int nranks() const { return config_.nranks; }
  const Member& member(int rank) const { return members_[static_cast<size_t>(rank)]; }
  tuttiComm_t comm(int rank) const { return member(rank).comm; }

  // team().run(), each body with its member.
  Finding run(const std::function<Finding(int rank, const Member&)>& body) const;

 private:
  WorldConfig config_;
  std::vector<Member> members_;
};

// A World that is kept for the next caller with the same wish; the least lately made ones are given up, so that memory stays bounded. One
// that failed must be given up by forget_worlds().
World& world_of(const WorldConfig& config, Finding& found);
void forget_worlds();

}  // namespace tutti::test
