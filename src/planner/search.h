// The planner's search: every choice that the algorithms offer for a request, predicted on the machine, the fastest first; and from that
// the ranges of sizes in which one choice is the best.
//
// Deterministic, and so equal on all ranks that hold equal graphs. Budgets are counted in work, not in time.
// Threading: one thread (the predictor's).
#pragma once

#include <cstdint>
#include <vector>

#include "plan/request.h"
#include "planner/predictor.h"
#include "planner/rules.h"

namespace tutti {

struct SearchOptions {
  std::vector<int> channels = {1, 2, 4, 8};  // to try; where an algorithm has a use for fewer than the last, that number too
  // The most FIFO channels between two ranks; 0: no limit. What an executor runs has kMaxChannels.
  int most_fifos = 0;
  // Slices to try, in bytes; 0: whole messages (or what the predictor's options say).
  std::vector<uint64_t> slices = {0};
};

struct Candidate {
  PlanChoice choice;
  double predicted_us = 0;
};

// Every choice that can do the request and could be predicted, the fastest first; of equals the one with fewer channels, then the
// registry's order. Choices that are like a faster one but for their channels or slices are left out. `algorithm`: empty, or the only one
// to consider. `bytes` of the request's block.
std::vector<Candidate> rank_candidates(Predictor& predictor, const Topology& topology, const PlanRequest& request, uint64_t bytes,
                                       const SearchOptions& options, std::string_view algorithm = {});

// The ranges of sizes, ascending, that the searches at a few sizes give: the bound between two is where the later choice overtakes the
// earlier, to a power of two. `inline_bytes`: payload of an inline slot, 0 where there is no inline protocol. Errors: kInvalidUsage (no
// algorithm can do the request).
Result<std::vector<RuledRange>> searched_ranges(Predictor& predictor, const Topology& topology, const PlanRequest& request,
                                                size_t inline_bytes, const SearchOptions& options);

}  // namespace tutti
