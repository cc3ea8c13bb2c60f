// A plan as JSON, for people, tools and import. One instruction is one line:
//
//   {"collective": "all_reduce", "algorithm": "ring", "nranks": 2, "root": 0, "largest_message": {"num": 1, "den": 2},
//    "ranks": [{"rank": 0, "scratch_blocks": 0, "channels": [[
//      {"op": "recv_reduce_copy", "from": 1, "src": {"buffer": "input", "begin": 0, "end": 1, "den": 2},
//       "dst": {"buffer": "output", "begin": 0, "end": 1, "den": 2}, "after": [0, 3]}, ...], ...]}, ...]}
//
// "op" is opcode_name's; "from", "to", "src", "dst" and "after" ([channel, index]) appear where the instruction has them, "src_first" and
// "completes" where they are true, and a rank's "fifo_of_channel" ([0, 1, ...], before "channels") where it is not empty. All other keys
// are required, but for "min_bytes" and "max_bytes" beside "nranks": the sizes of a block that the plan is for, all where they are missing.
// Unknown keys are refused, unless they begin with "x-".
// Threading: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "plan/program.h"

namespace tutti {

// Exact for plans that pass check_structure; of others, what all ranks should agree on is rank 0's.
std::string plan_to_json(const Plan& plan);

// Checks the form alone: verify() comes before running what was read. Fails with kInvalidArgument and a sentence that gives the place
// ("ranks[3].channels[0][17].src.den") and the remedy.
Result<Plan> plan_from_json(std::string_view text);

}  // namespace tutti
