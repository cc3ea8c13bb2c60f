#include "tools/probe.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <vector>

#include "base/config.h"
#include "base/host.h"
#include "tools/probe_rounds.h"
#include "tools/start_ranks.h"
#include "topology/graph_json.h"
#include "topology/measured.h"
#include "tutti/tutti.h"

namespace tutti::probe {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kOk = 0, kFailed = 1, kBadUsage = 2;
constexpr int kMostShown = 16;  // ranks whose tables fit a terminal
// A round trip is the median of so many, or of as many as go into the time.
constexpr int kPings = 500;
constexpr double kPingsWithin_s = 0.05;
// A rate is the median of messages that take about so long each, sent one after another for the whole time: long beside the latency and
// beside what shapers let through at once.
constexpr double kMessage_s = 0.02, kMessagesFor_s = 0.25;
constexpr size_t kFirstBytes = 64 << 10, kMostBytes = 64 << 20;
// What a message costs is an exchange with so many peers, beyond one latency, by their number. All ranks exchange at once, for so long at
// least: where they share cores, as the hosts of a test may, a message costs what all of them spend on theirs.
constexpr int kMostPeers = 4, kExchanges = 7;
constexpr double kExchange_s = 0.05, kLeastMessageUs = 0.01;
// Ranks copy and add all at once, for so long, through buffers that few caches hold.
constexpr double kWork_s = 0.1;
constexpr size_t kWorkBytes = 16 << 20;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Destroy {
  void operator()(tuttiComm_t comm) const { static_cast<void>(tuttiCommDestroy(comm)); }
};
using Comm = std::unique_ptr<std::remove_pointer_t<tuttiComm_t>, Destroy>;

void check(tuttiResult_t result, tuttiComm_t comm, const char* what) {
  if (result != tuttiSuccess) throw std::runtime_error(std::string(what) + ": " + tuttiGetLastError(comm));
}

// What ranks tell each other of themselves.
struct Told {
  char node[160];
  char vendor[32];
};

class Prober {
 public:
  explicit Prober(Comm comm) : comm_(std::move(comm)), buffer_(kMostBytes) {
    check(tuttiCommCount(comm_.get(), &ranks_), comm_.get(), "count");
    check(tuttiCommUserRank(comm_.get(), &rank_), comm_.get(), "rank");
  }

  int rank() const { return rank_; }
  int ranks() const { return ranks_; }

  std::vector<RankPlace> exchange_places() {
    Told mine{};
    const Config& config = process_config().value();
    std::snprintf(mine.node, sizeof mine.node, "%s", (config.node_id.empty() ? node_identity() : config.node_id).c_str());
    std::snprintf(mine.vendor, sizeof mine.vendor, "cpu");
    std::vector<Told> all(static_cast<size_t>(ranks_));
    check(tuttiAllGather(&mine, all.data(), sizeof mine, tuttiUint8, comm_.get(), nullptr), comm_.get(), "all-gather of the nodes");
    std::vector<RankPlace> places;
    for (const Told& told : all) places.push_back({.node = told.node, .device = "host", .vendor = told.vendor});
    return places;
  }

  // Measures every pair in its round; the results of all are then everybody's.
  void measure(const std::vector<Round>& rounds, PairMatrix& GBps, PairMatrix& latency_us) {
    for (const Round& round : rounds) {
      check(tuttiBarrier(comm_.get(), nullptr), comm_.get(), "barrier");
      for (const auto& [a, b] : round) {
        if (rank_ == a) measure_as_first(b, GBps, latency_us);
        if (rank_ == b) measure_as_second(a, GBps);
      }
    }
    share(GBps);
    share(latency_us);
  }

  // What the ranks' own work takes. `least_latency_us`: of messages that cross a network; none do: in memory a message costs less than
  // calling for it here does, and is not measured.
  Costs costs(std::optional<double> least_latency_us) {
    Costs costs{.copy_GBps = working([](float* out, const float* in, size_t count) { std::copy_n(in, count, out); }),
                .reduce_GBps = working([](float* out, const float* in, size_t count) {
                  for (size_t i = 0; i < count; ++i) out[i] += in[i];
                })};
    if (!least_latency_us) return costs;
    const int peers = std::min(ranks_ - 1, kMostPeers);
    std::vector<double> tries_us;
    for (int i = 0; i < kExchanges; ++i) tries_us.push_back((exchange_us(peers) - *least_latency_us) / peers);
    costs.message_us = std::max(kLeastMessageUs, median(std::move(tries_us)));
    return costs;
  }

 private:
  double combined(double value, tuttiRedOp_t op) {
    check(tuttiAllReduce(&value, &value, 1, tuttiFloat64, op, comm_.get(), nullptr), comm_.get(), "all-reduce of a cost");
    return value;
  }

  // GB/s of result that the slowest rank makes while all work.
  template <class Work>
  double working(Work work) {
    const size_t count = kWorkBytes / sizeof(float);
    std::vector<float> in(count, 1), out(count, 1);
    check(tuttiBarrier(comm_.get(), nullptr), comm_.get(), "barrier");
    size_t bytes = 0;
    const auto start = Clock::now();
    for (; seconds_since(start) < kWork_s; bytes += kWorkBytes) work(out.data(), in.data(), count);
    return combined(static_cast<double>(bytes) / seconds_since(start) / 1e9, tuttiMin);
  }

  // A word from every rank to so many others at once: us, of the slowest rank.
  double exchange_us(int peers) {
    std::vector<uint64_t> arrived(static_cast<size_t>(peers));
    const uint64_t word = 0;
    double took_s = 0;
    for (int times = 16;; times *= 2) {
      check(tuttiBarrier(comm_.get(), nullptr), comm_.get(), "barrier");
      const auto start = Clock::now();
      for (int i = 0; i < times; ++i) {
        check(tuttiGroupStart(), comm_.get(), "group");
        for (int distance = 1; distance <= peers; ++distance) {
          send(&word, sizeof word, (rank_ + distance) % ranks_);
          receive(&arrived[static_cast<size_t>(distance) - 1], sizeof word, (rank_ - distance + ranks_) % ranks_);
        }
        check(tuttiGroupEnd(), comm_.get(), "an exchange");
      }
      took_s = combined(seconds_since(start), tuttiMax);
      if (took_s >= kExchange_s) return took_s / times * 1e6;
    }
  }

  void send(const void* data, size_t bytes, int peer) {
    check(tuttiSend(data, bytes, tuttiUint8, peer, comm_.get(), nullptr), comm_.get(), "send");
  }
  void receive(void* data, size_t bytes, int peer) {
    check(tuttiRecv(data, bytes, tuttiUint8, peer, comm_.get(), nullptr), comm_.get(), "receive");
  }

  void measure_as_first(int peer, PairMatrix& GBps, PairMatrix& latency_us) {
    const double round_trip_us = pings(peer);
    latency_us.at(rank_, peer) = latency_us.at(peer, rank_) = round_trip_us / 2;
    GBps.at(rank_, peer) = stream_to(peer, round_trip_us);
    sink_from(peer);
  }
  void measure_as_second(int peer, PairMatrix& GBps) {
    const double round_trip_us = pongs(peer);
    sink_from(peer);
    GBps.at(rank_, peer) = stream_to(peer, round_trip_us);
  }

  // The word says whether another ping comes. Both sides time their round trips.
  double pings(int peer) {
    std::vector<double> times_us;
    const auto start = Clock::now();
    for (bool last = false; !last;) {
      last = times_us.size() + 1 >= kPings || seconds_since(start) > kPingsWithin_s;
      uint64_t word = last ? 1 : 0;
      const auto sent = Clock::now();
      send(&word, sizeof word, peer);
      receive(&word, sizeof word, peer);
      times_us.push_back(seconds_since(sent) * 1e6);
    }
    return median(std::move(times_us));
  }
  double pongs(int peer) {
    std::vector<double> times_us;
    uint64_t word = 0;
    for (Clock::time_point sent; word == 0;) {
      receive(&word, sizeof word, peer);
      if (!times_us.empty() || sent != Clock::time_point()) times_us.push_back(seconds_since(sent) * 1e6);
      sent = Clock::now();
      send(&word, sizeof word, peer);
    }
    return times_us.empty() ? 0 : median(std::move(times_us));
  }

  // Messages of a growing size, each confirmed, until one takes long enough; then that size again and again. Returns GB/s.
  double stream_to(int peer, double round_trip_us) {
    uint64_t bytes = kFirstBytes;
    double took_s = timed_message(peer, bytes, round_trip_us);
    while (took_s < kMessage_s && bytes < kMostBytes) {
      bytes *= 2;
      took_s = timed_message(peer, bytes, round_trip_us);
    }
    std::vector<double> rates;
    for (const auto start = Clock::now(); rates.size() < 3 || seconds_since(start) < kMessagesFor_s;) {
      rates.push_back(static_cast<double>(bytes) / timed_message(peer, bytes, round_trip_us) / 1e9);
    }
    const uint64_t end = 0;
    send(&end, sizeof end, peer);
    return median(std::move(rates));
  }
  double timed_message(int peer, uint64_t bytes, double round_trip_us) {
    const auto start = Clock::now();
    uint64_t confirmed = 0;
    send(&bytes, sizeof bytes, peer);
    send(buffer_.data(), bytes, peer);
    receive(&confirmed, sizeof confirmed, peer);
    const double took_s = seconds_since(start);
    return std::max(took_s - round_trip_us / 1e6, took_s / 2);
  }
  void sink_from(int peer) {
    uint64_t bytes = 0;
    for (receive(&bytes, sizeof bytes, peer); bytes != 0; receive(&bytes, sizeof bytes, peer)) {
      receive(buffer_.data(), bytes, peer);
      send(&bytes, sizeof bytes, peer);
    }
  }

  // Each value was measured by one rank and is 0 at the others.
  void share(PairMatrix& matrix) {
    check(tuttiAllReduce(&matrix.at(0, 0), &matrix.at(0, 0), static_cast<size_t>(ranks_) * static_cast<size_t>(ranks_), tuttiFloat64,
                         tuttiSum, comm_.get(), nullptr),
          comm_.get(), "all-reduce of the results");
  }

  Comm comm_;
  int rank_ = 0;
  int ranks_ = 0;
  std::vector<std::byte> buffer_;
};

std::vector<int> number_nodes(const std::vector<RankPlace>& places) {
  std::map<std::string, int> numbers;
  std::vector<int> node_of;
  for (const RankPlace& place : places) node_of.push_back(numbers.emplace(place.node, static_cast<int>(numbers.size())).first->second);
  return node_of;
}

// Of two nodes one pair was measured: all others are as good.
void fill(const std::vector<int>& node_of, PairMatrix& matrix) {
  const auto lowest = [&](int rank) {
    return static_cast<int>(std::find(node_of.begin(), node_of.end(), node_of[static_cast<size_t>(rank)]) - node_of.begin());
  };
  for (int i = 0; i < matrix.size(); ++i) {
    for (int j = 0; j < matrix.size(); ++j) {
      if (node_of[static_cast<size_t>(i)] != node_of[static_cast<size_t>(j)]) matrix.at(i, j) = matrix.at(lowest(i), lowest(j));
    }
  }
}

// nullopt: there is one node.
std::optional<double> least_between_nodes(const std::vector<int>& node_of, const PairMatrix& matrix) {
  std::optional<double> least;
  for (int i = 0; i < matrix.size(); ++i) {
    for (int j = 0; j < matrix.size(); ++j) {
      const bool apart = node_of[static_cast<size_t>(i)] != node_of[static_cast<size_t>(j)];
      if (apart && (!least || matrix.at(i, j) < *least)) least = matrix.at(i, j);
    }
  }
  return least;
}

void print_table(const char* title, const PairMatrix& matrix) {
  std::printf("%s\n%6s", title, "");
  for (int to = 0; to < matrix.size(); ++to) std::printf(" %8d", to);
  for (int from = 0; from < matrix.size(); ++from) {
    std::printf("\n%6d", from);
    for (int to = 0; to < matrix.size(); ++to) {
      if (from == to) {
        std::printf(" %8s", "-");
      } else {
        std::printf(" %8.3g", matrix.at(from, to));
      }
    }
  }
  std::printf("\n");
}

void print_summary(const Explained& explained, const PairMatrix& GBps, const PairMatrix& latency_us) {
  if (GBps.size() <= kMostShown) {
    print_table("latency, one way [us], from row to column:", latency_us);
    print_table("rate [GB/s]:", GBps);
  }
  std::printf("explained by:\n");
  for (const Link& link : explained.graph.links) {
    std::printf("  %-10s -> %-10s %8.3g GB/s %8.3g us  %s\n", link.from.c_str(), link.to.c_str(), link.GBps, link.latency_us,
                link.kind.c_str());
  }
  std::printf("which predicts the rate from rank %d to rank %d, the worst, at %.2f of what was measured\n", explained.worst_from,
              explained.worst_to, explained.worst_ratio);
  const Costs& costs = explained.graph.costs;
  std::printf("a rank's own work, while all work: %.3g us a message (0: not measured), copies %.3g GB/s, sums %.3g GB/s\n",
              costs.message_us, costs.copy_GBps, costs.reduce_GBps);
}

int report(const Options& options, const Explained& explained, const PairMatrix& GBps, const PairMatrix& latency_us) {
  const std::string json = graph_to_json(explained.graph);
  if (options.json) {
    std::fputs(json.c_str(), stdout);
  } else {
    print_summary(explained, GBps, latency_us);
  }
  if (std::fflush(stdout) != 0) throw std::runtime_error("cannot write to standard output");
  if (options.file.empty()) return kOk;
  std::ofstream file(options.file);
  file << json;
  file.close();
  if (!file) throw std::runtime_error("cannot write " + options.file);
  std::fprintf(stderr, "tutti-topo: wrote %s; have it used with TUTTI_TOPO_FILE=%s\n", options.file.c_str(), options.file.c_str());
  return kOk;
}

int start_ranks(const Options& options) {
  std::vector<std::string> arguments{"probe"};
  if (options.json) arguments.emplace_back("--json");
  if (!options.file.empty()) arguments.insert(arguments.end(), {"-o", options.file});
  become_launcher(options.ranks, arguments);
}

int probe_ranks(const Options& options) {
  tuttiComm_t opened = nullptr;
  check(tuttiCommInitFromEnv(&opened, nullptr), nullptr, "joining the job");
  Prober prober{Comm(opened)};
  if (prober.ranks() < 2) {
    std::fprintf(stderr, "tutti-topo: probe needs two ranks or more: start it under a launcher (tutti-run, mpirun), or with -n\n");
    return kBadUsage;
  }
  const std::vector<RankPlace> places = prober.exchange_places();
  const std::vector<int> node_of = number_nodes(places);
  PairMatrix GBps(prober.ranks()), latency_us(prober.ranks());
  prober.measure(rounds(node_of), GBps, latency_us);
  fill(node_of, GBps);
  fill(node_of, latency_us);
  const Costs costs = prober.costs(least_between_nodes(node_of, latency_us));
  Explained explained = explain_measurement(places, GBps, latency_us);
  explained.graph.costs = costs;
  return prober.rank() == 0 ? report(options, explained, GBps, latency_us) : kOk;
}

}  // namespace

int probe(const Options& options) {
  try {
    return options.ranks > 0 ? start_ranks(options) : probe_ranks(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tutti-topo: probe: %s\n", error.what());
    return kFailed;
  }
}

}  // namespace tutti::probe
