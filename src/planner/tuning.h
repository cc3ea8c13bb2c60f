// A tuning file (TUTTI_TUNING_FILE): which choice was measured to be the fastest, per collective, number of ranks and nodes, transport and
// range of sizes. `tutti-plan tune` measures and writes it; the planner goes by it where its situation is the communicator's, and by its
// rules and its search elsewhere. JSON:
//
//   {"version": 1, "name": "where and when",
//    "choices": [{"collective": "all_reduce", "ranks": 4, "nodes": 1, "transport": "shm", "most_bytes": 4096, "algorithm": "one_shot",
//                 "channels": 1, "parameter": 0, "protocol": "inline", "slice_bytes": 0, "measured_us": 1.5}, ...]}
//
// most_bytes: of a block, ascending within a situation; the last of a situation has none, and so covers all sizes. parameter, protocol
// (staged), slice_bytes and measured_us may be left out, as may unknown keys that begin with x-.
// Threading: a value type and pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "plan/request.h"
#include "planner/rules.h"
#include "topology/topology.h"

namespace tutti {

// What a measurement holds for: ranks that are all on their hosts, as many on each of the nodes.
struct Situation {
  Collective collective = Collective::kAllReduce;
  int ranks = 1;
  int nodes = 1;
  std::string transport;  // as tuttiCommExplain tells it: "shm", "tcp", "shm+tcp"

  bool operator==(const Situation&) const = default;
};

struct TunedChoice {
  Situation situation;
  size_t most_bytes = std::numeric_limits<size_t>::max();
  PlanChoice choice;       // without a reason
  double measured_us = 0;  // at the largest size that was measured in the range; 0: not told
};

struct Tuning {
  std::string name;
  std::vector<TunedChoice> choices;  // those of a situation side by side, ascending
};

std::string tuning_to_json(const Tuning& tuning);

// `file` is what errors call it. Errors (kInvalidArgument) name the file, the line, the object and the remedy.
Result<Tuning> tuning_from_json(std::string_view text, const std::string& file);
// Errors: those, and kSystem.
Result<Tuning> read_tuning_file(const std::string& path);

// Equal for tunings that are the same, whatever their files look like.
uint64_t tuning_hash(const Tuning& tuning);

// The ranges that it has for a request of this machine's ranks, ascending, the last for everything; empty where it has none, or has an
// algorithm that cannot do the request here. `inline_bytes`: payload of an inline slot; larger blocks go staged, whatever the file says.
std::vector<RuledRange> tuned_ranges(const Tuning& tuning, const PlanRequest& request, const Topology& topology,
                                     const std::string& transport, size_t inline_bytes);

}  // namespace tutti
