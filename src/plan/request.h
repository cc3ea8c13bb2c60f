// What shapes a program: the agreed part of a request, and the planner's choice for it. Every rank holds equal values of both, so every
// rank generates its own matching program from them.
// Threading: value types.
#pragma once

#include <cstdint>
#include <string>

#include "plan/program.h"

namespace tutti {

// The agreed part that shapes a program. Counts and types are launch parameters: they select, but do not shape.
struct PlanRequest {
  Collective collective = Collective::kAllReduce;
  int nranks = 1;
  int root = 0;               // 0 where the collective has none
  bool uneven = false;        // blocks have counts of their own (a v-form)
  bool rank_ordered = false;  // the reduction does not commute: it must be folded in the order of the ranks (associativity is presumed)

  bool operator==(const PlanRequest&) const = default;
};

// How bytes cross a FIFO. kInline: the flag shares the first cache line with the data (small messages, one line transfer).
// kStaged: the payload is aligned and separate from the flag (large messages, memory speed).
enum class Protocol : uint8_t { kInline, kStaged };

const char* protocol_name(Protocol protocol);

// Where a choice comes from.
enum class ChoiceSource : uint8_t {
  kRule,    // a rule that was measured
  kSearch,  // the simulator
  kTable,   // a tuning table
  kForced,  // TUTTI_ALGORITHM, or the config
  kTuner,   // a tuner plug-in
  kPlan     // an imported plan
};

const char* source_name(ChoiceSource source);  // "rule", "search", "table", "forced", "tuner", "plan"

struct PlanChoice {
  std::string algorithm;
  int channels = 1;
  int parameter = 0;  // the algorithm's own (a radix, an order of the axes), as its header says; 0: its default
  Protocol protocol = Protocol::kStaged;
  uint32_t slice_bytes = 0;                   // the most bytes of one message, the same on all ranks; 0: as many as a slot holds
  std::string reason;                         // for people; not compared
  ChoiceSource source = ChoiceSource::kRule;  // likewise
  int imported = -1;                          // the planner's imported plan of that index, in place of what the algorithm makes

  bool same_plan(const PlanChoice& other) const {
    return algorithm == other.algorithm && channels == other.channels && parameter == other.parameter && protocol == other.protocol &&
           slice_bytes == other.slice_bytes && imported == other.imported;
  }
};

}  // namespace tutti
