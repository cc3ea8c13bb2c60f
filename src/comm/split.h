// Communicators out of communicators. Threading: as a call on the parent.
#pragma once

#include <memory>

#include "comm/communicator.h"

namespace tutti {

// The ranks of `parent` with equal `color` form a communicator, ordered by `key`, then by their rank; nullptr for a negative color. All
// ranks of the parent call it; who they are is agreed through the parent itself. Where its transport derives, the child shares its
// connections; else it connects anew. Errors: the parent's; kInvalidUsage (the ranks of a color bring different settings); what any rank
// of the color ran into.
Result<std::unique_ptr<Communicator>> split(Communicator& parent, int color, int key, const Config& config);

}  // namespace tutti
