// A tuner's choices on their way from rank 0 to the others.
// Threading: pure functions; apply_choice() with the planner's lock.
#pragma once

#include <string>

#include "comm/wire.h"
#include "planner/planner.h"

namespace tutti {

Bytes encode_choice(const TunerDecision& decision);
// Rank 0 has none after all.
Bytes encode_no_tuner();

// Takes over what rank 0 handed out. Errors: kRemote (it says nothing that this rank can do).
Status apply_choice(std::span<const std::byte> bytes, Overrides& overrides);

// "2 plans, hash 123", "none": equal for ranks that hold the same.
std::string describe(const ImportedPlans& plans);

// One line: what was chosen, what that should take, and why.
std::string describe(const PlanExplanation& explanation, Collective collective, size_t bytes);

}  // namespace tutti
