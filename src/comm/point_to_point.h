// The program of a group's sends and receives, made at launch from that group's own calls. Every direction of every peer is a channel of
// its own, so that no order of calls blocks another; sends to oneself are copies.
// Threading: pure functions.
#pragma once

#include <span>
#include <vector>

#include "base/status.h"
#include "comm/request.h"
#include "plan/program.h"

namespace tutti {

struct PointToPointPlan {
  Program program;
  std::vector<Block> inputs;  // a block a send, in bytes
  std::vector<Block> outputs;
};

// Errors: kInvalidUsage (sends to and receives from oneself do not match).
Result<PointToPointPlan> plan_point_to_point(std::span<const PointToPoint> calls, int rank, int nranks);

}  // namespace tutti
