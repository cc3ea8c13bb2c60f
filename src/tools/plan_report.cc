#include "tools/plan_report.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>
#include <vector>

#include "topology/text_lines.h"

namespace tutti {
namespace {

std::string slice_text(uint32_t bytes) {
  return bytes == 0 ? "whole" : std::to_string(bytes);
}

}  // namespace

std::string report_as_text(const PlanReport& report) {
  char line[256];
  std::snprintf(line, sizeof line, "%s of %llu bytes on %s, %d ranks\n", collective_name(report.collective),
                static_cast<unsigned long long>(report.bytes), report.system.c_str(), report.ranks);
  std::string out = line;
  std::snprintf(line, sizeof line, "bound %.6g us: ", report.bound.time_us);
  out += wrapped(line + report.bound.cut, 0) + "\n";
  std::snprintf(line, sizeof line, "%-20s %9s %8s %8s %14s %9s\n", "algorithm", "parameter", "channels", "slices", "predicted us",
                "% bound");
  out += line;
  for (const Candidate& candidate : report.ranking.candidates) {
    std::snprintf(line, sizeof line, "%-20s %9d %8d %8s %14.3f %9.1f\n", candidate.choice.algorithm.c_str(), candidate.choice.parameter,
                  candidate.choice.channels, slice_text(candidate.choice.slice_bytes).c_str(), candidate.predicted_us,
                  report.percent(candidate));
    out += line;
  }
  for (const Skipped& skipped : report.ranking.skipped) {
    const std::string parameter = skipped.choice.parameter == 0 ? "" : ", parameter " + std::to_string(skipped.choice.parameter) + ",";
    out += wrapped(skipped.choice.algorithm + parameter + " with " + plural(static_cast<size_t>(skipped.choice.channels), "channel") +
                       ": not simulated: " + skipped.why,
                   0);
  }
  std::snprintf(line, sizeof line, "chosen in %.3g s; rank 0's program of the first has %llu instructions\n", report.search_s,
                static_cast<unsigned long long>(report.instructions));
  return out + line;
}

std::string report_as_json(const PlanReport& report) {
  using Json = nlohmann::ordered_json;  // keys in the contract's order: people read this too
  Json candidates = Json::array(), skipped = Json::array();
  for (const Candidate& candidate : report.ranking.candidates) {
    candidates.push_back({{"algorithm", candidate.choice.algorithm},
                          {"channels", candidate.choice.channels},
                          {"predicted_us", candidate.predicted_us},
                          {"percent_of_bound", report.percent(candidate)},
                          {"parameter", candidate.choice.parameter},
                          {"slice_bytes", candidate.choice.slice_bytes}});
  }
  for (const Skipped& each : report.ranking.skipped) {
    skipped.push_back({{"algorithm", each.choice.algorithm}, {"channels", each.choice.channels}, {"why", each.why}});
  }
  const Json json = {{"collective", collective_name(report.collective)},
                     {"system", report.system},
                     {"ranks", report.ranks},
                     {"bytes", report.bytes},
                     {"bound_us", report.bound.time_us},
                     {"binding_cut", report.bound.cut},
                     {"yardstick_us", report.yardstick_us},
                     {"search_s", report.search_s},
                     {"instructions", report.instructions},
                     {"candidates", candidates},
                     {"not_simulated", skipped}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string report_as_title(const PlanReport& report) {
  const Candidate& best = report.ranking.candidates[0];
  char line[256];
  std::snprintf(line, sizeof line, "%s of %llu bytes by %s, %d channel%s: %.6g us, %.1f %% of the bound",
                collective_name(report.collective), static_cast<unsigned long long>(report.bytes), best.choice.algorithm.c_str(),
                best.choice.channels, best.choice.channels == 1 ? "" : "s", best.predicted_us, report.percent(best));
  return line;
}

std::string describe_load(const Simulated& simulated, const Topology& topology, size_t most) {
  std::vector<uint32_t> edges(simulated.edge_bytes.size());
  std::iota(edges.begin(), edges.end(), 0u);
  std::stable_sort(edges.begin(), edges.end(), [&](uint32_t a, uint32_t b) {
    return simulated.utilisation(topology.network(), a) > simulated.utilisation(topology.network(), b);
  });
  std::string out;
  for (size_t i = 0; i < std::min(most, edges.size()); ++i) {
    const Link& link = topology.graph().links[edges[i]];
    char line[256];
    std::snprintf(line, sizeof line, "  %5.1f %% of %s -> %s (%g GB/s)\n", 100 * simulated.utilisation(topology.network(), edges[i]),
                  link.from.c_str(), link.to.c_str(), link.GBps * link.count);
    out += line;
  }
  return out;
}

}  // namespace tutti
