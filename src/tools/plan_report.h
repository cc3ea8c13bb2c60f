// What tutti-plan prints of a ranking: the table for people, and the JSON of design.md, section 6.
// Threading: pure functions.
#pragma once

#include <string>

#include "plan/bound.h"
#include "planner/search.h"

namespace tutti {

struct PlanReport {
  Collective collective = Collective::kAllReduce;
  std::string system;
  int ranks = 0;
  uint64_t bytes = 0;
  Bound bound;
  double yardstick_us = 0;  // for tiny sizes: latency_yardstick_us
  Ranking ranking;
  double search_s = 0;        // what it took to choose the best and to make rank 0's program of it, by the clock
  uint64_t instructions = 0;  // of that program

  double percent(const Candidate& candidate) const { return candidate.predicted_us > 0 ? 100 * bound.time_us / candidate.predicted_us : 0; }
};

std::string report_as_text(const PlanReport& report);
std::string report_as_json(const PlanReport& report);
// The best candidate on a line: what a picture of it is called.
std::string report_as_title(const PlanReport& report);

// How a simulated plan loads the links: the fullest first, at most `most` lines.
std::string describe_load(const Simulated& simulated, const Topology& topology, size_t most);

}  // namespace tutti
