// See report.h.
#include "report.h"

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

namespace perf {
namespace {

const char* launch_name(Launch launch) {
  switch (launch) {
    case Launch::kLauncher: return "started by a launcher";
    case Launch::kThreads: return "threads of one process";
    case Launch::kFork: break;
  }
  return "forked processes";
}

bool has_bandwidth(const Options& options) {
  return options.collective->sizing != Sizing::kNothing;
}

void print_measured(const Options& options, size_t bytes, const std::optional<Measured>& measured) {
  if (!measured) {
    std::printf("  %9s %7s %7s %6s", "-", "-", "-", "-");
    return;
  }
  const double us = measured->timing.median_us;
  std::printf("  %9.2f", us);
  if (has_bandwidth(options)) {
    std::printf(" %7.2f %7.2f", algbw_GBps(bytes, us), busbw_GBps(options, bytes, us));
  } else {
    std::printf(" %7s %7s", "-", "-");
  }
  if (measured->wrong) {
    std::printf(" %6llu", static_cast<unsigned long long>(*measured->wrong));
  } else {
    std::printf(" %6s", "N/A");
  }
}

nlohmann::ordered_json to_json(const Options& options, size_t bytes, const Measured& measured) {
  const Timing& t = measured.timing;
  nlohmann::ordered_json json{{"time_us", t.median_us},
                              {"p10_us", t.p10_us},
                              {"p90_us", t.p90_us},
                              {"algbw_GBps", algbw_GBps(bytes, t.median_us)},
                              {"busbw_GBps", busbw_GBps(options, bytes, t.median_us)},
                              {"wrong", nullptr}};
  if (measured.wrong) json["wrong"] = *measured.wrong;
  return json;
}

nlohmann::ordered_json to_json(const Options& options, const Row& row) {
  nlohmann::ordered_json json{{"bytes", row.shape.bytes},
                              {"count", row.shape.count},
                              {"type", options.type->name},
                              {"op", options.op->name},
                              {"algorithm", nullptr}};
  if (row.algorithm) json["algorithm"] = *row.algorithm;
  json.update(to_json(options, row.shape.bytes, row.out_of_place));
  json["in_place"] = nullptr;
  if (row.in_place) json["in_place"] = to_json(options, row.shape.bytes, *row.in_place);
  return json;
}

uint64_t total_out_of_bounds(const std::vector<Row>& rows) {
  uint64_t total = 0;
  for (const Row& row : rows) total += row.out_of_place.out_of_bounds + (row.in_place ? row.in_place->out_of_bounds : 0);
  return total;
}

}  // namespace

double algbw_GBps(size_t bytes, double us) {
  return us > 0 ? static_cast<double>(bytes) / 1e3 / us : 0;
}

double busbw_GBps(const Options& options, size_t bytes, double us) {
  return algbw_GBps(bytes, us) * options.collective->busbw_factor(options.ranks);
}

uint64_t total_wrong(const std::vector<Row>& rows) {
  uint64_t total = 0;
  for (const Row& row : rows) total += row.out_of_place.wrong.value_or(0) + (row.in_place ? row.in_place->wrong.value_or(0) : 0);
  return total;
}

void print_header(const Options& options, const std::string& transport, const std::vector<RankInfo>& ranks) {
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  int version = 0;
  must(tuttiGetVersion(&version), nullptr, "tuttiGetVersion");
  std::printf("# tutti-perf %d.%d.%d, library %d.%d.%d: %s on %s\n", TUTTI_MAJOR, TUTTI_MINOR, TUTTI_PATCH, version / 10000,
              version / 100 % 100, version % 100, options.collective->name.data(), host);
  std::printf("# %d ranks, %s; transport %s\n", options.ranks, launch_name(options.launch), transport.c_str());
  std::printf("# %zu to %zu bytes, factor %zu; %d warm-ups, at least %d iterations in batches of at least %.0f us; check %d\n",
              options.min_bytes, options.max_bytes, options.factor, options.warmups, options.iterations, kBatchUs, options.check ? 1 : 0);
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    std::printf("#  rank %3zu pid %7llu %s", rank, static_cast<unsigned long long>(ranks[rank].pid),
                ranks[rank].cpu < 0 ? "not pinned\n" : "");
    if (ranks[rank].cpu >= 0) std::printf("pinned to cpu %d\n", ranks[rank].cpu);
  }
  std::printf("#\n#%12s %13s %11s %6s %5s  %-32s  %-32s\n", "", "", "", "", "", "           out-of-place", "           in-place");
  std::printf("#%12s %13s %11s %6s %5s  %9s %7s %7s %6s  %9s %7s %7s %6s\n", "size", "count", "type", "redop", "root", "time", "algbw",
              "busbw", "#wrong", "time", "algbw", "busbw", "#wrong");
  std::printf("#%12s %13s %11s %6s %5s  %9s %7s %7s %6s  %9s %7s %7s %6s\n", "(B)", "(elements)", "", "", "", "(us)", "(GB/s)", "(GB/s)",
              "", "(us)", "(GB/s)", "(GB/s)", "");
  std::fflush(stdout);
}

void print_row(const Options& options, const Row& row) {
  std::printf(" %12zu %13zu %11s %6s %5d", row.shape.bytes, row.shape.count, options.type->name.data(), options.op->name.data(),
              options.root);
  print_measured(options, row.shape.bytes, row.out_of_place);
  print_measured(options, row.shape.bytes, row.in_place);
  std::printf("\n");
  std::fflush(stdout);
}

void print_footer(const Options& options, const std::vector<Row>& rows) {
  double sum = 0;
  int terms = 0;
  const auto add = [&](const Row& row, const Measured& measured) {
    sum += busbw_GBps(options, row.shape.bytes, measured.timing.median_us);
    ++terms;
  };
  for (const Row& row : rows) {
    add(row, row.out_of_place);
    if (row.in_place) add(row, *row.in_place);
  }
  if (options.check) {
    const auto beside = total_out_of_bounds(rows), wrong = total_wrong(rows);
    std::printf("# Out of bounds values : %llu %s\n", static_cast<unsigned long long>(beside), beside == 0 ? "OK" : "FAILED");
    std::printf("# Wrong values         : %llu %s\n", static_cast<unsigned long long>(wrong), wrong == 0 ? "OK" : "FAILED");
  } else {
    std::printf("# Out of bounds values : not checked\n# Wrong values         : not checked\n");
  }
  std::printf("# Avg bus bandwidth    : %.4f\n", terms > 0 ? sum / terms : 0.0);
  std::fflush(stdout);
}

void write_json(const Options& options, const std::string& transport, const std::vector<Row>& rows) {
  nlohmann::ordered_json json{{"collective", options.collective->name},
                              {"ranks", options.ranks},
                              {"transport", transport},
                              {"rows", nlohmann::ordered_json::array()}};
  for (const Row& row : rows) json["rows"].push_back(to_json(options, row));
  std::ofstream file(options.json_path);
  file << json.dump(2) << '\n';
  file.close();
  if (!file) throw Failure("cannot write " + options.json_path);
}

}  // namespace perf
