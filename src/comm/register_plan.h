// tuttiCommRegisterPlan: a plan of the program's own, proved by every rank and compared among them before it may run.
// Threading: as a collective of the communicator.
#pragma once

#include <optional>
#include <string_view>

#include "comm/communicator.h"

namespace tutti {

// All ranks call it; nobody's mistake keeps the others waiting. `json`: nullopt where this rank has none. `min_bytes` and `max_bytes`: 0
// and 0: the plan's own. Errors, equal on all ranks: kInvalidArgument (a rank's plan is wrong or of another number of ranks), kInvalidUsage
// (ranks gave different plans); and those of an operation.
Status register_plan(Communicator& comm, std::optional<std::string_view> json, size_t min_bytes, size_t max_bytes);

}  // namespace tutti
