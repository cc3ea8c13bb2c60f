// A plan that somebody else made: read from a file or given by the program, and proved before it may run.
//
// A call's local part does not select, so an imported plan has to serve every caller of its request: it is verified out of place and in
// place. Whether it also serves uneven counts, and reductions that do not commute, is found out by verifying it for those; where it does
// not, such requests go by the planner's own choice.
// Threading: pure functions but for reading files; immutable once made.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "plan/program.h"
#include "plan/request.h"

namespace tutti {

struct ImportedPlan {
  Plan plan;           // with the range of sizes that it is for
  std::string source;  // its file, or what gave it
  bool uneven = false;
  bool rank_ordered = false;

  const Program& header() const { return plan.ranks[0]; }
  // Whether it is for this request with `bytes` of block (uneven: of all blocks together).
  bool serves(const PlanRequest& request, size_t bytes) const;
};

// Reads and proves a plan of Tutti's JSON. Errors (kInvalidArgument) begin with `source` and end with the remedy.
Result<std::shared_ptr<const ImportedPlan>> import_plan(std::string_view json, const std::string& source);

// Those of the files in `paths`, which colons separate; later ones come later. Errors: kInvalidArgument, with the file.
using ImportedPlans = std::vector<std::shared_ptr<const ImportedPlan>>;  // shared_ptr: with communicators that are split off
Result<ImportedPlans> import_plan_files(const std::string& paths);

// Of plans, their ranges and their order: equal on all ranks that hold the same.
uint64_t hash_of(const ImportedPlans& plans);

}  // namespace tutti
