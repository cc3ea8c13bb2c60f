// The planner's search: every choice that the algorithms offer for a request, predicted on the machine, the fastest first; and from that
// the ranges of sizes in which one choice is the best.
//
// Deterministic, and so equal on all ranks that hold equal graphs. Budgets are counted in work, not in time.
// Threading: one thread (the predictor's).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "algorithms/algorithm.h"
#include "plan/request.h"
#include "planner/predictor.h"
#include "planner/rules.h"

namespace tutti {

struct SearchOptions {
  std::vector<int> channels = {1, 2, 4, 8};  // to try; where an algorithm has a use for fewer than the last, that number too
  // The most FIFO channels between two ranks; 0: no limit. What an executor runs has kMaxChannels.
  int most_fifos = 0;
  // What is sure to take so many times as long as the fastest is not worked out.
  double interest = 1;
  // Slices to try, in bytes; 0: whole messages (or what the predictor's options say).
  std::vector<uint32_t> slices = {0};
  // Laborious algorithms (algorithm.h) are tried where the others take more than so many times what the narrowest cut allows.
  double room = 1.03;
  // When the predictions have been so much work (SimulateOptions::max_work), what is left is predicted once each, and after four times as
  // much not at all. 0: no limit.
  uint64_t work = 0;
};

// Whole messages, and what slots of usual sizes hold.
inline const std::vector<uint32_t> kUsualSlices = {0,         16 << 10, 32 << 10, 64 << 10, 128 << 10, 256 << 10,
                                                   512 << 10, 1 << 20,  2 << 20,  4 << 20,  8 << 20,   16 << 20};

struct Candidate {
  PlanChoice choice;
  double predicted_us = 0;
};

// A choice that was not predicted.
struct Skipped {
  PlanChoice choice;
  std::string why;
};

struct Ranking {
  std::vector<Candidate> candidates;  // the fastest first; of equals the one with fewer channels, then the registry's order
  std::vector<Skipped> skipped;
};

// Of every algorithm (or `only`, where it is not null) that can do the request, and every value of its parameter, the best number of
// channels and slices that a climb finds: not every combination is tried. What cannot be the fastest is worked out once, for the list; what
// is out of interest is given up as soon as that is sure. `bytes` of the request's block. `likely`: choices to begin with, since the
// sooner the fastest is known, the sooner the others are given up.
Ranking rank_candidates(Predictor& predictor, const Topology& topology, const PlanRequest& request, uint64_t bytes,
                        const SearchOptions& options, const Algorithm* only = nullptr, const std::vector<PlanChoice>& likely = {});

// The ranges of sizes, ascending, that searches at a few sizes give: the bound between two is where the later choice overtakes the earlier,
// to a power of two. Predictions are worth some percent: what the `ruled` ranges, which were measured, say for a size stays unless
// something else is predicted to be kWorthwhile times as fast. `inline_bytes`: payload of an inline slot, 0 where there is no inline
// protocol. Errors: kInvalidUsage (nothing could be predicted).
inline constexpr double kWorthwhile = 1.1;
Result<std::vector<RuledRange>> searched_ranges(Predictor& predictor, const Topology& topology, const PlanRequest& request,
                                                size_t inline_bytes, const SearchOptions& options, const std::vector<RuledRange>& ruled);

}  // namespace tutti
