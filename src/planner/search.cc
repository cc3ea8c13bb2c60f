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

namespace {

// An algorithm with one value of its parameter, and what the fullest link needs with its best number of channels.
struct Offer {
  const Algorithm* algorithm = nullptr;
  int parameter = 0;
  double load_us = 0;
  std::vector<std::pair<double, int>> channels;  // that load, and the number
};

// Finds the best numbers of channels and slices of an offer.
class Trial {
 public:
  Trial(Predictor& predictor, const PlanRequest& request, uint64_t bytes, const std::vector<uint32_t>& slices, Ranking& ranking)
      : predictor_(predictor), request_(request), bytes_(bytes), slices_(slices), ranking_(ranking) {}

  // Every number of channels with the first and a middle slice, then the other slices with the best of them. The best, if any could be
  // predicted.
  std::optional<Candidate> run(const Offer& offer) {
    best_.reset();
    const size_t middle = slices_.size() / 2;
    for (const auto& [load_us, channels] : offer.channels) {
      if (best_ && load_us > best_->predicted_us) continue;
      const PlanChoice choice{.algorithm = offer.algorithm->name, .channels = channels, .parameter = offer.parameter};
      for (size_t i = 0; i < slices_.size(); i += std::max<size_t>(1, middle)) consider(choice, i);
    }
    for (size_t i = 1; best_ && i < slices_.size(); ++i) {
      if (i % std::max<size_t>(1, middle) != 0) consider(best_->choice, i);
    }
    return best_;
  }

 private:
  void consider(PlanChoice choice, size_t slice) {
    choice.slice_bytes = slices_[slice];
    const Program& program = predictor_.program(request_, choice);
    const uint64_t whole = bytes_ * program.largest_num / std::max(1u, program.largest_den);
    if (slice != 0 && slices_[slice] >= whole) return;  // the same as whole messages
    Result<Simulated> predicted = predictor_.predict(request_, choice, bytes_);
    if (!predicted.ok()) {
      ranking_.skipped.push_back({choice, predicted.status().message()});
      return;
    }
    const Candidate candidate{choice, predicted->time_us};
    if (!best_ || faster(candidate, *best_)) best_ = candidate;
  }

  Predictor& predictor_;
  const PlanRequest& request_;
  uint64_t bytes_;
  const std::vector<uint32_t>& slices_;
  Ranking& ranking_;
  std::optional<Candidate> best_;
};

// What the algorithms offer, those with the least load first.
std::vector<Offer> offers(Predictor& predictor, const Topology& topology, const PlanRequest& request, uint64_t bytes,
                          const SearchOptions& options, const Algorithm* only, Ranking& ranking) {
  std::vector<Offer> all;
  for (const Algorithm* algorithm : algorithms()) {
    if (only != nullptr && only != algorithm) continue;
    const std::set<int> counts = channel_counts(options.channels, algorithm->max_channels(request, topology));
    for (const int parameter : parameters_of(*algorithm)) {
      Offer offer{.algorithm = algorithm, .parameter = parameter};
      for (const int channels : counts) {
        const PlanChoice choice{.algorithm = algorithm->name, .channels = channels, .parameter = parameter};
        if (!fits(predictor.program(request, choice), options.most_fifos)) continue;
        Result<double> load_us = predictor.load_us(request, choice, bytes);
        if (load_us.ok()) {
          offer.channels.emplace_back(*load_us, channels);
        } else {
          ranking.skipped.push_back({choice, load_us.status().message()});
        }
      }
      if (offer.channels.empty()) continue;
      std::sort(offer.channels.begin(), offer.channels.end());
      offer.load_us = offer.channels[0].first;
      all.push_back(std::move(offer));
    }
  }
  std::stable_sort(all.begin(), all.end(), [](const Offer& a, const Offer& b) { return a.load_us < b.load_us * (1 - kSame); });
  return all;
}

}  // namespace

Ranking rank_candidates(Predictor& predictor, const Topology& topology, const PlanRequest& request, uint64_t bytes,
                        const SearchOptions& options, const Algorithm* only) {
  Ranking ranking;
  double fastest_us = std::numeric_limits<double>::infinity();
  Trial trial(predictor, request, bytes, options.slices, ranking);
  for (const Offer& offer : offers(predictor, topology, request, bytes, options, only, ranking)) {
    if (offer.load_us > options.interest * fastest_us) {
      ranking.skipped.push_back({{.algorithm = offer.algorithm->name, .channels = offer.channels[0].second, .parameter = offer.parameter},
                                 "its fullest link alone takes " + microseconds(offer.load_us)});
      continue;
    }
    const std::optional<Candidate> best = trial.run(offer);
    if (!best) continue;
    ranking.candidates.push_back(*best);
    fastest_us = std::min(fastest_us, best->predicted_us);
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
  choice.source = ChoiceSource::kSearch;
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
