// The list of transports. Threading: any thread.
#pragma once

#include <memory>
#include <string_view>

#include "base/config.h"
#include "executor/transport.h"

namespace tutti {

// What the FIFOs of a communicator look like: as configured, but with slots so small that FIFOs between all its ranks fit the budget.
FifoShapes fifo_shapes(int nranks, const Config& config);

// All of config.transports as one, which takes to each peer the first that reaches it (mixed_transport.h). Errors: kInvalidArgument (an
// unknown name), else the transports' own.
Result<std::unique_ptr<Transport>> make_transport(int rank, int nranks, const Config& config, const Key& key,
                                                  std::shared_ptr<MemoryBudget> budget);

// Whether one of a list of transports reaches ranks of other nodes.
bool leads_between_nodes(std::string_view transports);

}  // namespace tutti
