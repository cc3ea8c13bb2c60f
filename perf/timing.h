// How a time is taken. Iterations run back to back in batches of at least kBatchUs after a barrier; a batch counts with its slowest rank's
// mean; the result is the median and the 10th and 90th percentile over batches. How many iterations make a batch is found by running
// batches that grow until they are long enough; these do not count, and neither does a later one that turns out too short.
//
// Invariant: all decisions are taken from exchanged numbers, so that every rank runs the same number of iterations.
// Threads: called by each rank for itself, at the same point.
#pragma once

#include <cstddef>
#include <vector>

#include "collective.h"
#include "communicator.h"

namespace perf {

inline constexpr double kBatchUs = 200;

struct Timing {  // microseconds of one iteration
  double median_us = 0;
  double p10_us = 0;
  double p90_us = 0;
};

// One call, ready to be repeated; where the root rotates, one for each root.
struct Operation {
  const Collective* collective;
  std::vector<Call> calls;

  const Call& call(size_t iteration) const { return calls.size() == 1 ? calls[0] : calls[iteration % calls.size()]; }
  void run(size_t iteration) const {
    const Call& now = call(iteration);
    must(collective->call(now), now.comm, collective->name.data());
  }
};

// Times `operation` after `warmups` untimed iterations, over at least `iterations` iterations in all.
Timing measure(const Operation& operation, int warmups, int iterations, Exchange& exchange);

}  // namespace perf
