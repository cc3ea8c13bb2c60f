#include "tools/tune.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "base/config.h"
#include "tools/contest.h"
#include "tools/start_ranks.h"

namespace tutti::tune {
namespace {

constexpr int kOk = 0, kFailed = 1, kBadUsage = 2;
// What is so near the fastest is as fast: then what holds for the size before goes on.
constexpr double kSame = 1.03;
// Of the issue: what a choice may fall behind the best that could be forced.
constexpr double kGood = 1.10;

constexpr Collective kTuned[] = {Collective::kAllReduce, Collective::kAllGather, Collective::kReduceScatter, Collective::kBroadcast,
                                 Collective::kReduce,    Collective::kGather,    Collective::kScatter,       Collective::kAllToAll};

std::vector<Collective> collectives_of(const Options& options) {
  std::vector<Collective> chosen;
  for (const Collective each : kTuned) {
    const auto& names = options.collectives;
    if (names.empty() || std::find(names.begin(), names.end(), collective_name(each)) != names.end()) chosen.push_back(each);
  }
  return chosen;
}

std::vector<size_t> sizes_of(const Options& options) {
  std::vector<size_t> sizes;
  const auto factor = static_cast<uint64_t>(options.factor);
  for (uint64_t bytes = options.least;; bytes *= factor) {
    sizes.push_back(bytes);
    if (bytes > options.most / factor) return sizes;
  }
}

std::string text_of(const Timing& timing) {
  const PlanChoice& choice = timing.choice;
  std::string text = choice.algorithm;
  text.append(" ").append(std::to_string(choice.channels));
  if (choice.parameter != 0) text.append(":").append(std::to_string(choice.parameter));
  return text.append(choice.protocol == Protocol::kInline ? " inline" : "");
}

std::string spread_of(double middle, const std::vector<double>& values) {
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  char text[96];
  std::snprintf(text, sizeof text, "%.4g (%.4g-%.4g)", middle, *least, *most);
  return text;
}

std::string spread_of(const Timing& timing) {
  return spread_of(timing.median_us(), timing.rounds_us);
}

// The planner's choice over the best, round by round.
struct Ratio {
  std::vector<double> rounds;
  double median = 0;
};

Ratio ratio_of(const Contest& contest, size_t size) {
  const Timing &chosen = contest.contenders[0].timings[size], &best = contest.best(size).timings[size];
  Timing ratios;
  for (size_t round = 0; round < chosen.rounds_us.size(); ++round)
    ratios.rounds_us.push_back(chosen.rounds_us[round] / best.rounds_us[round]);
  return {ratios.rounds_us, ratios.median_us()};
}

// How often the choice was near the best.
struct Tally {
  size_t sizes = 0;
  size_t good = 0;
  double worst = 0;
  std::string worst_at;
};

void show(const Job& job, const Contest& contest, Tally& tally) {
  std::printf("\n%s, %d ranks on %d nodes over %s\n", collective_name(contest.collective), job.ranks(), job.nodes(),
              job.transport().c_str());
  std::printf("%10s  %-26s %-26s  %-26s %-26s  %s\n", "bytes", "as chosen", "us", "the best that can be forced", "us", "ratio");
  for (size_t size = 0; size < contest.sizes.size(); ++size) {
    const Timing &chosen = contest.contenders[0].timings[size], &best = contest.best(size).timings[size];
    const Ratio ratio = ratio_of(contest, size);
    const bool same = chosen.choice.same_plan(best.choice);  // then the ratio says how much the same takes from one time to the next
    std::printf("%10zu  %-26s %-26s  %-26s %-26s  %s%s\n", contest.sizes[size].bytes, text_of(chosen).c_str(), spread_of(chosen).c_str(),
                text_of(best).c_str(), spread_of(best).c_str(), spread_of(ratio.median, ratio.rounds).c_str(),
                same ? " the same plan" : "");
    ++tally.sizes;
    if (same || ratio.median <= kGood) ++tally.good;
    if (same || ratio.median <= tally.worst) continue;
    tally.worst = ratio.median;
    tally.worst_at = std::string(", the farthest behind: ") + collective_name(contest.collective) + " of " +
                     std::to_string(contest.sizes[size].bytes) + " B, " + spread_of(ratio.median, ratio.rounds);
  }
  std::fflush(stdout);
}

// The fastest of each size, up to the middle between it and the next.
std::vector<TunedChoice> winners(const Job& job, const Contest& contest) {
  const Situation here{.collective = contest.collective, .ranks = job.ranks(), .nodes = job.nodes(), .transport = job.transport()};
  std::vector<TunedChoice> choices;
  for (size_t size = 0; size < contest.sizes.size(); ++size) {
    const Timing* winner = &contest.best(size).timings[size];
    if (!choices.empty()) {
      const PlanChoice& before = choices.back().choice;
      for (size_t i = 1; i < contest.contenders.size(); ++i) {
        const Timing& each = contest.contenders[i].timings[size];
        const bool same = each.choice.algorithm == before.algorithm && each.choice.channels == before.channels &&
                          each.choice.parameter == before.parameter;
        if (each.runs && same && each.median_us() <= kSame * winner->median_us()) winner = &each;
      }
      const double between = std::sqrt(static_cast<double>(contest.sizes[size - 1].block_bytes)) *
                             std::sqrt(static_cast<double>(contest.sizes[size].block_bytes));
      choices.back().most_bytes = static_cast<size_t>(between);
      if (winner->choice.same_plan(before)) choices.pop_back();
    }
    // Four digits are more than such a time means.
    char text[32];
    std::snprintf(text, sizeof text, "%.4g", winner->median_us());
    choices.push_back({.situation = here, .choice = winner->choice, .measured_us = std::strtod(text, nullptr)});
  }
  return choices;
}

std::string chip() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) == 0 && line.find(": ") != std::string::npos) return line.substr(line.find(": ") + 2);
  }
  return "unknown processor";
}

std::string name_of_now() {
  const std::time_t now = std::time(nullptr);
  char date[32];
  std::strftime(date, sizeof date, "%Y-%m-%d", std::gmtime(&now));
  return chip() + ", " + std::to_string(std::thread::hardware_concurrency()) + " CPUs, " + date;
}

void write(const std::string& path, const std::vector<TunedChoice>& fresh) {
  Tuning tuning;
  if (std::ifstream(path)) {
    Result<Tuning> there = read_tuning_file(path);
    if (!there.ok()) throw std::runtime_error(there.status().message());
    tuning = std::move(*there);
  }
  std::erase_if(tuning.choices, [&](const TunedChoice& old) {
    return std::any_of(fresh.begin(), fresh.end(), [&](const TunedChoice& each) { return each.situation == old.situation; });
  });
  tuning.choices.insert(tuning.choices.end(), fresh.begin(), fresh.end());
  tuning.name = name_of_now();
  std::ofstream file(path);
  file << tuning_to_json(tuning);
  file.close();
  if (!file) throw std::runtime_error("cannot write " + path);
  std::fprintf(stderr, "tutti-plan: wrote %s; have it used with TUTTI_TUNING_FILE=%s\n", path.c_str(), path.c_str());
}

int start(const Options& options) {
  std::vector<std::string> arguments{"tune"};
  arguments.insert(arguments.end(), options.collectives.begin(), options.collectives.end());
  arguments.insert(arguments.end(), {"-b", std::to_string(options.least), "-e", std::to_string(options.most), "-f",
                                     std::to_string(options.factor), "--rounds", std::to_string(options.rounds)});
  if (!options.file.empty()) arguments.insert(arguments.end(), {"-o", options.file});
  become_launcher(options.ranks, arguments);
}

int usage(const std::string& message) {
  std::fprintf(stderr, "tutti-plan: tune: %s\n", message.c_str());
  return kBadUsage;
}

int measure(const Options& options) {
  const Result<Config>& config = process_config();
  if (!config.ok()) throw std::runtime_error(config.status().message());
  if (!config.value().algorithm.empty()) return usage("TUTTI_ALGORITHM forces an algorithm: unset it, since there would be no choice");
  const Job job;
  if (job.ranks() < 2) return usage("needs two ranks or more: start it under a launcher (tutti-run, mpirun), or with -n");
  if (!options.file.empty() && !job.nodes_are_equal())
    return usage("-o needs as many ranks on each node: a tuning file holds for such alone");
  Tally tally;
  std::vector<TunedChoice> fresh;
  for (const Collective collective : collectives_of(options)) {
    const Contest contest = hold_contest(job, collective, sizes_of(options), options.rounds);
    if (job.rank() != 0) continue;
    show(job, contest, tally);
    const std::vector<TunedChoice> choices = winners(job, contest);
    fresh.insert(fresh.end(), choices.begin(), choices.end());
  }
  if (job.rank() != 0) return kOk;
  std::printf("\nus: of the slowest rank, median of %d alternating rounds (least-most); the ratio likewise, round by round\n",
              options.rounds);
  std::printf("as chosen it is the best, or within 10 %% of it, at %zu of %zu sizes%s\n", tally.good, tally.sizes, tally.worst_at.c_str());
  if (std::fflush(stdout) != 0) throw std::runtime_error("cannot write to standard output");
  if (!options.file.empty()) write(options.file, fresh);
  return kOk;
}

}  // namespace

int tune(const Options& options) {
  for (const std::string& name : options.collectives) {
    const auto is_it = [&](Collective each) { return name == collective_name(each); };
    if (std::none_of(std::begin(kTuned), std::end(kTuned), is_it)) return usage("there is no choice for '" + name + "' to measure");
  }
  if (options.least < 1 || options.least > options.most)
    return usage("the least size (-b) must be above 0 and no more than the largest (-e)");
  try {
    return options.ranks > 0 ? start(options) : measure(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tutti-plan: tune: %s\n", error.what());
    return kFailed;
  }
}

}  // namespace tutti::tune
