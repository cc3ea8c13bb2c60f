// How all ranks of a communicator tell each other something small, through the communicator itself.
// Threading: as a collective.
#pragma once

#include <vector>

#include "comm/communicator.h"

namespace tutti {

// All ranks' `mine`, by rank. T is plain data. Errors: those of Communicator::submit().
template <class T>
Result<std::vector<T>> gather_all(Communicator& comm, const T& mine) {
  std::vector<T> all(static_cast<size_t>(comm.nranks()));
  Request request = {.collective = Collective::kAllGather, .count = sizeof(T), .input = &mine, .output = all.data()};
  request.reduction.arithmetic.type = DataType::kUint8;
  if (Status status = comm.submit(request); !status.ok()) return status;
  return all;
}

}  // namespace tutti
