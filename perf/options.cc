// See options.h. One option is left out of --help: --inject-error makes rank 0, or the root, damage one element of its own output in the
// first check of every size, out of place and in place, after the operation and before the verification. It exists so that the tests can
// see the check catch it.
#include "options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <limits>
#include <optional>
#include <stdexcept>

#include "launcher.h"
#include "pin.h"

namespace perf {
namespace {

constexpr int kMaxRanks = 1024;

// Decimal with an optional suffix K, M, G or T, powers of 1024; a trailing B or iB is allowed.
std::optional<size_t> parse_size(const std::string& text) {
  size_t digits = 0;
  unsigned long long number = 0;
  try {
    if (text.empty() || text[0] < '0' || text[0] > '9') return std::nullopt;
    number = std::stoull(text, &digits);
  } catch (const std::out_of_range&) {
    return std::nullopt;
  }
  std::string suffix = CLI::detail::to_lower(text.substr(digits));
  if (suffix.ends_with("ib")) {
    suffix.resize(suffix.size() - 2);
  } else if (suffix.ends_with("b")) {
    suffix.pop_back();
  }
  if (suffix.empty()) return number;
  const size_t power = std::string("kmgt").find(suffix);
  if (suffix.size() != 1 || power == std::string::npos) return std::nullopt;
  const unsigned shift = 10 * (static_cast<unsigned>(power) + 1);
  if (number > std::numeric_limits<size_t>::max() >> shift) return std::nullopt;
  return number << shift;
}

[[noreturn]] void usage(const std::string& message) {
  throw CLI::ValidationError(message);
}

size_t size_option(const std::string& option, const std::string& text) {
  constexpr size_t kLargest = size_t{1} << 46;
  const std::optional<size_t> bytes = parse_size(text);
  if (!bytes) usage(option + ": '" + text + "' is not a size; write for example 8, 64K, 1M or 1G");
  if (*bytes > kLargest) usage(option + ": '" + text + "' is more than 64T");
  return *bytes;
}

template <class Row>
std::string names(std::span<const Row> rows) {
  std::string text;
  for (const Row& row : rows) text += (text.empty() ? "" : ", ") + std::string(row.name);
  return text;
}

template <class Row>
const Row& lookup(const char* what, std::span<const Row> rows, const std::string& name) {
  for (const Row& row : rows) {
    if (row.name == name) return row;
    if constexpr (requires { row.alias; }) {
      if (row.alias == name) return row;
    }
  }
  usage(std::string(what) + " '" + name + "' is not one that this version measures; it has: " + names(rows));
}

struct Raw {  // as written on the command line
  std::string collective, type = "float32", op = "sum", min = "32M", max = "32M", pin = "auto";
  int ranks = 0, check = 1;
  long long factor = 2;
  bool threads = false;
};

void declare(CLI::App& app, Raw& raw, Options& options) {
  app.option_defaults()->always_capture_default();
  app.footer(
      "Prints nccl-tests' columns. Exit status: 0 all right, 1 wrong data or a failed operation, 2 bad usage.\n"
      "Started by tutti-run, mpirun, srun or torchrun it joins that job; otherwise it\nstarts the ranks itself.");
  app.add_option("collective", raw.collective, "What to measure: " + names(collectives()))->required();
  app.add_option("-n", raw.ranks, "Ranks to start here (default: one per allowed CPU)")->default_str("")->check(CLI::Range(1, kMaxRanks));
  app.add_option("-b", raw.min, "Smallest size in bytes, K M G are powers of 1024");
  app.add_option("-e", raw.max, "Largest size");
  app.add_option("-f", raw.factor, "Factor from one size to the next")->check(CLI::Range(2LL, 1LL << 30));
  app.add_option("-w", options.warmups, "Warm-up iterations before each size")->check(CLI::Range(0, 1000000000));
  app.add_option("-i", options.iterations, "Least number of timed iterations of each size")->check(CLI::Range(1, 1000000000));
  app.add_option("-d", raw.type, "Element type, also as nccl-tests spells it: " + names(data_types()));
  app.add_option("-o", raw.op, "Reduction, where the collective has one: " + names(red_ops()));
  app.add_option("-r", options.root, "Root, where the collective has one; without -r it rotates")
      ->default_str("")
      ->check(CLI::Range(0, kMaxRanks - 1));
  app.add_option("-c", raw.check, "1 verifies every element of every rank, 0 does not")->check(CLI::Range(0, 1));
  app.add_option("--json", options.json_path, "Also write the results to this file");
  app.add_option("--pin", raw.pin, "Pin each rank to one CPU: auto (if there are enough), yes, no")
      ->check(CLI::IsMember({"auto", "yes", "no"}));
  app.add_flag("--threads", raw.threads, "The ranks are threads of one process, not processes");
  app.add_flag("--inject-error", options.inject_error)->group("");
}

// Who starts the ranks and how many they are.
void resolve_ranks(const Raw& raw, Options& options) {
  std::string why;
  const std::optional<Launched> launched = launched_as(why);
  if (!why.empty()) usage(why);
  if (launched) {
    if (raw.threads) usage("--threads cannot be used under a launcher: each of its processes is one rank");
    if (raw.ranks != 0 && raw.ranks != launched->ranks) {
      usage("-n " + std::to_string(raw.ranks) + " disagrees with the launcher, which started " + std::to_string(launched->ranks) +
            " ranks");
    }
    options.launch = Launch::kLauncher;
    options.rank = launched->rank;
    options.ranks = launched->ranks;
  } else {
    options.launch = raw.threads ? Launch::kThreads : Launch::kFork;
    options.ranks = raw.ranks != 0 ? raw.ranks : static_cast<int>(allowed_cpus().size());
  }
}

void resolve(const CLI::App& app, const Raw& raw, Options& options) {
  options.collective = &lookup("collective", collectives(), raw.collective);
  options.type = &lookup("type", data_types(), raw.type);
  options.op = &lookup("reduction", red_ops(), raw.op);
  if (!options.collective->reduces) options.op = &no_reduction();
  options.min_bytes = size_option("-b", raw.min);
  options.max_bytes = size_option("-e", raw.max);
  if (app.count("-b") == 0 && app.count("-e") != 0) options.min_bytes = std::min(options.min_bytes, options.max_bytes);
  if (app.count("-e") == 0) options.max_bytes = std::max(options.min_bytes, options.max_bytes);
  if (options.min_bytes > options.max_bytes) usage("-b " + raw.min + " is more than -e " + raw.max);
  options.factor = static_cast<size_t>(raw.factor);
  options.check = raw.check == 1;
  options.pin = raw.pin == "yes" ? Pin::kYes : raw.pin == "no" ? Pin::kNo : Pin::kAuto;
  if (options.inject_error && !options.check) usage("--inject-error tests the check, which -c 0 switches off");
  resolve_ranks(raw, options);
  if (options.root >= options.ranks)
    usage("-r " + std::to_string(options.root) + ": there are only " + std::to_string(options.ranks) + " ranks");
  if (!options.collective->rooted) options.root = -1;
}

}  // namespace

std::vector<Shape> Options::shapes() const {
  std::vector<Shape> result;
  for (size_t bytes = min_bytes; bytes <= max_bytes;) {
    const Shape shape = collective->shape(bytes, type->bytes, ranks);
    if (result.empty() || result.back().bytes != shape.bytes) result.push_back(shape);
    if (bytes > max_bytes / factor) break;
    bytes = bytes == 0 ? type->bytes : bytes * factor;
  }
  return result;
}

std::variant<Options, int> parse_options(int argc, char** argv) {
  // All ranks of a launcher parse the same words; one of them is enough to complain.
  std::string ignored;  // said by resolve_ranks()
  const std::optional<Launched> launched = launched_as(ignored);
  const bool speaks = !launched || launched->rank == 0;
  CLI::App app("Measures a collective of Tutti between ranks", "tutti-perf");
  app.set_version_flag("--version",
                       "tutti-perf " + std::to_string(TUTTI_MAJOR) + "." + std::to_string(TUTTI_MINOR) + "." + std::to_string(TUTTI_PATCH));
  Raw raw;
  Options options;
  declare(app, raw, options);
  try {
    app.parse(argc, argv);
    resolve(app, raw, options);
    return options;
  } catch (const CLI::ParseError& error) {
    const bool asked = error.get_exit_code() == 0;  // --help, --version
    if (speaks) {
      if (asked) {
        app.exit(error, std::cout, std::cerr);
      } else {
        std::cerr << "tutti-perf: " << error.what() << "\nRun tutti-perf --help for the options.\n";
      }
    }
    return asked ? 0 : 2;
  }
}

}  // namespace perf
