// Internal to the verifier: its checks on a resolved plan, one file each. verifier.h says what they prove.
// Threading: pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "plan/resolved_plan.h"

namespace tutti::verifier {

Status check_races(const ResolvedPlan& plan);

// Runs `slices` slices with FIFOs of `fifo_depth` slots, and appends to `order` the steps in the order in which slice 0 fired them.
Status run_schedule(const ResolvedPlan& plan, uint32_t fifo_depth, uint32_t slices, std::vector<uint32_t>& order);

// How many slices let every FIFO pass twice its depth, and at least two.
uint32_t slices_to_unroll(const ResolvedPlan& plan, uint32_t fifo_depth);

// Structural; presumes that the messages are linked.
Status check_uneven(const ResolvedPlan& plan);

// `order`: every step once, each after what it waits for.
Status check_symbolic(const ResolvedPlan& plan, const std::vector<uint32_t>& order, bool rank_ordered);

// In place of check_symbolic where the collective is the barrier.
Status check_barrier(const ResolvedPlan& plan, const std::vector<uint32_t>& order);

}  // namespace tutti::verifier
