// Plans as MSCCL XML, both ways:
//
//   algo(name proto nchannels nchunksperloop ngpus coll inplace) > gpu(id i_chunks o_chunks s_chunks) > tb(id send recv chan)
//        > step(s type srcbuf srcoff dstbuf dstoff cnt depid deps hasdep)
//
// Out: a block becomes as many chunks as the least common denominator of the plan's regions. A thread block has one peer to send to and one
// to receive from, so a channel with more becomes several, whose steps keep its order by dependencies. What does not fit is refused: a
// barrier, and an instruction whose peers other instructions of its channel pair otherwise. A root is an attribute "root" of algo.
// In: a thread block becomes a channel. MSCCL does not say where a result is complete; it is worked out.
// The order of a reduction's operands (src_first) is lost on the way out: MSCCL's reductions commute.
// Threading: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "plan/program.h"

namespace tutti {

// `plan` must pass check_structure. Errors: kInvalidArgument, with the rank, channel and instruction that MSCCL has no form for.
Result<std::string> plan_to_msccl(const Plan& plan);

// Verified: what is returned has passed verify() for a commutative reduction, out of place. Errors: kInvalidArgument, with the line or the
// gpu, tb and step, and the remedy; or verify()'s sentence.
Result<Plan> plan_from_msccl(std::string_view text);

}  // namespace tutti
