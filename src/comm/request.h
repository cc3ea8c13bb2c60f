// One call's arguments on their way from the API to the executor.
// Threading: value types; what they point to is the caller's until the operation is complete.
#pragma once

#include <optional>
#include <span>

#include "executor/operands.h"
#include "plan/request.h"

namespace tutti {

// How to reduce, resolved from the API's handle: a built-in operator with what goes before and after it, or the user's function.
struct ReductionCall {
  Arithmetic arithmetic;  // .type is the call's type also where nothing is reduced
  bool scale = false;     // multiply this rank's input by arithmetic.scalar
  bool divide = false;    // divide the result by arithmetic.divisor
  UserReduction user;     // where user.function is set, in place of the operator
  bool commutes = true;
};

// A send or a receive of a group.
struct PointToPoint {
  bool is_send = false;
  int peer = 0;
  void* data = nullptr;  // only read by a send
  size_t count = 0;
  DataType type = DataType::kFloat32;
};

// The agreed part, then the local part.
struct Request {
  Collective collective = Collective::kAllReduce;
  size_t count = 0;  // elements of a block; uneven: of the longest block this rank knows of
  int root = 0;
  ReductionCall reduction;
  bool uneven = false;
  std::optional<size_t> agreed_bytes;  // uneven: of all blocks together, where all ranks know them

  const void* input = nullptr;
  void* output = nullptr;
  std::span<Block> input_blocks;  // uneven; the communicator fills in the signatures
  std::span<Block> output_blocks;
  std::span<const PointToPoint> calls;  // kSendRecv
};

}  // namespace tutti
