#include "planner/search.h"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <optional>
#include <set>
#include <string>

#include "algorithms/algorithm.h"
#include "topology/packing.h"

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

// An algorithm with one value of its parameter.
struct Offer {
  const Algorithm* algorithm = nullptr;
  int parameter = 0;
  std::vector<int> channels;  // numbers to try, ascending
  double least_us = 0;        // what it takes at least, with the fewest or with the most channels
  uint64_t steps = 0;         // to follow, with the most channels
  bool shares = false;        // messages are large even with the most channels

  PlanChoice choice(int count) const { return {.algorithm = algorithm->name, .channels = count, .parameter = parameter}; }
};

// Finds the best number of channels and slices of an offer.
class Trial {
 public:
  Trial(Predictor& predictor, const PlanRequest& request, uint64_t bytes, const std::vector<uint32_t>& slices, Ranking& ranking)
      : predictor_(predictor), request_(request), bytes_(bytes), slices_(slices), ranking_(ranking) {}

  // First with the fewest and the most channels, in messages of a middle size; then, if it comes near `fastest_us`, with numbers between,
  // then with larger or smaller slices for as long as they are faster: too small ones leave latency and injection in sight, too large ones
  // fill a pipeline slowly. It ends where nothing much could be gained, or when the predictor has worked for `most_work`. The best, unless
  // it takes more than `limit_us`.
  std::optional<Candidate> run(const Offer& offer, double fastest_us, double limit_us, uint64_t most_work) {
    best_.reset();
    limit_us_ = std::max(limit_us, kNear * fastest_us);
    enough_us_ = offer.least_us * kEnough;
    most_work_ = most_work;
    consider_middle(offer.choice(offer.channels.front()));
    const bool may_win = enough_us_ < fastest_us;
    if (may_win && offer.channels.size() > 1) consider_middle(offer.choice(offer.channels.back()));
    if (may_win && best_) {
      climb_channels(offer);
      climb_slices();
    }
    if (best_ && best_->predicted_us > limit_us) best_.reset();
    return best_;
  }

 private:
  static constexpr double kEnough = 1.005;
  static constexpr double kNear = 2;

  bool enough() const { return best_ && best_->predicted_us <= enough_us_; }

  // Those that cut a choice's messages, the smallest first, and what does not cut.
  std::vector<uint32_t> useful_slices(const PlanChoice& choice) {
    Result<Predictor::Shape> shape = predictor_.shape(request_, choice, bytes_);
    std::vector<uint32_t> useful;
    for (const uint32_t slice : slices_) {
      if (slice != 0 && shape.ok() && slice < shape->largest_message) useful.push_back(slice);
    }
    std::sort(useful.begin(), useful.end());
    useful.push_back(0);
    return useful;
  }

  void consider_middle(PlanChoice choice) {
    const std::vector<uint32_t> useful = useful_slices(choice);
    if (enough()) return;
    consider(choice, useful[useful.size() / 2]);
    // Too much work, maybe: whole messages are the least.
    if (!best_ && useful.size() > 1) consider(choice, 0);
  }

  // The numbers between: by halves, on the better side.
  void climb_channels(const Offer& offer) {
    size_t low = 0, high = offer.channels.size() - 1;
    while (high - low > 1 && !enough()) {
      const size_t middle = (low + high) / 2;
      const bool few = best_->choice.channels <= offer.channels[low];
      if (consider_middle(offer.choice(offer.channels[middle])); best_->choice.channels == offer.channels[middle]) {
        if (middle + 1 < high) consider_middle(offer.choice(offer.channels[middle + 1]));
        if (middle > low + 1) consider_middle(offer.choice(offer.channels[middle - 1]));
        return;
      }
      (few ? high : low) = middle;
    }
  }

  void climb_slices() {
    const std::vector<uint32_t> useful = useful_slices(best_->choice);
    const auto start = static_cast<size_t>(std::find(useful.begin(), useful.end(), best_->choice.slice_bytes) - useful.begin());
    for (size_t i = start; i > 0 && !enough() && consider(best_->choice, useful[i - 1]); --i) {
    }
    if (best_->choice.slice_bytes != useful[start]) return;
    for (size_t i = start; i + 1 < useful.size() && !enough() && consider(best_->choice, useful[i + 1]); ++i) {
    }
    if (!enough() && best_->choice.slice_bytes != 0) consider(best_->choice, 0);
  }

  // Whether it is the best so far.
  bool consider(PlanChoice choice, uint32_t slice_bytes) {
    if (best_ && predictor_.work() > most_work_) return false;
    choice.slice_bytes = slice_bytes;
    Result<Simulated> predicted = predictor_.predict(request_, choice, bytes_, best_ ? best_->predicted_us : limit_us_);
    if (!predicted.ok()) {
      ranking_.skipped.push_back({choice, predicted.status().message()});
      return false;
    }
    if (predicted->gave_up != Simulated::GaveUp::kNo) return false;
    const Candidate candidate{choice, predicted->time_us};
    if (best_ && !faster(candidate, *best_)) return false;
    best_ = candidate;
    return true;
  }

  Predictor& predictor_;
  const PlanRequest& request_;
  uint64_t bytes_;
  const std::vector<uint32_t>& slices_;
  Ranking& ranking_;
  std::optional<Candidate> best_;
  double limit_us_ = 0;
  double enough_us_ = 0;
  uint64_t most_work_ = 0;
};

// One ranking.
class Search {
 public:
  Search(Predictor& predictor, const Topology& topology, const PlanRequest& request, uint64_t bytes, const SearchOptions& options,
         Ranking& ranking)
      : predictor_(predictor), topology_(topology), request_(request), bytes_(bytes), options_(options), ranking_(ranking) {}

  void run(const Algorithm* only, const std::vector<PlanChoice>& likely) {
    // Below, everything is quick.
    constexpr int kQuick = 3;
    std::vector<const Algorithm*> laborious;
    std::vector<Offer> all;
    for (const Algorithm* algorithm : algorithms()) {
      if (only != nullptr && only != algorithm) continue;
      if (only == nullptr && algorithm->laborious && request_.nranks >= kQuick && request_.nranks <= kMostPackedRanks) {
        laborious.push_back(algorithm);
      } else {
        add_offers(*algorithm, all);
      }
    }
    // What is likely first, then those that take the least at least.
    const auto is_likely = [&](const Offer& offer) {
      return std::any_of(likely.begin(), likely.end(), [&](const PlanChoice& choice) {
        return choice.algorithm == offer.algorithm->name && choice.parameter == offer.parameter;
      });
    };
    std::stable_sort(all.begin(), all.end(), [](const Offer& a, const Offer& b) { return a.least_us < b.least_us * (1 - kSame); });
    // Of those that may be the fastest, the ones that are quickly followed: the others are given up the sooner.
    if (!all.empty()) {
      constexpr double kMayBeFastest = 1.25;
      const double least_us = all.front().least_us * kMayBeFastest;
      const auto rest = std::find_if(all.begin(), all.end(), [&](const Offer& each) { return each.least_us > least_us; });
      std::stable_sort(all.begin(), rest, [](const Offer& a, const Offer& b) { return a.steps < b.steps; });
    }
    std::stable_partition(all.begin(), all.end(), is_likely);
    for (const Offer& offer : all) consider(offer);
    for (const Algorithm* algorithm : laborious) {
      if (!room()) {
        ranking_.skipped.push_back({{.algorithm = algorithm->name}, "it is laborious, and the others leave little to be gained"});
        continue;
      }
      std::vector<Offer> more;
      add_offers(*algorithm, more);
      for (const Offer& offer : more) consider(offer);
    }
    std::stable_sort(ranking_.candidates.begin(), ranking_.candidates.end(), faster);
    // What was worked out before the fastest was known.
    std::erase_if(ranking_.candidates, [&](const Candidate& each) { return each.predicted_us > options_.interest * fastest_us_; });
  }

 private:
  void add_offers(const Algorithm& algorithm, std::vector<Offer>& all) {
    const std::set<int> counts = channel_counts(options_.channels, algorithm.max_channels(request_, topology_));
    for (const int parameter : counts.empty() ? std::set<int>() : parameters_of(algorithm)) {
      Offer offer{.algorithm = &algorithm, .parameter = parameter, .channels = {}, .least_us = std::numeric_limits<double>::infinity()};
      std::string refused;
      for (const int count : counts) {
        const PlanChoice choice = offer.choice(count);
        const bool at_an_end = count == *counts.begin() || count == *counts.rbegin();
        if (!at_an_end && options_.most_fifos == 0) {
          offer.channels.push_back(count);
          continue;
        }
        Result<Predictor::Shape> shape = predictor_.shape(request_, choice, bytes_);
        if (!shape.ok()) {
          refused = shape.status().message();
          break;  // more channels are more work
        }
        if (options_.most_fifos != 0 && shape->fifo_channels > options_.most_fifos) continue;
        offer.channels.push_back(count);
        offer.least_us = std::min(offer.least_us, *predictor_.least_us(request_, choice, bytes_));
        offer.steps = shape->steps;
        constexpr uint64_t kLarge = 64 << 10;
        offer.shares = shape->largest_message >= kLarge;
        // A share of so little is no sooner there than the whole.
        constexpr uint64_t kWorthSharing = 2048;
        if (shape->largest_message < kWorthSharing) break;
      }
      if (offer.channels.empty() || offer.least_us == std::numeric_limits<double>::infinity()) {
        if (!refused.empty()) ranking_.skipped.push_back({offer.choice(*counts.begin()), refused});
        continue;
      }
      all.push_back(std::move(offer));
    }
  }

  void consider(const Offer& offer) {
    const double limit_us = options_.interest * fastest_us_;
    const uint64_t work = options_.work == 0 ? 0 : (predictor_.work() - work_before_) / options_.work;
    if (work >= 4) {
      ranking_.skipped.push_back({offer.choice(offer.channels.front()), "the search has used up its budget"});
      return;
    }
    if (offer.least_us <= limit_us) {
      Trial trial(predictor_, request_, bytes_, options_.slices, ranking_);
      const uint64_t most_work = options_.work == 0 ? std::numeric_limits<uint64_t>::max() : work_before_ + options_.work;
      const std::optional<Candidate> best = trial.run(offer, fastest_us_, limit_us, most_work);
      if (best) {
        ranking_.candidates.push_back(*best);
        if (best->predicted_us < fastest_us_) {
          fastest_us_ = best->predicted_us;
          loaded_us_ = offer.least_us;
        }
        return;
      }
    }
    ranking_.skipped.push_back({offer.choice(offer.channels.front()),
                                offer.least_us <= limit_us ? "it takes more than " + microseconds(limit_us)
                                                           : "its fullest link or port alone takes " + microseconds(offer.least_us)});
  }

  // Whether there is a better plan to be looked for: bytes count, and the best so far is not as fast as the narrowest cut allows.
  bool room() const {
    constexpr double kBytesCount = 0.3;
    if (ranking_.candidates.empty()) return true;
    if (loaded_us_ < kBytesCount * fastest_us_) return false;
    const uint64_t blocks =
        std::max(input_blocks(request_.collective, request_.nranks), output_blocks(request_.collective, request_.nranks));
    return fastest_us_ > options_.room * predictor_.cut_us_per_byte(request_) * static_cast<double>(bytes_ * blocks);
  }

  Predictor& predictor_;
  const Topology& topology_;
  const PlanRequest& request_;
  const uint64_t bytes_;
  const SearchOptions& options_;
  Ranking& ranking_;
  const uint64_t work_before_ = predictor_.work();
  double fastest_us_ = std::numeric_limits<double>::infinity();
  double loaded_us_ = 0;  // what the fastest takes at least
};

}  // namespace

Ranking rank_candidates(Predictor& predictor, const Topology& topology, const PlanRequest& request, uint64_t bytes,
                        const SearchOptions& options, const Algorithm* only, const std::vector<PlanChoice>& likely) {
  Ranking ranking;
  Search(predictor, topology, request, bytes, options, ranking).run(only, likely);
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
    Result<Simulated> of_small = predictor.predict(request, small, middle);
    if (!of_small.ok()) {
      to = middle;
      continue;
    }
    Result<Simulated> of_large = predictor.predict(request, large, middle, of_small->time_us);
    const bool small_holds = !of_large.ok() || of_large->gave_up != Simulated::GaveUp::kNo || of_small->time_us <= of_large->time_us;
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
  const double worth_us = first.predicted_us * kWorthwhile;
  Result<Simulated> of_rule = predictor.predict(request, at_rule, bytes, worth_us);
  const std::string size = " for " + std::to_string(bytes) + " B";
  if (of_rule.ok() && of_rule->gave_up == Simulated::GaveUp::kNo && of_rule->time_us <= worth_us) {
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
    std::vector<PlanChoice> likely{ruled_choice(ruled, bytes)};
    if (!ranges.empty()) likely.push_back(ranges.back().choice);
    const Ranking ranking = rank_candidates(predictor, topology, request, bytes, options, nullptr, likely);
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
