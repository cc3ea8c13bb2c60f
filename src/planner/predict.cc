#include "planner/predict.h"

#include <algorithm>
#include <set>
#include <string>

namespace tutti {
namespace {

// Slices: whole messages, and what slots of usual sizes hold.
constexpr uint32_t kSlices[] = {0, 64 << 10, 512 << 10, 4 << 20};

uint64_t messages_of(const Program& program) {
  uint64_t messages = 0;
  for (const auto& channel : program.channels) {
    messages +=
        static_cast<uint64_t>(std::count_if(channel.begin(), channel.end(), [](const Instruction& i) { return i.send_peer != kNoPeer; }));
  }
  return messages;
}

// The plan's fastest way to be sliced.
Result<Candidate> best_slices(const Plan& plan, const PlanChoice& choice, const Topology& topology, uint64_t bytes,
                              const SimulateOptions& options) {
  const Program& program = plan.ranks[0];
  const uint64_t whole = bytes * program.largest_num / std::max(1u, program.largest_den);
  Candidate best;
  for (const uint32_t slice : kSlices) {
    if (slice >= whole && slice != 0) continue;  // the same as whole messages
    SimulateOptions sliced = options;
    sliced.slice_bytes = slice;
    Result<Simulated> simulated = simulate(plan, topology.network(), bytes, sliced);
    if (!simulated.ok()) return simulated.status();
    if (slice != 0 && simulated->time_us >= best.predicted_us) continue;
    best = {choice, simulated->time_us};
    best.choice.slice_bytes = slice;
  }
  return best;
}

}  // namespace

uint64_t block_bytes(Collective collective, int nranks, uint64_t bytes) {
  return bytes / std::max(input_blocks(collective, nranks), output_blocks(collective, nranks));
}

Result<Simulated> predict(const Algorithm& algorithm, const PlanRequest& request, const PlanChoice& choice, const Topology& topology,
                          uint64_t bytes, const SimulateOptions& options) {
  const int most = algorithm.max_channels(request, topology);
  if (choice.channels < 1 || choice.channels > most) {
    return Status(Code::kInvalidUsage, std::string("algorithm '") + algorithm.name + "' cannot do " + collective_name(request.collective) +
                                           " on " + std::to_string(request.nranks) + " ranks with " + std::to_string(choice.channels) +
                                           " channels; at most " + std::to_string(most));
  }
  SimulateOptions sliced = options;
  sliced.slice_bytes = choice.slice_bytes;
  return simulate(generate_plan(algorithm, request, choice, topology), topology.network(), bytes, sliced);
}

Result<Ranking> rank_candidates(const PlanRequest& request, const Topology& topology, uint64_t bytes, const SimulateOptions& options,
                                const Algorithm* only, uint64_t max_messages) {
  Ranking ranking;
  for (const Algorithm* const algorithm : algorithms()) {
    if (only != nullptr && algorithm != only) continue;
    const int most = algorithm->max_channels(request, topology);
    for (const int channels : std::set<int>{1, 2, 4, most}) {
      if (channels < 1 || channels > most) continue;
      const PlanChoice choice{.algorithm = algorithm->name, .channels = channels};
      // The busiest rank is not known before all are made; the root, or the first, stands for it.
      const uint64_t messages =
          messages_of(algorithm->generate(request, choice, topology, request.root)) * static_cast<uint64_t>(request.nranks);
      if (messages > max_messages) {
        ranking.skipped.push_back({choice, messages});
        continue;
      }
      Result<Candidate> candidate = best_slices(generate_plan(*algorithm, request, choice, topology), choice, topology, bytes, options);
      if (!candidate.ok()) return candidate.status();
      ranking.candidates.push_back(std::move(*candidate));
    }
  }
  std::stable_sort(ranking.candidates.begin(), ranking.candidates.end(), [](const Candidate& a, const Candidate& b) {
    return a.predicted_us != b.predicted_us ? a.predicted_us < b.predicted_us : a.choice.channels < b.choice.channels;
  });
  return ranking;
}

}  // namespace tutti
