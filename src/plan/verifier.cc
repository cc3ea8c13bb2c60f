#include "plan/verifier.h"

#include <string>
#include <vector>

#include "plan/checks.h"

namespace tutti {
namespace {

using verifier::resolve;
using verifier::ResolvedPlan;

constexpr uint32_t kUnbounded = 0xffffffffu;

Status check_depth(uint32_t fifo_depth) {
  if (fifo_depth >= 1 && fifo_depth <= kMaxFifoDepth) return {};
  return {Code::kInvalidArgument, "deadlock: cannot check FIFOs of " + std::to_string(fifo_depth) + " slots; fifo_depth must be 1 to " +
                                      std::to_string(kMaxFifoDepth)};
}

Status run_bounded(const ResolvedPlan& plan, uint32_t fifo_depth, std::vector<uint32_t>& order) {
  if (Status bad = check_depth(fifo_depth); !bad.ok()) return bad;
  return verifier::run_schedule(plan, fifo_depth, verifier::slices_to_unroll(plan, fifo_depth), order);
}

Status run_symbolic(const ResolvedPlan& plan, const std::vector<uint32_t>& order, const VerifyOptions& options) {
  if (plan.program(0).collective == Collective::kBarrier) return verifier::check_barrier(plan, order);
  return verifier::check_symbolic(plan, order, options.rank_ordered);
}

}  // namespace

Status verify(const Plan& plan, const VerifyOptions& options) {
  const Result<ResolvedPlan> resolved = resolve(plan, options);
  if (!resolved.ok()) return resolved.status();
  if (Status race = verifier::check_races(resolved.value()); !race.ok()) return race;
  std::vector<uint32_t> order;
  if (Status deadlock = run_bounded(resolved.value(), options.fifo_depth, order); !deadlock.ok()) return deadlock;
  return run_symbolic(resolved.value(), order, options);
}

Status check_structure(const Plan& plan, const VerifyOptions& options) {
  if (Status bad = verifier::check_programs(plan); !bad.ok()) return bad;
  ResolvedPlan resolved;
  if (Status bad = verifier::link_messages(plan, resolved); !bad.ok()) return bad;
  return options.uneven ? verifier::check_uneven(resolved) : Status();
}

Status check_races(const Plan& plan, const VerifyOptions& options) {
  const Result<ResolvedPlan> resolved = resolve(plan, options);
  return resolved.ok() ? verifier::check_races(resolved.value()) : resolved.status();
}

Status check_deadlock(const Plan& plan, const VerifyOptions& options) {
  const Result<ResolvedPlan> resolved = resolve(plan, options);
  if (!resolved.ok()) return resolved.status();
  std::vector<uint32_t> order;
  return run_bounded(resolved.value(), options.fifo_depth, order);
}

Status check_symbolic(const Plan& plan, const VerifyOptions& options) {
  const Result<ResolvedPlan> resolved = resolve(plan, options);
  if (!resolved.ok()) return resolved.status();
  std::vector<uint32_t> order;
  if (Status stuck = verifier::run_schedule(resolved.value(), kUnbounded, 1, order); !stuck.ok()) return stuck;
  return run_symbolic(resolved.value(), order, options);
}

}  // namespace tutti
