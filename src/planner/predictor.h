// What a choice would cost: its plan simulated on the machine. Where the machine and the plan look the same from every rank, one rank's
// program is followed for all, so that thousands of ranks cost no more than a few; else all ranks' programs are, within a budget of work;
// beyond it, where plan and machine are symmetric each in its own way, one rank is followed as if all had its ways (lay_symmetric).
// Plans stay laid over the network from one question to the next, as many as kMostKept instructions hold.
// Deterministic: equal machines give equal times. Threading: one thread an object.
#pragma once

#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "algorithms/algorithm.h"
#include "base/status.h"
#include "plan/laid_plan.h"
#include "plan/program.h"
#include "plan/request.h"
#include "plan/simulator.h"
#include "topology/routes.h"
#include "topology/symmetry.h"
#include "topology/topology.h"

namespace tutti {

class Predictor {
 public:
  // `options`: as for the simulator; slice_bytes is that of choices which do not say theirs. `budget`: the most instructions, of all ranks
  // and slices that are simulated, for one prediction. Borrows the topology.
  Predictor(const Topology& topology, const SimulateOptions& options, uint64_t budget);

  // `bytes` of the request's block. Asking for the same choice with other bytes or slices is cheaper. Given up (Simulated::gave_up) when it
  // is sure to take longer than give_up_us. Errors: kInvalidUsage (the algorithm cannot do the request here, or its plan is more than the
  // budget lets simulate), and those of simulate().
  Result<Simulated> predict(const PlanRequest& request, const PlanChoice& choice, uint64_t bytes,
                            double give_up_us = std::numeric_limits<double>::infinity());

  // What no prediction is less than: what the fullest link needs for its bytes, and a rank to inject its messages. Cheaper by far. Errors:
  // as predict().
  Result<double> least_us(const PlanRequest& request, const PlanChoice& choice, uint64_t bytes);

  // Errors: as predict().
  struct Shape {
    uint64_t largest_message = 0;  // bytes, whole
    int fifo_channels = 0;         // between two ranks
    uint64_t steps = 0;            // to follow, for one slice: one rank's where all are alike
  };
  Result<Shape> shape(const PlanRequest& request, const PlanChoice& choice, uint64_t bytes);

  // What the narrowest cut of those that names and axes tell allows, of all blocks together: no plan is faster. Kept.
  double cut_us_per_byte(const PlanRequest& request);

  // What all predictions so far were in work, as the simulator counts it.
  uint64_t work() const { return work_; }

  // Lets go of the plans.
  void forget();

 private:
  static constexpr uint64_t kMostKept = 1'000'000;

  // A choice's plan: rank 0's program, if that is all that is needed; else all programs, unless they are too many.
  struct Planned {
    PlanRequest request;
    const Algorithm* algorithm = nullptr;
    int channels = 0;
    int parameter = 0;
    const Symmetry* symmetry = nullptr;
    Status refused;  // why there is nothing to simulate
    LaidPlan laid;   // else
    uint64_t last_asked = 0;
  };
  Result<const Planned*> planned(const PlanRequest& request, const PlanChoice& choice);
  class Samples;
  void plan(Planned& planned);
  bool plan_as_if(Planned& planned, Samples& samples);
  const Symmetry* symmetry(size_t nth);
  void make_room(uint64_t instructions);

  const Topology& topology_;
  SimulateOptions options_;
  uint64_t budget_;
  Routes routes_;
  std::vector<std::vector<int>> radices_;                    // to look for symmetries with
  std::vector<std::unique_ptr<const Symmetry>> symmetries_;  // the first that were looked for; null where there is none
  std::vector<std::unique_ptr<Planned>> plans_;
  std::map<std::pair<Collective, int>, double> cut_us_per_byte_;  // by root
  uint64_t asked_ = 0;
  uint64_t work_ = 0;
};

}  // namespace tutti
