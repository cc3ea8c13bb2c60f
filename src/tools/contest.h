// Measures what the planner would choose against everything that can be forced, for one collective, on the job that a launcher started this
// process in. What is compared runs in alternating rounds, in an order that rotates, on communicators of the same processes: whatever
// the machine does meanwhile, it does to all of them. A batch counts with its slowest rank.
//
// All ranks call alike and get the same numbers. Failed calls are thrown as std::runtime_error. Threading: one thread.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "planner/tuning.h"
#include "tutti/tutti.h"

namespace tutti::tune {

struct DestroyComm {
  void operator()(tuttiComm_t comm) const { static_cast<void>(tuttiCommDestroy(comm)); }
};
using Comm = std::unique_ptr<std::remove_pointer_t<tuttiComm_t>, DestroyComm>;

class Job {
 public:
  // Joins it.
  Job();

  int rank() const { return rank_; }
  int ranks() const { return ranks_; }
  int nodes() const { return nodes_; }
  bool nodes_are_equal() const { return nodes_are_equal_; }  // as many ranks on each
  const std::string& transport() const { return transport_; }

  // A communicator of all ranks that is forced to an algorithm, as TUTTI_ALGORITHM would; empty: as the planner chooses.
  Comm open(const std::string& forced) const;
  void barrier() const;
  double most(double mine) const;  // of all ranks

 private:
  Comm comm_;
  int rank_ = 0;
  int ranks_ = 0;
  int nodes_ = 1;
  bool nodes_are_equal_ = true;
  std::string transport_;
};

// What one contender took for one size.
struct Timing {
  PlanChoice choice;              // what it runs there
  bool runs = false;              // to the end; false: another has the same choice, or it fell far behind
  size_t iterations = 1;          // of a batch
  double first_us = 0;            // in the round in which each ran alone
  std::vector<double> rounds_us;  // in alternating rounds

  double median_us() const;
};

struct Contender {
  std::string forced;  // empty: the planner's choice
  int parameter = 0;
  std::vector<Timing> timings;  // by size

  bool runs() const;  // at some size
};

struct Size {
  size_t count = 0;  // float32 of a block
  size_t block_bytes = 0;
  size_t bytes = 0;  // as tutti-perf counts it
};

struct Contest {
  Collective collective = Collective::kAllReduce;
  std::vector<Size> sizes;
  std::vector<Contender> contenders;  // the first is the planner's choice

  // The fastest that was forced at a size, by median.
  const Contender& best(size_t size) const;
};

// Of `sizes`, as tutti-perf counts them; each is rounded down to whole blocks. Precondition: rounds >= 1.
Contest hold_contest(const Job& job, Collective collective, const std::vector<size_t>& bytes, int rounds);

}  // namespace tutti::tune
