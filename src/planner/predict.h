// What a choice would take on a machine: generates the plan and simulates it.
// Threading: pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "algorithms/algorithm.h"
#include "base/status.h"
#include "plan/request.h"
#include "plan/simulator.h"
#include "topology/topology.h"

namespace tutti {

// The bytes of one block where the tools' size column (tutti-perf's, lower_bound's N) says `bytes`; rounded down.
uint64_t block_bytes(Collective collective, int nranks, uint64_t bytes);

// `bytes` of the request's block; slices as choice.slice_bytes says (options.slice_bytes is not looked at). Errors: kInvalidUsage (the
// algorithm cannot do the request with so many channels), and those of simulate().
Result<Simulated> predict(const Algorithm& algorithm, const PlanRequest& request, const PlanChoice& choice, const Topology& topology,
                          uint64_t bytes, const SimulateOptions& options = {});

// A choice with its predicted time.
struct Candidate {
  PlanChoice choice;
  double predicted_us = 0;
};

// A choice that was not simulated.
struct Skipped {
  PlanChoice choice;
  uint64_t messages = 0;  // of one slice
};

struct Ranking {
  std::vector<Candidate> candidates;  // the fastest first; of equal ones the one with fewer channels, then the algorithms' order
  std::vector<Skipped> skipped;
};

// Every algorithm (or `only`, where it is not null) that can do the request, with 1, 2, 4 and the most channels; of each with whole
// messages and with slices of a few sizes, the best stays. Plans of more than `max_messages` messages are skipped. Errors: those of
// predict().
Result<Ranking> rank_candidates(const PlanRequest& request, const Topology& topology, uint64_t bytes, const SimulateOptions& options,
                                const Algorithm* only, uint64_t max_messages = 2'000'000);

}  // namespace tutti
