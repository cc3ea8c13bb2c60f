// What a choice would cost: its plan simulated on the machine. Where the machine and the plan look the same from every rank, one rank's
// program is followed for all, so that thousands of ranks cost no more than a few; else all ranks' programs are, within a budget of work.
// Deterministic: equal machines give equal times. Threading: one thread an object.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
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

  // Errors: kInvalidUsage (the algorithm cannot do the request here), kSystem never; kInvalidArgument: those of simulate(). kTimeout: more
  // work than the budget.
  Result<double> time_us(const PlanRequest& request, const PlanChoice& choice, uint64_t bytes);

 private:
  // Programs of a choice: rank 0's, which is all that is needed if it shifts; else all.
  struct Planned {
    const Symmetry* symmetry = nullptr;
    Program first;
    std::optional<Plan> all;
    uint64_t instructions = 0;  // to follow, for one slice
  };
  Result<const Planned*> planned(const PlanRequest& request, const PlanChoice& choice);

  const Topology& topology_;
  SimulateOptions options_;
  uint64_t budget_;
  std::vector<Symmetry> symmetries_;
  std::map<std::string, Planned> planned_;  // by request and choice
};

}  // namespace tutti
