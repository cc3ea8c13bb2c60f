// The forms of a request that shape its program, for tests that prove all of them.
// Threading: pure functions.
#pragma once

#include <vector>

#include "plan/request.h"
#include "plan/semantics.h"

namespace tutti {

// Those that ask more come first.
inline std::vector<PlanRequest> forms(Collective collective, int nranks, int root) {
  std::vector<PlanRequest> all;
  for (const bool uneven : {true, false}) {
    for (const bool rank_ordered : {true, false}) {
      if ((uneven && !has_uneven(collective)) || (rank_ordered && !reduces(collective))) continue;
      all.push_back({.collective = collective, .nranks = nranks, .root = root, .uneven = uneven, .rank_ordered = rank_ordered});
    }
  }
  return all;
}

}  // namespace tutti
