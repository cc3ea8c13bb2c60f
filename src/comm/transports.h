// The list of transports. Threading: any thread.
#pragma once

#include <memory>

#include "base/config.h"
#include "executor/transport.h"

namespace tutti {

// What the FIFOs of a communicator look like: as configured, but with slots so small that FIFOs between all its ranks fit the budget.
FifoShapes fifo_shapes(int nranks, const Config& config);

// The first of config.transports that works here. Errors: kInvalidArgument (an unknown name), else the transport's own.
Result<std::unique_ptr<Transport>> make_transport(int rank, int nranks, const Config& config, const Key& key);

}  // namespace tutti
