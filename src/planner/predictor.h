// What a choice would cost: its plan simulated on the machine. Where the machine and the plan look the same from every rank, one rank's
// program is followed for all, so that thousands of ranks cost no more than a few; else all ranks' programs are, within a budget of work.
// Deterministic: equal machines give equal times. Threading: one thread an object.
#pragma once

#include <optional>
#include <vector>

#include "base/status.h"
#include "plan/program.h"
#include "plan/request.h"
#include "plan/simulator.h"
#include "topology/symmetry.h"
#include "topology/topology.h"

namespace tutti {

class Predictor {
 public:
  // `options`: as for the simulator; slice_bytes is that of choices which do not say theirs. `budget`: the most instructions, of all ranks
  // and slices that are simulated, for one prediction. Borrows the topology.
  Predictor(const Topology& topology, const SimulateOptions& options, uint64_t budget);

  // `bytes` of the request's block. Asking for the same choice with other bytes or slices is cheaper. Errors: kInvalidUsage (the algorithm
  // cannot do the request here, or its plan is more than the budget lets simulate), and those of simulate().
  Result<Simulated> predict(const PlanRequest& request, const PlanChoice& choice, uint64_t bytes);

  // What the fullest link alone needs for its bytes: no prediction is less. Cheaper by far. Errors: as predict().
  Result<double> load_us(const PlanRequest& request, const PlanChoice& choice, uint64_t bytes);

  // Rank 0's program. Precondition: the algorithm can do the request with the choice.
  const Program& program(const PlanRequest& request, const PlanChoice& choice) { return planned(request, choice).first; }

 private:
  // Programs of a choice: rank 0's, which is all that is needed if it shifts; else all, unless they are too many.
  struct Planned {
    PlanRequest request;
    PlanChoice choice;
    const Symmetry* symmetry = nullptr;
    Program first;
    std::optional<Plan> all;
    uint64_t instructions = 0;  // to follow, for one slice
  };
  const Planned& planned(const PlanRequest& request, const PlanChoice& choice);
  Result<Simulated> simulate_with(const PlanRequest& request, const PlanChoice& choice, uint64_t bytes, SimulateOptions options);

  const Topology& topology_;
  SimulateOptions options_;
  uint64_t budget_;
  std::vector<Symmetry> symmetries_;
  std::optional<Planned> planned_;  // the latest
};

}  // namespace tutti
