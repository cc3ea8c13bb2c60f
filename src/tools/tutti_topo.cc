// tutti-topo: shows the machine as Tutti finds it, and the settings that the environment offers.
// Exit status: 0 all right, 1 a failed operation, 2 bad usage. Messages go to stderr, results to stdout.
// Threading: one thread.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/config.h"
#include "tools/probe.h"
#include "topology/graph_json.h"
#include "topology/machine.h"
#include "topology/show.h"
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

int show(bool json) {
  const tutti::Result<tutti::Machine> machine = tutti::detect_machine();
  if (!machine.ok()) return fail(machine.status().message());
  return print(json ? tutti::graph_to_json(tutti::machine_graph(machine.value())) : tutti::describe_machine(machine.value()));
}

// Breaks `sentence` at blanks into lines of at most 80 columns, each behind `indent` blanks.
std::string wrapped(std::string_view sentence, size_t indent) {
  const size_t room = 80 - indent;
  std::string out;
  while (!sentence.empty()) {
    size_t end = sentence.size();
    if (end > room) {
      const size_t blank = sentence.rfind(' ', room);
      end = blank == std::string_view::npos || blank == 0 ? room : blank;
    }
    out += std::string(indent, ' ') + std::string(sentence.substr(0, end)) + "\n";
    sentence.remove_prefix(end);
    const size_t next = sentence.find_first_not_of(' ');
    sentence.remove_prefix(next == std::string_view::npos ? sentence.size() : next);
  }
  return out;
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
    out += wrapped(variable.meaning, 4);
  }
  const int status = print(out);
  const auto& config = tutti::process_config();
  return config.ok() ? status : fail(config.status().message());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Shows the machine as Tutti finds it.", "tutti-topo");
  app.set_version_flag("--version", std::to_string(TUTTI_MAJOR) + "." + std::to_string(TUTTI_MINOR) + "." + std::to_string(TUTTI_PATCH));
  app.require_subcommand(0, 1);
  bool json = false;
  const char* const kJsonHelp = "print the topology graph as JSON";
  CLI::Option* const top_json = app.add_flag("--json", json, kJsonHelp);
  app.add_subcommand("show", "the machine: cores, caches, memory, network, GPUs (the default)")->add_flag("--json", json, kJsonHelp);
  CLI::App* const probing =
      app.add_subcommand("probe", "measures latency and rate between the ranks of the job that a launcher started it in");
  tutti::probe::Options probe_options;
  probing->add_option("-n,--ranks", probe_options.ranks, "start so many ranks here, under tutti-run")->check(CLI::Range(2, 4096));
  probing->add_flag("--json", probe_options.json, kJsonHelp);
  probing->add_option("-o,--output", probe_options.file, "write the graph there, for TUTTI_TOPO_FILE and --file");
  const CLI::App* const environment = app.add_subcommand("env", "every TUTTI_ variable with its default, value and meaning");
  try {
    app.parse(argc, argv);
    if (environment->parsed() && top_json->count() > 0) throw CLI::ExcludesError("--json", "env");
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kOk : kBadUsage;
  }
  try {
    if (probing->parsed()) return tutti::probe::probe(probe_options);
    return environment->parsed() ? show_environment() : show(json);
  } catch (const std::exception& error) {  // the standard library's: out of memory, mostly
    return fail(error.what());
  }
}
