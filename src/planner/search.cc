#include "planner/search.h"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <optional>
#include <set>
#include <string>

#include "algorithms/algorithm.h"

namespace tutti {
namespace {

constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();
// What is within rounding of the fastest is as fast.
constexpr double kSame = 1e-9;
// Sizes of a block that are searched. From the largest on, times grow with the bytes.
constexpr uint64_t kSearched[] = {8, 4 << 10, 64 << 10, 1 << 20, 16 << 20};

std::set<int> channel_counts(const std::vector<int>& wanted, int most) {
  std::set<int> counts;
  for (const int channels : wanted) {
    if (most > 0) counts.insert(std::min(channels, most));
  }
  return counts;
}

std::set<int> parameters_of(const Algorithm& algorithm) {
  std::set<int> all(algorithm.parameters.begin(), algorithm.parameters.end());
  all.insert(0);
  return all;
}

bool fits(const Program& program, int most_fifos) {
  if (most_fifos == 0) return true;
  for (size_t channel = 0; channel < program.channels.size(); ++channel) {
    if (program.fifo(channel) >= most_fifos) return false;
  }
  return true;
}

bool faster(const Candidate& a, const Candidate& b) {
  if (a.predicted_us < b.predicted_us * (1 - kSame)) return true;
  if (b.predicted_us < a.predicted_us * (1 - kSame)) return false;
  return a.choice.channels < b.choice.channels;
}

std::string microseconds(double us) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g us", us);
  return text;
}

}  // namespace

Ranking rank_candidates(Predictor& predictor, const Topology& topology, const PlanRequest& request, uint64_t bytes,
                        const SearchOptions& options, const Algorithm* only) {
  Ranking ranking;
  // The best so far of an algorithm with one parameter.
  std::optional<Candidate> best;
  const auto consider = [&](const PlanChoice& choice) {
    Result<Simulated> predicted = predictor.predict(request, choice, bytes);
    if (!predicted.ok()) {
      ranking.skipped.push_back({choice, predicted.status().message()});
      return;
    }
    const Candidate candidate{choice, predicted->time_us};
    if (!best || faster(candidate, *best)) best = candidate;
  };
  for (const Algorithm* algorithm : algorithms()) {
    if (only != nullptr && only != algorithm) continue;
    const std::set<int> counts = channel_counts(options.channels, algorithm->max_channels(request, topology));
    for (const int parameter : parameters_of(*algorithm)) {
      best.reset();
      for (const int channels : counts) {
        PlanChoice choice{.algorithm = algorithm->name, .channels = channels, .parameter = parameter};
        const Program& program = predictor.program(request, choice);
        if (!fits(program, options.most_fifos)) continue;
        const uint64_t whole = bytes * program.largest_num / std::max(1u, program.largest_den);
        for (const uint32_t slice : options.slices) {
          if (slice >= whole && slice != options.slices.front()) continue;  // the same as whole messages
          choice.slice_bytes = slice;
          consider(choice);
        }
      }
      if (best) ranking.candidates.push_back(*best);
    }
  }
  std::stable_sort(ranking.candidates.begin(), ranking.candidates.end(), faster);
  return ranking;
}

namespace {

// Where, between two searched sizes, the choice of the larger overtakes that of the smaller: the last power of two at which it does not.
size_t overtaken(Predictor& predictor, const PlanRequest& request, const PlanChoice& small, const PlanChoice& large, uint64_t from,
                 uint64_t to) {
  while (from * 2 < to) {
    uint64_t middle = from;
    for (uint64_t low = from, high = to; low < high; low *= 2, high /= 2) middle = low;
    middle = std::clamp(middle, from * 2, to / 2);
    Result<Simulated> of_small = predictor.predict(request, small, middle), of_large = predictor.predict(request, large, middle);
    const bool small_holds = of_small.ok() && (!of_large.ok() || of_small->time_us <= of_large->time_us);
    (small_holds ? from : to) = middle;
  }
  return from;
}

const PlanChoice& ruled_choice(const std::vector<RuledRange>& ruled, uint64_t bytes) {
  for (const RuledRange& range : ruled) {
    if (bytes <= range.most_bytes) return range.choice;
  }
  return ruled.back().choice;
}

std::string text_of(const Candidate& candidate) {
  return candidate.choice.algorithm + " " + microseconds(candidate.predicted_us);
}

// What is taken for a size: the fastest, or what the rules say if that is nearly as fast.
PlanChoice pick(Predictor& predictor, const PlanRequest& request, uint64_t bytes, const Ranking& ranking, const PlanChoice& ruled) {
  const Candidate& first = ranking.candidates[0];
  PlanChoice at_rule = ruled;
  at_rule.protocol = first.choice.protocol;
  Result<Simulated> of_rule = predictor.predict(request, at_rule, bytes);
  const std::string size = " for " + std::to_string(bytes) + " B";
  if (of_rule.ok() && of_rule->time_us <= first.predicted_us * kWorthwhile) {
    at_rule.reason = ruled.reason + "; predicted " + microseconds(of_rule->time_us) + size + ", the fastest: " + text_of(first);
    return at_rule;
  }
  PlanChoice choice = first.choice;
  choice.reason = "predicted " + microseconds(first.predicted_us) + size;
  if (ranking.candidates.size() > 1) choice.reason += ", then " + text_of(ranking.candidates[1]);
  return choice;
}

}  // namespace

Result<std::vector<RuledRange>> searched_ranges(Predictor& predictor, const Topology& topology, const PlanRequest& request,
                                                size_t inline_bytes, const SearchOptions& options, const std::vector<RuledRange>& ruled) {
  std::vector<RuledRange> ranges;
  uint64_t last = 0;
  for (const uint64_t bytes : kSearched) {
    const Ranking ranking = rank_candidates(predictor, topology, request, bytes, options);
    if (ranking.candidates.empty()) continue;  // more work than the budget: what holds for smaller ones holds
    PlanChoice choice = pick(predictor, request, bytes, ranking, ruled_choice(ruled, bytes));
    if (!ranges.empty() && !ranges.back().choice.same_plan(choice)) {
      ranges.back().most_bytes = overtaken(predictor, request, ranges.back().choice, choice, last, bytes);
    }
    if (ranges.empty() || !ranges.back().choice.same_plan(choice)) ranges.push_back({kNoLimit, std::move(choice)});
    last = bytes;
  }
  if (ranges.empty()) {
    return Status(Code::kInvalidUsage, std::string("no algorithm can do ") + collective_name(request.collective) + " on this topology");
  }
  if (inline_bytes == 0 || request.uneven) return ranges;
  // What fits an inline slot takes that protocol.
  std::vector<RuledRange> with_inline;
  for (const RuledRange& range : ranges) {
    if (with_inline.empty() || with_inline.back().most_bytes < inline_bytes) {
      with_inline.push_back(range);
      with_inline.back().most_bytes = std::min(range.most_bytes, inline_bytes);
      with_inline.back().choice.protocol = Protocol::kInline;
    }
    if (range.most_bytes > inline_bytes) with_inline.push_back(range);
  }
  return with_inline;
}

}  // namespace tutti
