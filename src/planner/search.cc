#include "planner/search.h"

#include <algorithm>
#include <cstdio>
#include <limits>
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

// The best of an algorithm with one parameter.
class Best {
 public:
  Best(Predictor& predictor, const PlanRequest& request, uint64_t bytes) : predictor_(predictor), request_(request), bytes_(bytes) {}

  void consider(const PlanChoice& choice) {
    Result<double> time_us = predictor_.time_us(request_, choice, bytes_);
    if (!time_us.ok()) return;
    const Candidate candidate{choice, *time_us};
    if (!found_ || faster(candidate, best_)) best_ = candidate;
    found_ = true;
  }
  bool found() const { return found_; }
  const Candidate& best() const { return best_; }

 private:
  Predictor& predictor_;
  const PlanRequest& request_;
  uint64_t bytes_;
  bool found_ = false;
  Candidate best_;
};

}  // namespace

std::vector<Candidate> rank_candidates(Predictor& predictor, const Topology& topology, const PlanRequest& request, uint64_t bytes,
                                       const SearchOptions& options, std::string_view only) {
  std::vector<Candidate> candidates;
  for (const Algorithm* algorithm : algorithms()) {
    if (!only.empty() && only != algorithm->name) continue;
    const std::set<int> counts = channel_counts(options.channels, algorithm->max_channels(request, topology));
    for (const int parameter : parameters_of(*algorithm)) {
      Best best(predictor, request, bytes);
      for (const int channels : counts) {
        for (const uint64_t slice : options.slices) {
          if (slice >= bytes && slice != options.slices.front()) continue;
          const PlanChoice choice{
              .algorithm = algorithm->name, .channels = channels, .parameter = parameter, .slice_bytes = static_cast<uint32_t>(slice)};
          if (fits(algorithm->generate(request, choice, topology, 0), options.most_fifos)) best.consider(choice);
        }
      }
      if (best.found()) candidates.push_back(best.best());
    }
  }
  std::stable_sort(candidates.begin(), candidates.end(), faster);
  return candidates;
}

namespace {

// Where, between two searched sizes, the choice of the larger overtakes that of the smaller: the last power of two at which it does not.
size_t overtaken(Predictor& predictor, const PlanRequest& request, const PlanChoice& small, const PlanChoice& large, uint64_t from,
                 uint64_t to) {
  while (from * 2 < to) {
    uint64_t middle = from;
    for (uint64_t low = from, high = to; low < high; low *= 2, high /= 2) middle = low;
    middle = std::clamp(middle, from * 2, to / 2);
    Result<double> of_small = predictor.time_us(request, small, middle), of_large = predictor.time_us(request, large, middle);
    const bool small_holds = of_small.ok() && (!of_large.ok() || *of_small <= *of_large);
    (small_holds ? from : to) = middle;
  }
  return from;
}

std::string reason_of(const std::vector<Candidate>& candidates, uint64_t bytes) {
  std::string reason = "predicted " + microseconds(candidates[0].predicted_us) + " for " + std::to_string(bytes) + " B";
  if (candidates.size() > 1) reason += ", then " + candidates[1].choice.algorithm + " with " + microseconds(candidates[1].predicted_us);
  return reason;
}

}  // namespace

Result<std::vector<RuledRange>> searched_ranges(Predictor& predictor, const Topology& topology, const PlanRequest& request,
                                                size_t inline_bytes, const SearchOptions& options) {
  std::vector<RuledRange> ranges;
  uint64_t last = 0;
  for (const uint64_t bytes : kSearched) {
    const std::vector<Candidate> candidates = rank_candidates(predictor, topology, request, bytes, options);
    if (candidates.empty()) continue;  // more work than the budget: what holds for smaller ones holds
    PlanChoice choice = candidates[0].choice;
    choice.reason = reason_of(candidates, bytes);
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
