// The plain rule by which the planner chooses until the graph decides: per collective, up to so many bytes, this. Data, in one table.
// Threading: pure functions.
#pragma once

#include <vector>

#include "base/status.h"
#include "plan/request.h"
#include "topology/topology.h"

namespace tutti {

// Up to `most_bytes` of block (uneven: of all blocks together), this choice.
struct RuledRange {
  size_t most_bytes = 0;
  PlanChoice choice;
};

// The ranges of a request, ascending; the last covers everything. `inline_bytes`: payload of an inline slot, 0 where there is no inline
// protocol. `carried`: messages cross a network between some ranks, so more of them have to be under way. `forced`: nullptr, or the one
// algorithm to use. Errors: kInvalidUsage (the forced one cannot do it), kInternal.
Result<std::vector<RuledRange>> ruled_ranges(const PlanRequest& request, const Topology& topology, size_t inline_bytes, bool carried,
                                             const char* forced);

}  // namespace tutti
