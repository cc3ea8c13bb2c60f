// Shared memory between ranks of one node, processes and threads alike. A rank owns an inbox (inbox.h) with every FIFO that is sent to
// it; a sender maps its place in the receiver's inbox. Processes hand each other the inbox over links (links.h); threads share the mapping.
// A transport that was derived from another has an inbox of its own and shares the links.
// Threading: as Transport.
#pragma once

#include <memory>

#include "executor/transport.h"

namespace tutti {

// `key` is the communicator's secret. `budget`: of the FIFOs into this rank. Errors: kSystem.
Result<std::unique_ptr<Transport>> make_shm_transport(int rank, int nranks, const FifoShapes& shapes, const Key& key,
                                                      std::shared_ptr<MemoryBudget> budget);

}  // namespace tutti
