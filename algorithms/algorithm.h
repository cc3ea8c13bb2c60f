// What an algorithm is: a pure function from (request, choice, topology, rank) to that rank's program. No I/O, no clock, no environment, no
// globals. To add one: write NAME.cc here that defines `const Algorithm NAME_algorithm`, and add NAME to the list in CMakeLists.txt.
// Threading: immutable.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "plan/program.h"
#include "plan/request.h"
#include "topology/topology.h"

namespace tutti {

struct Algorithm {
  const char* name;     // as TUTTI_ALGORITHM and the tools spell it
  const char* summary;  // one line: steps, and bytes sent by a rank for N bytes of buffer
  // The most channels that make sense for the request; 0 where the algorithm cannot do it. For an uneven request it may say so only if
  // no instruction has scratch for its only operand: such an instruction would not know its block's count. For a rank-ordered one only if
  // every reduction folds neighbouring ranges of ranks, left before right.
  int (*max_channels)(const PlanRequest& request, const Topology& topology);
  // Precondition: 1 <= choice.channels <= max_channels(request, topology), 0 <= rank < request.nranks.
  Program (*generate)(const PlanRequest& request, const PlanChoice& choice, const Topology& topology, int rank);
  // Values of PlanChoice::parameter that the planner tries beside 0; those that are 0 are none.
  std::array<int, 4> parameters = {};
  // Whether its programs take a search of the machine, of up to a second: the planner tries it last, where the others leave it room.
  bool laborious = false;
};

// All of them, in the list's order.
std::span<const Algorithm* const> algorithms();

// nullptr where there is none of that name.
const Algorithm* find_algorithm(std::string_view name);

// All ranks' programs.
Plan generate_plan(const Algorithm& algorithm, const PlanRequest& request, const PlanChoice& choice, const Topology& topology);

}  // namespace tutti
