// tutti-run: starts N ranks of a program, on this host or over hosts, with the environment that tuttiCommInitFromEnv() reads.
// Exit status: 0 all right, 2 bad usage, 1 when a rank could not be started, else the first failing rank's (128 + signal for a signal).
// Threading: the main thread runs the job; the library's control thread, started by tuttiGetUniqueId(), holds the rendezvous.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "tools/agent.h"
#include "tools/hosts_file.h"
#include "tools/job.h"
#include "tools/launch.h"
#include "tutti/tutti.h"

namespace {

constexpr int kFailed = 1;
constexpr int kBadUsage = 2;
constexpr int kMostRanks = 65536;

struct Options {
  int ranks = 0;
  std::string pin = "auto";
  std::string hosts_file;              // empty: this host
  std::vector<std::string> variables;  // to hand over to other hosts
  std::vector<tutti::run::Placement> placements;
  tutti::run::JobOptions job;
  std::vector<std::string> command;
};

int complain(const std::string& message, int exit_status) {
  std::fprintf(stderr, "tutti-run: %s\n", message.c_str());
  return exit_status;
}

// Which ranks run where. Nothing: go on. Else the exit status.
std::optional<int> place(Options& options) {
  if (options.hosts_file.empty()) return std::nullopt;
  const tutti::Result<std::vector<tutti::run::HostSlots>> hosts = tutti::run::read_hosts(options.hosts_file);
  if (!hosts.ok()) return complain(hosts.status().message(), kBadUsage);
  tutti::Result<std::vector<tutti::run::Placement>> placements = tutti::run::place_ranks(hosts.value(), options.ranks, options.hosts_file);
  if (!placements.ok()) return complain(placements.status().message(), kBadUsage);
  options.placements = std::move(*placements);
  options.ranks = options.placements.back().first + options.placements.back().count;
  return std::nullopt;
}

// Fills `options` from what stands before "--"; the command is what stands behind. Nothing: go on. Else the exit status.
std::optional<int> parse(int argc, char** argv, Options& options) {
  int own = argc;
  for (int i = 1; i < argc && own == argc; ++i) {
    if (std::string(argv[i]) == "--") own = i;
  }
  for (int i = own + 1; i < argc; ++i) options.command.emplace_back(argv[i]);

  CLI::App app("Starts the ranks of a Tutti program on this host, or over hosts:\n  tutti-run -n N [OPTIONS] -- COMMAND [ARGUMENTS]",
               "tutti-run");
  app.footer(
      "Every rank gets TUTTI_RANK, TUTTI_SIZE, TUTTI_LOCAL_RANK, TUTTI_LOCAL_SIZE and\n"
      "TUTTI_UNIQUE_ID. Rank 0 reads standard input, unless it is a terminal or on\n"
      "another host. Signals are handed on to all ranks.\n"
      "Other hosts need tutti-run and the program at the same paths, and a remote shell\n"
      "that asks nothing: ssh, or what TUTTI_RSH says. They get the TUTTI_ variables,\n"
      "LD_LIBRARY_PATH and what --env names, never on a command line.\n"
      "Exit status: the first failing rank's (128 + signal for a signal), 1 when a rank\n"
      "cannot be started or a host is lost, 2 for bad usage.\n"
      "mpirun, srun and torchrun start Tutti programs as well: docs/launchers.md.");
  app.set_version_flag("--version", std::to_string(TUTTI_MAJOR) + "." + std::to_string(TUTTI_MINOR) + "." + std::to_string(TUTTI_PATCH));
  app.add_option("-n", options.ranks, "how many ranks to start; with --hosts, by default one for every slot")
      ->check(CLI::Range(1, kMostRanks))
      ->type_name("N");
  app.add_option("--hosts", options.hosts_file, "start them on these hosts in turn: lines HOST slots=N, # comments")->type_name("FILE");
  app.add_option("--env", options.variables, "a variable to hand over to other hosts; may be repeated")->type_name("NAME");
  app.add_flag("--keep-going", options.job.keep_going, "when a rank fails, let the others go on");
  app.add_flag("--prefix-output", options.job.prefix_output, "put \"[RANK] \" before every line of output");
  app.add_option("--pin", options.pin, "bind every rank to one PU; auto: where there is one for each")
      ->check(CLI::IsMember({"auto", "no", "yes"}))
      ->capture_default_str();
  app.add_option("--grace", options.job.grace_s, "seconds that the others get after a failure")
      ->check(CLI::Range(0.0, 1e5))
      ->type_name("SECONDS")
      ->capture_default_str();
  try {
    app.parse(own, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kBadUsage;
  }
  if (options.ranks == 0 && options.hosts_file.empty()) return complain("-n is required: how many ranks to start", kBadUsage);
  if (options.command.empty()) return complain("no command: put it behind --, as in tutti-run -n 2 -- COMMAND", kBadUsage);
  return place(options);
}

std::string to_hex(const tuttiUniqueId& id) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string text;
  for (const char byte : id.internal) {
    const auto value = static_cast<unsigned char>(byte);
    text += kDigits[value >> 4];
    text += kDigits[value & 15];
  }
  return text;
}

// Started with one of the three closed (by daemons), a pipe of ours would take its number and its traffic.
void open_standard_files() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY) < 0) return;
  }
}

// What every process that starts ranks needs first, before the library starts its thread, which inherits the mask.
void prepare_for_children(sigset_t& ranks_mask) {
  const sigset_t handled = tutti::run::handled_signals();
  sigprocmask(SIG_BLOCK, &handled, &ranks_mask);
  signal(SIGCHLD, SIG_DFL);  // inherited as "ignore", children would vanish without a status
  // What a dying rank leaves behind becomes our child, so that we learn when it ends.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
}

// Finds the program, and the PUs for plan.count ranks. Nothing: go on. Else the exit status.
std::optional<int> prepare_ranks(tutti::run::LaunchPlan& plan, const std::string& pin) {
  if (plan.count == 0) return std::nullopt;
  tutti::Result<std::string> program = tutti::run::find_program(plan.arguments.front());
  if (!program.ok()) return complain(program.status().message(), kFailed);
  plan.program = *program;
  plan.must_bind = pin == "yes";
  if (pin == "no") return std::nullopt;
  plan.pus = tutti::run::pinning_order();
  if (plan.must_bind && plan.pus.empty()) return complain("--pin yes: the system does not say which PUs may be used", kFailed);
  if (!plan.must_bind && static_cast<size_t>(plan.count) > plan.pus.size()) plan.pus.clear();
  return std::nullopt;
}

// The parts of the job on other hosts; `plan` gets the one here, if there is one.
tutti::Result<std::vector<tutti::run::RemotePart>> divide(const Options& options, tutti::run::LaunchPlan& plan) {
  plan.count = options.placements.empty() ? options.ranks : 0;
  std::vector<tutti::run::RemotePart> remote;
  for (const tutti::run::Placement& placement : options.placements) {
    if (plan.count == 0 && tutti::run::is_this_host(placement.host)) {
      plan.first = placement.first;
      plan.count = placement.count;
      continue;
    }
    tutti::Result<std::vector<std::string>> command = tutti::run::remote_command(placement.host);
    if (!command.ok()) return command.status();
    remote.push_back({.host = placement.host, .first = placement.first, .count = placement.count, .command = std::move(*command)});
  }
  return remote;
}

// What each of them is told.
tutti::Status write_orders(const Options& options, const std::string& unique_id_hex, std::vector<tutti::run::RemotePart>& remote) {
  if (remote.empty()) return {};
  tutti::Result<std::vector<std::string>> environment = tutti::run::carried_environment(options.variables);
  if (!environment.ok()) return environment.status();
  char folder[PATH_MAX] = {};
  if (getcwd(folder, sizeof folder) == nullptr) folder[0] = '\0';
  for (tutti::run::RemotePart& part : remote) {
    part.order = tutti::run::encode_order({.ranks = options.ranks,
                                           .first = part.first,
                                           .count = part.count,
                                           .pin = options.pin,
                                           .keep_going = options.job.keep_going,
                                           .prefix_output = options.job.prefix_output,
                                           .unique_id_hex = unique_id_hex,
                                           .folder = folder,
                                           .command = options.command,
                                           .environment = *environment});
  }
  return {};
}

int run(Options& options) {
  tutti::run::LaunchPlan plan;
  plan.arguments = options.command;
  plan.ranks = options.ranks;
  tutti::Result<std::vector<tutti::run::RemotePart>> remote = divide(options, plan);
  if (!remote.ok()) return complain(remote.status().message(), kFailed);
  if (const std::optional<int> status = prepare_ranks(plan, options.pin)) return *status;
  prepare_for_children(plan.signal_mask);

  tuttiUniqueId id;
  if (tuttiGetUniqueId(&id) != tuttiSuccess) return complain(tuttiGetLastError(nullptr), kFailed);
  plan.unique_id_hex = to_hex(id);
  if (const tutti::Status status = write_orders(options, plan.unique_id_hex, *remote); !status.ok()) {
    return complain(status.message(), kBadUsage);
  }
  return tutti::run::Job(std::move(plan), std::move(options.job), std::move(*remote)).run();
}

// tutti-run --agent: the part of a job that another host's tutti-run orders over standard input.
int run_agent() {
  tutti::run::LaunchPlan plan;
  prepare_for_children(plan.signal_mask);
  tutti::run::JobOptions options;
  options.orders.reset(fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3));
  const tutti::Fd nothing(open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!options.orders || dup2(nothing.get(), STDIN_FILENO) < 0) return complain("cannot set standard input aside", kFailed);
  tutti::Result<tutti::run::AgentOrder> order = tutti::run::read_order(options.orders.get());
  if (!order.ok()) return complain(order.status().message(), kBadUsage);
  if (!order->folder.empty() && chdir(order->folder.c_str()) != 0) {
    complain("this host has no folder " + order->folder + ": the ranks start in the remote shell's", 0);
  }
  for (std::string& variable : order->environment) {
    const size_t equals = variable.find('=');
    if (equals != std::string::npos) setenv(variable.substr(0, equals).c_str(), variable.c_str() + equals + 1, 1);
  }
  plan.arguments = std::move(order->command);
  plan.ranks = order->ranks;
  plan.first = order->first;
  plan.count = order->count;
  plan.input = false;
  plan.unique_id_hex = std::move(order->unique_id_hex);
  options.keep_going = order->keep_going;
  options.prefix_output = order->prefix_output;
  if (const std::optional<int> status = prepare_ranks(plan, order->pin)) return *status;
  return tutti::run::Job(std::move(plan), std::move(options)).run();
}

}  // namespace

int main(int argc, char** argv) {
  open_standard_files();
  try {
    if (argc == 2 && std::string_view(argv[1]) == "--agent") return run_agent();
    Options options;
    if (const std::optional<int> status = parse(argc, argv, options)) return *status;
    return run(options);
  } catch (const std::exception& error) {  // the standard library's: out of memory, mostly. PR_SET_PDEATHSIG ends the ranks.
    return complain(error.what(), kFailed);
  }
}
