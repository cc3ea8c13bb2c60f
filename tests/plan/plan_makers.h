// Plans for the tests of this folder: the built-in algorithms' by name, and small ones written out rank by rank.
// Threading: one thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "algorithms/algorithm.h"
#include "plan/builder.h"
#include "plan/program.h"

namespace tutti {

// Kept: an analysis that thousands of plans share. One thread.
inline const Topology& host_topology(int nranks) {
  static std::map<int, std::unique_ptr<const Topology>> known;
  auto& topology = known[nranks];
  if (topology == nullptr) topology = single_host_topology(nranks);
  return *topology;
}

inline Plan algorithm_plan(const Algorithm& algorithm, const PlanRequest& request, int channels) {
  const PlanChoice choice{.algorithm = algorithm.name, .channels = channels};
  return generate_plan(algorithm, request, choice, host_topology(request.nranks));
}

inline Plan algorithm_plan(const Algorithm& algorithm, int nranks, int channels) {
  return algorithm_plan(algorithm, PlanRequest{.collective = Collective::kAllReduce, .nranks = nranks}, channels);
}

inline Plan algorithm_plan(const char* name, int nranks, int channels = 1) {
  return algorithm_plan(*find_algorithm(name), nranks, channels);
}

// make(builder, rank) writes each rank's program.
template <class Make>
Plan written_plan(const PlanRequest& request, int channels, Make make) {
  const PlanChoice choice{.algorithm = "written", .channels = channels};
  Plan plan;
  for (int rank = 0; rank < request.nranks; ++rank) {
    ProgramBuilder builder(request, choice, rank);
    make(builder, rank);
    plan.ranks.push_back(builder.take());
  }
  return plan;
}

// An all-reduce.
template <class Make>
Plan written_plan(int nranks, int channels, Make make) {
  return written_plan(PlanRequest{.collective = Collective::kAllReduce, .nranks = nranks}, channels, make);
}

inline Instruction& at(Plan& plan, size_t rank, size_t channel, size_t index) {
  return plan.ranks[rank].channels[channel][index];
}

}  // namespace tutti
