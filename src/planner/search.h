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
  // What cannot but take so many times as long as the fastest, because of its fullest link, is not simulated.
  double interest = 1;
  // Slices to try, in bytes; 0: whole messages (or what the predictor's options say).
  std::vector<uint32_t> slices = {0};
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
// channels and slices. `bytes` of the request's block.
Ranking rank_candidates(Predictor& predictor, const Topology& topology, const PlanRequest& request, uint64_t bytes,
                        const SearchOptions& options, const Algorithm* only = nullptr);

// The ranges of sizes, ascending, that searches at a few sizes give: the bound between two is where the later choice overtakes the earlier,
// to a power of two. Predictions are worth some percent: what the `ruled` ranges, which were measured, say for a size stays unless
// something else is predicted to be kWorthwhile times as fast. `inline_bytes`: payload of an inline slot, 0 where there is no inline
// protocol. Errors: kInvalidUsage (nothing could be predicted).
inline constexpr double kWorthwhile = 1.1;
Result<std::vector<RuledRange>> searched_ranges(Predictor& predictor, const Topology& topology, const PlanRequest& request,
                                                size_t inline_bytes, const SearchOptions& options, const std::vector<RuledRange>& ruled);

}  // namespace tutti
