// tutti-plan: which plans a machine offers for a collective, ranked by simulation against what the machine allows; plan files: verified,
// simulated, converted; and choices measured against each other, for a tuning file. Exit status: 0 all right, 1 wrong data or a failed
// operation, 2 bad usage. Messages go to stderr, results to stdout. Threading: one thread.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>
#include <string>

#include "algorithms/algorithm.h"
#include "plan/msccl.h"
#include "plan/serialise.h"
#include "plan/simulator.h"
#include "plan/verifier.h"
#include "tools/chain_report.h"
#include "tools/picture_file.h"
#include "tools/plan_picture.h"
#include "tools/plan_report.h"
#include "tools/tune.h"
#include "topology/cluster.h"
#include "topology/graph_json.h"
#include "topology/machine.h"
#include "topology/systems.h"
#include "tutti/tutti.h"

namespace {

using namespace tutti;

constexpr int kOk = 0;
constexpr int kFailed = 1;
constexpr int kBadUsage = 2;
constexpr uint64_t kBudget = 500'000;  // instructions simulated for one candidate: about a second at most
constexpr uint64_t kWork = 4'000'000;  // of a search: a second or two
// Up to so many ranks all that comes near the fastest is listed, and every message gets its fair share at once; beyond, see
// SimulateOptions::tolerance.
constexpr int kFewRanks = 64;

int fail(const std::string& message, int status = kFailed) {
  std::fprintf(stderr, "tutti-plan: %s\n", message.c_str());
  return status;
}

// A full disk or a closed pipe shows only when the last byte leaves.
int print(const std::string& result) {
  const bool written = std::fwrite(result.data(), 1, result.size(), stdout) == result.size();
  return std::fflush(stdout) == 0 && written ? kOk : fail("cannot write to standard output");
}

// The machine that is meant, by name, by file, or this one.
struct Where {
  std::string system;
  std::string file;
  int ranks = 0;  // 0: all

  std::string name() const { return !system.empty() ? system : !file.empty() ? file : "this machine"; }
};

// The first ranks alone: what else there is carries their messages still.
void keep_ranks(Graph& graph, int ranks) {
  for (Endpoint& endpoint : graph.endpoints) {
    if (endpoint.rank < ranks) continue;
    endpoint.rank = -1;
    graph.axes.clear();
  }
}

Result<std::unique_ptr<const Topology>> topology_of(const Where& where) {
  Graph graph;
  if (where.system.empty() && where.file.empty()) {
    Result<Machine> machine = detect_machine();
    if (!machine.ok()) return machine.status();
    return Topology::create(single_host_graph(where.ranks > 0 ? where.ranks : static_cast<int>(machine->cores.size())));
  }
  Result<Graph> read = where.system.empty() ? read_graph_file(where.file) : named_system(where.system);
  if (!read.ok()) return read.status();
  graph = std::move(*read);
  const auto there = std::count_if(graph.endpoints.begin(), graph.endpoints.end(), [](const Endpoint& e) { return e.rank >= 0; });
  if (there == 0) return Status(Code::kInvalidArgument, where.name() + ": no endpoint has a rank: number those that take part from 0");
  if (where.ranks > there) {
    return Status(Code::kInvalidArgument, "--ranks " + std::to_string(where.ranks) + ": " + where.name() + " has only " +
                                              std::to_string(there) + " endpoints with ranks");
  }
  if (where.ranks > 0) keep_ranks(graph, where.ranks);
  return Topology::create(std::move(graph));
}

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) return Status(Code::kSystem, "cannot read the plan file '" + path + "'");
  return text.str();
}

Result<Plan> read_plan(const std::string& path) {
  Result<std::string> text = read_file(path);
  if (!text.ok()) return text.status();
  // JSON never begins like XML does.
  const size_t first = text->find_first_not_of(" \t\r\n");
  Result<Plan> plan = first != std::string::npos && (*text)[first] == '<' ? plan_from_msccl(*text) : plan_from_json(*text);
  if (!plan.ok()) return Status(plan.status().code(), path + ": " + plan.status().message());
  return plan;
}

std::string headline(const Plan& plan) {
  const Program& program = plan.ranks[0];
  return std::string(collective_name(program.collective)) + " by '" + program.algorithm + "' on " + std::to_string(program.nranks) +
         " ranks, " + std::to_string(program.channels.size()) + " channels";
}

// --- subcommands

struct Arguments {
  std::string collective;
  Where where;
  uint64_t bytes = 0;
  std::string algorithm;
  bool json = false;
  bool explain = false;
  std::string dump;
  PictureFiles pictures;
  std::string file;  // of verify, simulate and convert
  std::string to = "json";
  uint64_t min_bytes = 0, max_bytes = 0;  // convert; 0: as the plan says
  VerifyOptions verify;
  SimulateOptions simulate{.fifo_depth = 8, .tolerance = 0};
  int root = 0;
};

int list_algorithms() {
  std::string out;
  for (const Algorithm* const algorithm : algorithms()) {
    out += std::string(algorithm->name) + ": " + algorithm->summary + "\n";
  }
  return print(out);
}

int verify_file(const Arguments& arguments) {
  Result<Plan> plan = read_plan(arguments.file);
  if (!plan.ok()) return fail(plan.status().message());
  if (const Status wrong = verify(*plan, arguments.verify); !wrong.ok()) return fail(arguments.file + ": " + wrong.message());
  return print(arguments.file + ": " + headline(*plan) + ": verified\n");
}

int convert_file(const Arguments& arguments) {
  Result<Plan> plan = read_plan(arguments.file);
  if (!plan.ok()) return fail(plan.status().message());
  if (const Status wrong = check_structure(*plan); !wrong.ok()) return fail(arguments.file + ": " + wrong.message());
  if (arguments.min_bytes != 0) plan->min_bytes = arguments.min_bytes;
  if (arguments.max_bytes != 0) plan->max_bytes = arguments.max_bytes;
  if (plan->max_bytes < plan->min_bytes) return fail("--max-bytes is less than --min-bytes", kBadUsage);
  if (arguments.to == "json") return print(plan_to_json(*plan));
  Result<std::string> xml = plan_to_msccl(*plan);
  return xml.ok() ? print(*xml) : fail(arguments.file + ": " + xml.status().message());
}

constexpr size_t kChainLines = 24;

std::string chain_text(const Simulated& simulated, const Topology& topology, const std::function<const Program&(int)>& program_of) {
  return std::string("critical chain, the first first") +
         (simulated.extrapolated ? " (of the slices that were simulated; the others follow from their period)" : "") + ":\n" +
         describe_chain(simulated, topology, program_of, kChainLines);
}

int simulate_file(const Arguments& arguments) {
  Result<Plan> plan = read_plan(arguments.file);
  if (!plan.ok()) return fail(plan.status().message());
  Result<std::unique_ptr<const Topology>> topology = topology_of(arguments.where);
  if (!topology.ok()) return fail(topology.status().message());
  const Program& program = plan->ranks[0];
  const uint64_t block = block_bytes(program.collective, program.nranks, arguments.bytes);
  SimulateOptions options = arguments.simulate;
  options.trace = arguments.explain;
  Result<Simulated> simulated = simulate(*plan, (*topology)->network(), block, options);
  if (!simulated.ok()) return fail(arguments.file + ": " + simulated.status().message());
  const Bound bound = lower_bound(**topology, program.collective, static_cast<double>(arguments.bytes), program.root);
  char line[256];
  std::snprintf(line, sizeof line, ": %.6g us (%llu slices%s), %.1f %% of the bound of %.6g us\n", simulated->time_us,
                static_cast<unsigned long long>(simulated->slices), simulated->extrapolated ? ", extrapolated" : "",
                simulated->time_us > 0 ? 100 * bound.time_us / simulated->time_us : 0.0, bound.time_us);
  std::string out =
      headline(*plan) + " on " + arguments.where.name() + line + "fullest links:\n" + describe_load(*simulated, **topology, 4);
  if (arguments.explain) {
    out += chain_text(*simulated, **topology, [&](int rank) -> const Program& { return plan->ranks[static_cast<size_t>(rank)]; });
  }
  return print(out);
}

Result<Collective> collective_named(const std::string& name) {
  std::string names;
  for (int i = 0; i + 1 < kCollectives; ++i) {  // all but sendrecv, which is no algorithm's
    const auto collective = static_cast<Collective>(i);
    if (name == collective_name(collective)) return collective;
    names += std::string(i == 0 ? "" : ", ") + collective_name(collective);
  }
  return Status(Code::kInvalidArgument, "there is no collective '" + name + "': there are " + names);
}

// The first few again, with all slices: half of them tell which is the fastest, but a deep pipeline's first slices may be some percent
// faster than the rest.
void refine(const Topology& topology, const SimulateOptions& simulate, const PlanRequest& request, uint64_t block, Ranking& ranking) {
  constexpr size_t kFew = 3;
  Predictor predictor(topology, simulate, kBudget);
  const size_t few = std::min(kFew, ranking.candidates.size());
  for (size_t i = 0; i < few; ++i) {
    Result<Simulated> predicted = predictor.predict(request, ranking.candidates[i].choice, block);
    if (predicted.ok()) ranking.candidates[i].predicted_us = predicted->time_us;
  }
  std::stable_sort(ranking.candidates.begin(), ranking.candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.predicted_us < b.predicted_us; });
}

// The best of a ranking over its machine.
Status draw_best(const PlanReport& report, const PlanRequest& request, const Topology& topology, Predictor& predictor,
                 const PictureFiles& files) {
  const Candidate& best = report.ranking.candidates[0];
  const uint64_t block = block_bytes(report.collective, report.ranks, report.bytes);
  Result<Simulated> simulated = predictor.predict(request, best.choice, block);
  if (!simulated.ok()) return simulated.status();
  const PictureOverlay overlay = plan_overlay(topology, request, best.choice, block, *simulated, report_as_title(report));
  return write_pictures(topology.graph(), &overlay, files);
}

// Why the best takes as long as it does.
Result<std::string> explain_best(const Arguments& arguments, const Topology& topology, const PlanRequest& request, const PlanChoice& best,
                                 uint64_t block) {
  SimulateOptions options = arguments.simulate;
  options.trace = true;
  Predictor predictor(topology, options, kBudget);
  Result<Simulated> simulated = predictor.predict(request, best, block);
  if (!simulated.ok()) return simulated.status();
  const Algorithm& algorithm = *find_algorithm(best.algorithm);
  std::map<int, Program> programs;
  const auto program_of = [&](int rank) -> const Program& {
    const auto found = programs.find(rank);
    return found != programs.end() ? found->second
                                   : programs.emplace(rank, algorithm.generate(request, best, topology, rank)).first->second;
  };
  return "\n" + best.algorithm + ": " + algorithm.summary + "\nfullest links:\n" + describe_load(*simulated, topology, 8) +
         chain_text(*simulated, topology, program_of);
}

int rank_plans(const Arguments& arguments) {
  Result<Collective> collective = collective_named(arguments.collective);
  if (!collective.ok()) return fail(collective.status().message(), kBadUsage);
  const Algorithm* const only = arguments.algorithm.empty() ? nullptr : find_algorithm(arguments.algorithm);
  if (only == nullptr && !arguments.algorithm.empty()) {
    return fail("there is no algorithm '" + arguments.algorithm + "': see tutti-plan list", kBadUsage);
  }
  Result<std::unique_ptr<const Topology>> topology = topology_of(arguments.where);
  if (!topology.ok()) return fail(topology.status().message(), topology.status().code() == Code::kInvalidArgument ? kBadUsage : kFailed);
  PlanReport report{.collective = *collective, .system = arguments.where.name(), .ranks = (*topology)->nranks(), .bytes = arguments.bytes};
  if (arguments.root < 0 || arguments.root >= report.ranks || (arguments.root > 0 && !has_root(*collective))) {
    return fail("--root " + std::to_string(arguments.root) + " is no root of " + arguments.collective + " on " +
                    std::to_string(report.ranks) + " ranks",
                kBadUsage);
  }
  const PlanRequest request{.collective = *collective, .nranks = report.ranks, .root = arguments.root};
  const uint64_t block = block_bytes(*collective, report.ranks, arguments.bytes);
  const SearchOptions options{
      .channels = {1, 2, 4, 8, 16}, .interest = report.ranks <= kFewRanks ? 4.0 : 1.25, .slices = kUsualSlices, .work = kWork};
  SimulateOptions simulate = arguments.simulate;
  if (report.ranks > kFewRanks) simulate.tolerance = SimulateOptions().tolerance;
  // Enough slices to fill the pipelines of tori of 512 chips twice: then what each more takes shows.
  SimulateOptions rough = simulate;
  rough.max_slices = (rough.max_slices + 1) / 2;
  rough.max_messages /= 4;
  const auto began = std::chrono::steady_clock::now();
  Predictor predictor(**topology, rough, kBudget);
  Ranking ranking = rank_candidates(predictor, **topology, request, block, options, only);
  if (ranking.candidates.empty()) {
    return fail((only == nullptr ? "no algorithm" : "'" + arguments.algorithm + "' is no algorithm that") + std::string(" can do ") +
                arguments.collective + " on " + std::to_string(report.ranks) + " ranks here, or with few enough messages to simulate");
  }
  const PlanChoice& chosen = ranking.candidates[0].choice;
  const Program program = find_algorithm(chosen.algorithm)->generate(request, chosen, **topology, 0);
  for (const auto& channel : program.channels) report.instructions += channel.size();
  report.search_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  refine(**topology, simulate, request, block, ranking);
  report.bound = lower_bound(**topology, *collective, static_cast<double>(arguments.bytes), arguments.root);
  report.yardstick_us = latency_yardstick_us(**topology);
  report.ranking = std::move(ranking);
  const PlanChoice& best = report.ranking.candidates[0].choice;
  if (!arguments.dump.empty()) {
    const Plan plan = generate_plan(*find_algorithm(best.algorithm), request, best, **topology);
    if (arguments.dump == "json") return print(plan_to_json(plan));
    Result<std::string> xml = plan_to_msccl(plan);
    return xml.ok() ? print(*xml) : fail(xml.status().message());
  }
  if (arguments.pictures.wanted()) {
    if (const Status drawn = draw_best(report, request, **topology, predictor, arguments.pictures); !drawn.ok())
      return fail(drawn.message());
  }
  if (arguments.json) return print(report_as_json(report));
  std::string out = report_as_text(report);
  if (arguments.explain) {
    Result<std::string> why = explain_best(arguments, **topology, request, best, block);
    if (!why.ok()) return fail(why.status().message());
    out += *why;
  }
  return print(out);
}

void add_machine(CLI::App& app, Where& where) {
  CLI::Option* const system = app.add_option("--system", where.system, "a named system: NAME[:SHAPE], see tutti-topo systems");
  app.add_option("--file", where.file, "a topology file in place of this machine")->excludes(system);
  app.add_option("--ranks", where.ranks, "so many ranks, the first")->check(CLI::PositiveNumber);
}

void add_slots(CLI::App& app, Arguments& arguments) {
  app.add_option("--depth", arguments.simulate.fifo_depth, "slots of a FIFO (0: no limit)")->capture_default_str();
  app.add_option("--injection", arguments.simulate.injection_us, "us between two messages of a rank")->check(CLI::NonNegativeNumber);
  app.add_option("--max-slices", arguments.simulate.max_slices, "slices that are simulated; what more of them take goes by these")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--reduce-rate", arguments.simulate.reduce_bytes_per_us, "bytes/us that a channel reduces (0: no cost)")
      ->check(CLI::NonNegativeNumber);
}

CLI::Option* add_bytes(CLI::App& app, Arguments& arguments) {
  return app.add_option("--bytes", arguments.bytes, "the size as tutti-perf counts it; K, M, G are powers of 1024")
      ->transform(CLI::AsSizeValue(false));
}

void add_tuning(CLI::App& app, tune::Options& options) {
  app.add_option("collective", options.collectives, "which to measure (all that there is a choice for)");
  app.add_option("-n,--ranks", options.ranks, "start so many ranks here, under tutti-run")->check(CLI::Range(2, 4096));
  app.add_option("-b", options.least, "the smallest size, as tutti-perf counts it")
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str();
  app.add_option("-e", options.most, "the largest size")->transform(CLI::AsSizeValue(false))->capture_default_str();
  app.add_option("-f", options.factor, "from one size to the next")->check(CLI::Range(2, 1 << 20))->capture_default_str();
  app.add_option("--rounds", options.rounds, "alternating rounds")->check(CLI::Range(1, 10000))->capture_default_str();
  app.add_option("-o,--output", options.file, "write the fastest there, for TUTTI_TUNING_FILE");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Ranks the plans for a collective on a machine; verifies and simulates plan files.", "tutti-plan");
  app.set_version_flag("--version", std::to_string(TUTTI_MAJOR) + "." + std::to_string(TUTTI_MINOR) + "." + std::to_string(TUTTI_PATCH));
  Arguments arguments;
  app.add_option("collective", arguments.collective, "all_reduce, all_gather, reduce_scatter, broadcast, alltoall, ...");
  add_machine(app, arguments.where);
  add_slots(app, arguments);
  CLI::Option* const bytes = add_bytes(app, arguments);
  app.add_option("--algorithm", arguments.algorithm, "this one alone, see list");
  app.add_option("--root", arguments.root, "the root, where the collective has one");
  app.add_flag("--explain", arguments.explain, "why the best is the best");
  CLI::Option* const json = app.add_flag("--json", arguments.json, "the ranking as JSON");
  app.add_option("--dump", arguments.dump, "print the best plan: json or msccl")->check(CLI::IsMember({"json", "msccl"}))->excludes(json);
  app.add_option("--svg", arguments.pictures.svg, "draw the best plan over the machine into this file");
  app.add_option("--html", arguments.pictures.html, "into a page that tells numbers under the mouse, and has channels to pick");
  const CLI::App* const list = app.add_subcommand("list", "the algorithms");
  CLI::App* const verifying = app.add_subcommand("verify", "proves that a plan file is right");
  verifying->add_option("plan", arguments.file, "a plan file")->required();
  verifying->add_flag("--in-place", arguments.verify.in_place, "for input and output in one buffer");
  verifying->add_flag("--rank-ordered", arguments.verify.rank_ordered, "for a reduction that does not commute");
  verifying->add_option("--depth", arguments.verify.fifo_depth, "slots of a FIFO")->capture_default_str();
  CLI::App* const converting = app.add_subcommand("convert", "a plan file in the other form, or for other sizes");
  converting->add_option("plan", arguments.file, "a plan file")->required();
  converting->add_option("--to", arguments.to, "json (what TUTTI_PLAN_FILE reads) or msccl")
      ->check(CLI::IsMember({"json", "msccl"}))
      ->capture_default_str();
  converting->add_option("--min-bytes", arguments.min_bytes, "the least size of a block that it is for")
      ->transform(CLI::AsSizeValue(false));
  converting->add_option("--max-bytes", arguments.max_bytes, "the largest")->transform(CLI::AsSizeValue(false));
  CLI::App* const simulating = app.add_subcommand("simulate", "how long a plan file takes");
  simulating->add_option("plan", arguments.file, "a plan file")->required();
  simulating->add_option("--slice-bytes", arguments.simulate.slice_bytes, "the most bytes of one message (0: whole messages)")
      ->transform(CLI::AsSizeValue(false));
  simulating->add_flag("--explain", arguments.explain, "with the critical chain");
  add_machine(*simulating, arguments.where);
  add_slots(*simulating, arguments);
  add_bytes(*simulating, arguments)->required();
  tune::Options tune_options;
  CLI::App* const tuning = app.add_subcommand("tune", "measures the planner's choices against all others, among the ranks of a job");
  add_tuning(*tuning, tune_options);
  app.require_subcommand(0, 1);
  try {
    app.parse(argc, argv);
    if (app.get_subcommands().empty()) {
      if (arguments.collective.empty()) throw CLI::RequiredError("a collective or a subcommand");
      if (bytes->count() == 0) throw CLI::RequiredError("--bytes");
    }
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kOk : kBadUsage;
  }
  try {
    if (list->parsed()) return list_algorithms();
    if (verifying->parsed()) return verify_file(arguments);
    if (converting->parsed()) return convert_file(arguments);
    if (simulating->parsed()) return simulate_file(arguments);
    if (tuning->parsed()) return tune::tune(tune_options);
    return rank_plans(arguments);
  } catch (const std::exception& error) {  // the standard library's: out of memory, mostly
    return fail(error.what());
  }
}
