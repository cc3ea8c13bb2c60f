#include "tools/contest.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>
#include <stdexcept>

#include "algorithms/algorithm.h"
#include "algorithms/channel_share.h"
#include "base/config.h"
#include "base/host.h"

namespace tutti::tune {
namespace {

using Clock = std::chrono::steady_clock;

// A batch is as many calls as take about so long: several turns of the scheduler, where ranks share cores, and yet so short that most
// batches see no other program run.
constexpr double kBatchUs = 10'000;
constexpr size_t kMostIterations = 20'000;
// One call that takes longer is warm enough from the round before.
constexpr double kLongUs = 100'000;
// What took so many times as long as the fastest in a first round does not run again; nor does what took, in the median of a few
// alternating ones, so many times as long.
constexpr double kInterest = 2, kLaterInterest = 1.3;
constexpr int kFewRounds = 4;

void check(tuttiResult_t result, tuttiComm_t comm, const char* what) {
  if (result != tuttiSuccess) throw std::runtime_error(std::string(what) + ": " + tuttiGetLastError(comm));
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

nlohmann::json explain(tuttiComm_t comm, Collective collective, size_t count) {
  char text[4096];
  size_t length = 0;
  check(tuttiCommExplain(comm, static_cast<tuttiCollective_t>(collective), count, tuttiFloat32, tuttiSum, 0, text, sizeof text, &length),
        comm, "tuttiCommExplain");
  return nlohmann::json::parse(std::string(text, std::min(length, sizeof text - 1)));
}

PlanChoice choice_of(tuttiComm_t comm, Collective collective, size_t count) {
  const nlohmann::json told = explain(comm, collective, count);
  return {.algorithm = told.at("algorithm"),
          .channels = told.at("channels"),
          .protocol = told.at("protocol") == protocol_name(Protocol::kInline) ? Protocol::kInline : Protocol::kStaged};
}

// Where ranks outnumber cores, times depend on which of them share one, and that stays for long: so every round deals them out anew, the
// same number to each core, as one of many runs would find them. Afterwards each may run where it might before.
void deal_out(const Job& job, int round) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &allowed)) cpus.push_back(cpu);
  }
  if (static_cast<size_t>(job.ranks() / job.nodes()) <= cpus.size()) return;
  std::vector<size_t> place(static_cast<size_t>(job.ranks()));
  std::iota(place.begin(), place.end(), size_t{0});
  std::shuffle(place.begin(), place.end(), std::minstd_rand(static_cast<unsigned>(round) + 1));  // alike on all ranks
  cpu_set_t mine;
  CPU_ZERO(&mine);
  CPU_SET(static_cast<size_t>(cpus[place[static_cast<size_t>(job.rank())] % cpus.size()]), &mine);
  if (sched_setaffinity(0, sizeof mine, &mine) == 0) static_cast<void>(sched_setaffinity(0, sizeof allowed, &allowed));
}

// What can be forced: each algorithm as TUTTI_ALGORITHM=NAME has it, and with numbers of channels and parameters.
std::vector<Contender> everything() {
  std::vector<Contender> all;
  for (const Algorithm* algorithm : algorithms()) {
    all.push_back({.forced = algorithm->name});
    std::vector<int> parameters{0};
    for (const int parameter : algorithm->parameters) {
      if (parameter != 0) parameters.push_back(parameter);
    }
    for (const int parameter : parameters) {
      for (int channels = 1; channels <= kMostShares; channels *= 2) {
        std::string forced = algorithm->name;
        forced.append(":").append(std::to_string(channels));
        if (parameter != 0) forced.append(":").append(std::to_string(parameter));
        all.push_back({.forced = std::move(forced), .parameter = parameter});
      }
    }
  }
  return all;
}

class Holder {
 public:
  Holder(const Job& job, Collective collective, const std::vector<size_t>& bytes) : job_(job) {
    contest_.collective = collective;
    const size_t in = input_blocks(collective, job.ranks()), out = output_blocks(collective, job.ranks());
    for (const size_t each : bytes) {
      const size_t count = std::max<size_t>(1, each / std::max(in, out) / sizeof(float));
      if (!contest_.sizes.empty() && contest_.sizes.back().count == count) continue;
      contest_.sizes.push_back({.count = count, .block_bytes = count * sizeof(float), .bytes = count * sizeof(float) * std::max(in, out)});
    }
    input_.resize(in * contest_.sizes.back().count);
    output_.resize(out * contest_.sizes.back().count);
  }

  Contest hold(int rounds) {
    try_alone(Contender{});
    for (Contender& each : everything()) try_alone(std::move(each));
    drop_the_slow(kInterest, [](const Timing& timing) { return timing.first_us; });
    open_all();
    for (int round = 0; round < rounds; ++round) {
      if (round == kFewRounds) drop_the_slow(kLaterInterest, [](const Timing& timing) { return timing.median_us(); });
      deal_out(job_, round);
      for (size_t size = 0; size < contest_.sizes.size(); ++size) run_round(size, static_cast<size_t>(round));
    }
    return std::move(contest_);
  }

 private:
  // Runs it at the sizes where nobody before had the same choice; keeps it if there is one.
  void try_alone(Contender contender) {
    const Comm comm = job_.open(contender.forced);
    const bool chosen = contender.forced.empty();
    const std::string algorithm = contender.forced.substr(0, contender.forced.find(':'));
    bool runs = false;
    for (size_t size = 0; size < contest_.sizes.size(); ++size) {
      Timing timing{.choice = choice_of(comm.get(), contest_.collective, contest_.sizes[size].count)};
      timing.choice.parameter = contender.parameter;
      const bool does_it = chosen || timing.choice.algorithm == algorithm;  // else it cannot do this collective
      timing.runs = does_it && (chosen || is_new(timing.choice, size));
      if (timing.runs) run_first(comm.get(), size, timing);
      runs |= timing.runs;
      contender.timings.push_back(std::move(timing));
    }
    if (runs) contest_.contenders.push_back(std::move(contender));
  }

  // Several channels of inline messages are never better than one.
  bool is_new(const PlanChoice& choice, size_t size) const {
    if (choice.protocol == Protocol::kInline && choice.channels > 1) return false;
    for (size_t i = 1; i < contest_.contenders.size(); ++i) {
      const Timing& timing = contest_.contenders[i].timings[size];
      if (timing.runs && timing.choice.same_plan(choice)) return false;
    }
    return true;
  }

  void run_first(tuttiComm_t comm, size_t size, Timing& timing) {
    static_cast<void>(batch_us(comm, size, 1));  // makes its connections
    timing.first_us = batch_us(comm, size, 1);
    timing.iterations = std::clamp<size_t>(static_cast<size_t>(std::ceil(kBatchUs / timing.first_us)), 1, kMostIterations);
    if (timing.iterations > 1) timing.first_us = batch_us(comm, size, timing.iterations);
  }

  // By size, of what is forced; `us` says how long a timing took.
  template <class Us>
  void drop_the_slow(double interest, Us us) {
    std::vector<Contender>& all = contest_.contenders;
    for (size_t size = 0; size < contest_.sizes.size(); ++size) {
      double fastest_us = std::numeric_limits<double>::infinity();
      for (size_t i = 1; i < all.size(); ++i) {
        if (all[i].timings[size].runs) fastest_us = std::min(fastest_us, us(all[i].timings[size]));
      }
      for (size_t i = 1; i < all.size(); ++i) {
        Timing& timing = all[i].timings[size];
        timing.runs = timing.runs && us(timing) <= interest * fastest_us;
      }
    }
  }

  // A communicator for each contender and size: over tcp, what a connection has carried before, and how many others are polled beside it,
  // makes the same plan up to twice as slow.
  void open_all() {
    for (const Contender& each : contest_.contenders) {
      std::vector<Comm>& own = comms_.emplace_back();
      for (const Timing& timing : each.timings) own.push_back(timing.runs ? job_.open(each.forced) : nullptr);
    }
  }

  void run_round(size_t size, size_t round) {
    for (size_t i = 0; i < comms_.size(); ++i) {
      const size_t turn = (i + round) % comms_.size();
      Timing& timing = contest_.contenders[turn].timings[size];
      if (!timing.runs) continue;
      const tuttiComm_t comm = comms_[turn][size].get();
      if (round == 0 || timing.first_us < kLongUs) static_cast<void>(batch_us(comm, size, 1));
      timing.rounds_us.push_back(batch_us(comm, size, timing.iterations));
    }
  }

  // A call of the slowest rank. Of rooted collectives the root goes around.
  double batch_us(tuttiComm_t comm, size_t size, size_t iterations) {
    job_.barrier();
    const auto start = Clock::now();
    for (size_t i = 0; i < iterations; ++i) {
      check(call(comm, contest_.sizes[size].count, static_cast<int>(i % static_cast<size_t>(job_.ranks()))), comm,
            collective_name(contest_.collective));
    }
    const std::chrono::duration<double, std::micro> elapsed = Clock::now() - start;
    return job_.most(elapsed.count()) / static_cast<double>(iterations);
  }

  tuttiResult_t call(tuttiComm_t comm, size_t count, int root) {
    const float* const in = input_.data();
    float* const out = output_.data();
    switch (contest_.collective) {
      case Collective::kAllReduce: return tuttiAllReduce(in, out, count, tuttiFloat32, tuttiSum, comm, nullptr);
      case Collective::kAllGather: return tuttiAllGather(in, out, count, tuttiFloat32, comm, nullptr);
      case Collective::kReduceScatter: return tuttiReduceScatter(in, out, count, tuttiFloat32, tuttiSum, comm, nullptr);
      case Collective::kBroadcast: return tuttiBroadcast(in, out, count, tuttiFloat32, root, comm, nullptr);
      case Collective::kReduce: return tuttiReduce(in, out, count, tuttiFloat32, tuttiSum, root, comm, nullptr);
      case Collective::kGather: return tuttiGather(in, out, count, tuttiFloat32, root, comm, nullptr);
      case Collective::kScatter: return tuttiScatter(in, out, count, tuttiFloat32, root, comm, nullptr);
      case Collective::kAllToAll: return tuttiAllToAll(in, out, count, tuttiFloat32, comm, nullptr);
      default: throw std::runtime_error(std::string(collective_name(contest_.collective)) + " has nothing to tune");
    }
  }

  const Job& job_;
  Contest contest_;
  std::vector<std::vector<Comm>> comms_;  // of the contenders, by size
  std::vector<float> input_, output_;
};

}  // namespace

Job::Job() {
  tuttiComm_t opened = nullptr;
  check(tuttiCommInitFromEnv(&opened, nullptr), nullptr, "joining the job");
  comm_.reset(opened);
  check(tuttiCommCount(opened, &ranks_), opened, "count");
  check(tuttiCommUserRank(opened, &rank_), opened, "rank");
  transport_ = explain(opened, Collective::kBarrier, 0).at("transport");
  const Config& config = process_config().value();
  const uint64_t mine = std::hash<std::string>{}(config.node_id.empty() ? node_identity() : config.node_id);
  std::vector<uint64_t> all(static_cast<size_t>(ranks_));
  check(tuttiAllGather(&mine, all.data(), 1, tuttiUint64, opened, nullptr), opened, "all-gather of the nodes");
  std::map<uint64_t, int> ranks_of;
  for (const uint64_t node : all) ++ranks_of[node];
  nodes_ = static_cast<int>(ranks_of.size());
  for (const auto& [node, ranks] : ranks_of) nodes_are_equal_ &= ranks * nodes_ == ranks_;
}

Comm Job::open(const std::string& forced) const {
  tuttiConfig_t config = TUTTI_CONFIG_INITIALIZER;
  config.algorithm = forced.c_str();
  tuttiComm_t opened = nullptr;
  check(tuttiCommSplit(comm_.get(), 0, rank_, &opened, &config), comm_.get(), "a communicator to measure");
  return Comm(opened);
}

void Job::barrier() const {
  check(tuttiBarrier(comm_.get(), nullptr), comm_.get(), "barrier");
}

double Job::most(double mine) const {
  check(tuttiAllReduce(&mine, &mine, 1, tuttiFloat64, tuttiMax, comm_.get(), nullptr), comm_.get(), "all-reduce of a time");
  return mine;
}

bool Contender::runs() const {
  return std::any_of(timings.begin(), timings.end(), [](const Timing& timing) { return timing.runs; });
}

double Timing::median_us() const {
  return median(rounds_us);
}

const Contender& Contest::best(size_t size) const {
  const Contender* best = nullptr;
  for (size_t i = 1; i < contenders.size(); ++i) {
    const Contender& each = contenders[i];
    if (!each.timings[size].runs) continue;
    if (best == nullptr || each.timings[size].median_us() < best->timings[size].median_us()) best = &each;
  }
  if (best == nullptr) throw std::runtime_error(std::string("no algorithm can be forced for ") + collective_name(collective));
  return *best;
}

Contest hold_contest(const Job& job, Collective collective, const std::vector<size_t>& bytes, int rounds) {
  return Holder(job, collective, bytes).hold(rounds);
}

}  // namespace tutti::tune
