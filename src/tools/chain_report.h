// What a simulated plan's time is made of: the sends, waits and reductions in a row that end last, in words, collapsed where they repeat.
// Threading: pure functions.
#pragma once

#include <functional>
#include <string>

#include "plan/simulator.h"
#include "topology/topology.h"

namespace tutti {

// At most `most_lines` parts, lines of at most 80 columns, each ending in '\n'. `simulated` was made with options.trace; `program_of` gives
// a rank's program, and is asked for the ranks in the chain only. Where the simulation followed one rank for all, so does the chain.
std::string describe_chain(const Simulated& simulated, const Topology& topology, const std::function<const Program&(int)>& program_of,
                           size_t most_lines);

}  // namespace tutti
