// tutti-topo: shows the machine as Tutti finds it, a topology file or a named system, and the settings that the environment offers.
// Exit status: 0 all right, 1 a failed operation, 2 bad usage. Messages go to stderr, results to stdout.
// Threading: one thread.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/config.h"
#include "plan/bound.h"
#include "tools/picture_file.h"
#include "tools/probe.h"
#include "topology/describe_graph.h"
#include "topology/graph_json.h"
#include "topology/machine.h"
#include "topology/show.h"
#include "topology/systems.h"
#include "topology/text_lines.h"
#include "topology/topology.h"
#include "tutti/tutti.h"

namespace {

constexpr int kOk = 0;
constexpr int kFailed = 1;
constexpr int kBadUsage = 2;

int fail(const std::string& message) {
  std::fprintf(stderr, "tutti-topo: %s\n", message.c_str());
  return kFailed;
}

// A full disk or a closed pipe shows only when the last byte leaves.
int print(const std::string& result) {
  const bool written = std::fwrite(result.data(), 1, result.size(), stdout) == result.size();
  return std::fflush(stdout) == 0 && written ? kOk : fail("cannot write to standard output");
}

// What to show, and how.
struct Showing {
  std::string system;
  std::string file;
  bool json = false;
  bool dot = false;
  tutti::PictureFiles pictures;
};

// N/T that the graph allows at most, and what binds; empty where fewer than two endpoints have ranks.
std::string describe_bounds(const tutti::Topology& topology) {
  using tutti::Collective;
  if (topology.nranks() < 2) return "";
  std::string out = "\nBounds: N/T in GB/s, and what binds\n";
  for (const Collective collective :
       {Collective::kAllReduce, Collective::kAllGather, Collective::kReduceScatter, Collective::kBroadcast, Collective::kAllToAll}) {
    const tutti::TransferBound bound = tutti::transfer_bound(topology, collective);
    char row[128];
    std::snprintf(row, sizeof row, "  %-15s %9.4g  ", tutti::collective_name(collective), 1 / bound.us_per_byte / 1000);
    constexpr size_t kIndent = 28;
    out += row + tutti::wrapped(bound.cut, kIndent).substr(kIndent);
  }
  char row[128];
  std::snprintf(row, sizeof row, "  %-15s %9.4g  us: rounds of one latency, or the farthest pair\n", "8 B all_reduce",
                tutti::latency_yardstick_us(topology));
  return out + row;
}

int show_graph(tutti::Graph graph, const Showing& showing) {
  if (showing.pictures.wanted()) {
    const tutti::Status written = tutti::write_pictures(graph, nullptr, showing.pictures);
    return written.ok() ? kOk : fail(written.message());
  }
  if (showing.json) return print(tutti::graph_to_json(graph));
  if (showing.dot) return print(tutti::graph_to_dot(graph));
  const std::string text = tutti::describe_graph(graph);
  const auto topology = tutti::Topology::create(std::move(graph));
  if (!topology.ok()) return fail(topology.status().message());
  return print(text + describe_bounds(*topology.value()));
}

int show(const Showing& showing) {
  if (!showing.system.empty()) {
    tutti::Result<tutti::Graph> graph = tutti::named_system(showing.system);
    if (graph.ok()) return show_graph(std::move(*graph), showing);
    fail(graph.status().message());
    return kBadUsage;
  }
  if (!showing.file.empty()) {
    tutti::Result<tutti::Graph> graph = tutti::read_graph_file(showing.file);
    return graph.ok() ? show_graph(std::move(*graph), showing) : fail(graph.status().message());
  }
  const tutti::Result<tutti::Machine> machine = tutti::detect_machine();
  if (!machine.ok()) return fail(machine.status().message());
  if (showing.json || showing.dot || showing.pictures.wanted()) return show_graph(tutti::machine_graph(machine.value()), showing);
  return print(tutti::describe_machine(machine.value()));
}

std::string shown(std::string_view value) {
  return value.empty() ? "(empty)" : std::string(value);
}

// Every variable in the order of the table, one that is set with a `*`. As the library does, an empty value counts as not set. What the
// library would refuse is listed all the same, and then said.
int show_environment() {
  std::string out = "Variables that Tutti reads once, at its first call (* = set in this environment):\n";
  for (const tutti::ConfigVariable& variable : tutti::config_variables()) {
    const char* const value = std::getenv(variable.name);
    const bool set = value != nullptr && *value != '\0';
    const char* const given = variable.secret ? "(set; not shown)" : value;
    out += std::string("\n") + (set ? "* " : "  ") + variable.name + "=" + (set ? given : variable.fallback) + "\n";
    if (set) out += "    default: " + shown(variable.fallback) + "\n";
    out += tutti::wrapped(variable.meaning, 4);
  }
  const int status = print(out);
  const auto& config = tutti::process_config();
  return config.ok() ? status : fail(config.status().message());
}

// What one reads on a line of its own, under a family's name.
std::string facts_of(const tutti::SystemFamily& family) {
  std::string text = "one: " + family.unit;
  if (!family.count.empty()) text += "; :m is a number of " + family.count;
  if (!family.options.empty()) text += "; options " + family.options;
  return text + "; confidence " + family.confidence;
}

int list_systems() {
  std::string out =
      "Names for --system: NAME, NAME:m, NAME:AxB[xC] (a torus's shape), with options\n"
      "(NAME:4x8,wrap=10), and several joined by their NICs (NAME:2+OTHER:2).\n";
  for (const tutti::SystemFamily& family : tutti::system_families()) {
    out += "\n" + family.name + ": " + family.structure + "\n" + tutti::wrapped(facts_of(family), 4);
  }
  return print(out);
}

// The table of docs/topologies.md.
int list_systems_as_markdown() {
  std::string out =
      "| name | structure | one unit | `:m` counts | options | AR | A2A | what binds A2A | confidence |\n"
      "|---|---|---|---|---|---|---|---|---|\n";
  for (const tutti::SystemFamily& family : tutti::system_families()) {
    tutti::Result<tutti::Graph> graph = tutti::named_system(family.name);
    if (!graph.ok()) return fail(graph.status().message());
    const auto topology = tutti::Topology::create(std::move(*graph));
    if (!topology.ok()) return fail(topology.status().message());
    const auto reduce = tutti::transfer_bound(*topology.value(), tutti::Collective::kAllReduce),
               exchange = tutti::transfer_bound(*topology.value(), tutti::Collective::kAllToAll);
    char rates[64];
    std::snprintf(rates, sizeof rates, " | %.4g | %.4g | ", 1 / reduce.us_per_byte / 1000, 1 / exchange.us_per_byte / 1000);
    const std::string options = family.options.empty() ? "" : "`" + family.options + "`";
    out += "| `" + family.name + "` | " + family.structure + " | " + family.unit + " | " + family.count + " | " + options + rates +
           exchange.cut + " | " + family.confidence + " |\n";
  }
  return print(out);
}

void add_show_options(CLI::App& app, Showing& showing) {
  CLI::Option* const system =
      app.add_option("--system", showing.system, "a named system in place of this machine: NAME[:SHAPE], see `systems`");
  app.add_option("--file", showing.file, "a topology file (JSON, or hwloc's XML) in place of this machine")->excludes(system);
  CLI::Option* const json = app.add_flag("--json", showing.json, "print the topology graph as JSON");
  CLI::Option* const dot = app.add_flag("--dot", showing.dot, "print it for Graphviz")->excludes(json);
  app.add_option("--svg", showing.pictures.svg, "draw it into this file")->excludes(json)->excludes(dot);
  app.add_option("--html", showing.pictures.html, "draw it into a page that tells numbers under the mouse")->excludes(json)->excludes(dot);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Shows the machine as Tutti finds it.", "tutti-topo");
  app.set_version_flag("--version", std::to_string(TUTTI_MAJOR) + "." + std::to_string(TUTTI_MINOR) + "." + std::to_string(TUTTI_PATCH));
  app.require_subcommand(0, 1);
  Showing showing;
  add_show_options(app, showing);
  add_show_options(*app.add_subcommand("show", "the machine: cores, caches, memory, network, GPUs; or a graph (the default)"), showing);
  CLI::App* const probing =
      app.add_subcommand("probe", "measures latency and rate between the ranks of the job that a launcher started it in");
  tutti::probe::Options probe_options;
  probing->add_option("-n,--ranks", probe_options.ranks, "start so many ranks here, under tutti-run")->check(CLI::Range(2, 4096));
  probing->add_flag("--json", probe_options.json, "print the topology graph as JSON");
  probing->add_option("-o,--output", probe_options.file, "write the graph there, for TUTTI_TOPO_FILE and --file");
  const CLI::App* const environment = app.add_subcommand("env", "every TUTTI_ variable with its default, value and meaning");
  CLI::App* const systems = app.add_subcommand("systems", "the named systems");
  bool markdown = false;
  systems->add_flag("--markdown", markdown, "the table of docs/topologies.md, with bounds");
  try {
    app.parse(argc, argv);
    for (const char* option : {"--json", "--dot", "--svg", "--html", "--system", "--file"}) {
      const CLI::App* const other = environment->parsed() ? environment : systems->parsed() ? systems : nullptr;
      if (other != nullptr && app.count(option) > 0) throw CLI::ExcludesError(option, other->get_name());
    }
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kOk : kBadUsage;
  }
  try {
    if (environment->parsed()) return show_environment();
    if (systems->parsed()) return markdown ? list_systems_as_markdown() : list_systems();
    if (probing->parsed()) return tutti::probe::probe(probe_options);
    return show(showing);
  } catch (const std::exception& error) {  // the standard library's: out of memory, mostly
    return fail(error.what());
  }
}
