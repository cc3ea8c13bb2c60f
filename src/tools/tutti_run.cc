// tutti-run: starts N ranks of a program on this host, with the environment that tuttiCommInitFromEnv() reads.
// Exit status: 0 all right, 2 bad usage, 1 when a rank could not be started, else the first failing rank's (128 + signal for a signal).
// Threading: the main thread runs the job; the library's control thread, started by tuttiGetUniqueId(), holds the rendezvous.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "tools/job.h"
#include "tools/launch.h"
#include "tutti/tutti.h"

namespace {

constexpr int kFailed = 1;
constexpr int kBadUsage = 2;
constexpr int kMostRanks = 65536;

struct Options {
  int ranks = 0;
  tutti::run::Pin pin = tutti::run::Pin::kAuto;
  tutti::run::JobOptions job;
  std::vector<std::string> command;
};

int complain(const std::string& message, int exit_status) {
  std::fprintf(stderr, "tutti-run: %s\n", message.c_str());
  return exit_status;
}

// Fills `options` from what stands before "--"; the command is what stands behind. Nothing: go on. Else the exit status.
std::optional<int> parse(int argc, char** argv, Options& options) {
  using tutti::run::Pin;
  int own = argc;
  for (int i = 1; i < argc && own == argc; ++i) {
    if (std::string(argv[i]) == "--") own = i;
  }
  for (int i = own + 1; i < argc; ++i) options.command.emplace_back(argv[i]);

  CLI::App app("Starts the ranks of a Tutti program on this host:\n  tutti-run -n N [OPTIONS] -- COMMAND [ARGUMENTS]", "tutti-run");
  app.footer(
      "Every rank gets TUTTI_RANK, TUTTI_SIZE, TUTTI_LOCAL_RANK, TUTTI_LOCAL_SIZE and\n"
      "TUTTI_UNIQUE_ID. Rank 0 reads standard input, unless it is a terminal. Signals\n"
      "are handed on to all ranks. Exit status: the first failing rank's (128 + signal\n"
      "for a signal), 1 when a rank cannot be started, 2 for bad usage.");
  app.set_version_flag("--version", std::to_string(TUTTI_MAJOR) + "." + std::to_string(TUTTI_MINOR) + "." + std::to_string(TUTTI_PATCH));
  app.add_option("-n", options.ranks, "how many ranks to start")->required()->check(CLI::Range(1, kMostRanks))->type_name("N");
  app.add_flag("--keep-going", options.job.keep_going, "when a rank fails, let the others go on");
  app.add_flag("--prefix-output", options.job.prefix_output, "put \"[RANK] \" before every line of output");
  std::string pin = "auto";
  app.add_option("--pin", pin, "bind every rank to one PU; auto: where there is one for each")
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
  options.pin = pin == "no" ? Pin::kNo : pin == "yes" ? Pin::kYes : Pin::kAuto;
  if (options.command.empty()) return complain("no command: put it behind --, as in tutti-run -n 2 -- COMMAND", kBadUsage);
  return std::nullopt;
}

std::vector<int> choose_pus(const Options& options) {
  using tutti::run::Pin;
  if (options.pin == Pin::kNo) return {};
  std::vector<int> order = tutti::run::pinning_order();
  if (options.pin == Pin::kAuto && static_cast<size_t>(options.ranks) > order.size()) return {};
  return order;
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

int run(const Options& options) {
  tutti::Result<std::string> program = tutti::run::find_program(options.command.front());
  if (!program.ok()) return complain(program.status().message(), kFailed);

  tutti::run::LaunchPlan plan;
  plan.program = *program;
  plan.arguments = options.command;
  plan.ranks = options.ranks;
  plan.pus = choose_pus(options);
  plan.must_bind = options.pin == tutti::run::Pin::kYes;
  if (plan.must_bind && plan.pus.empty()) return complain("--pin yes: the system does not say which PUs may be used", kFailed);

  // Before the library starts its thread, which inherits the mask.
  const sigset_t handled = tutti::run::handled_signals();
  sigprocmask(SIG_BLOCK, &handled, &plan.signal_mask);
  signal(SIGCHLD, SIG_DFL);  // inherited as "ignore", children would vanish without a status
  // What a dying rank leaves behind becomes our child, so that we learn when it ends.
  prctl(PR_SET_CHILD_SUBREAPER, 1);

  tuttiUniqueId id;
  if (tuttiGetUniqueId(&id) != tuttiSuccess) return complain(tuttiGetLastError(nullptr), kFailed);
  plan.unique_id_hex = to_hex(id);
  return tutti::run::Job(std::move(plan), options.job).run();
}

}  // namespace

int main(int argc, char** argv) {
  open_standard_files();
  try {
    Options options;
    if (const std::optional<int> status = parse(argc, argv, options)) return *status;
    return run(options);
  } catch (const std::exception& error) {  // the standard library's: out of memory, mostly. PR_SET_PDEATHSIG ends the ranks.
    return complain(error.what(), kFailed);
  }
}
