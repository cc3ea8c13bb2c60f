#include "base/config.h"

#include <array>
#include <charconv>
#include <cstdlib>
#include <fstream>

namespace tutti {
namespace {

Status refuse(std::string_view name, std::string_view value, std::string_view legal) {
  return {Code::kInvalidArgument, std::string(name) + "=" + std::string(value) + " is not legal: give " + std::string(legal)};
}

Status set_number(std::string_view name, std::string_view value, double least, double& field) {
  double number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size() || !(number >= least) || number > 1e9) {
    return refuse(name, value, "a number from " + std::to_string(static_cast<int>(least)) + " to 1000000000");
  }
  field = number;
  return {};
}

// Bytes and counts: digits, then optionally K, M or G (powers of 1024).
Status set_integer(std::string_view name, std::string_view value, uint64_t least, uint64_t most, uint64_t& field) {
  uint64_t number = 0;
  const char* const stop = value.data() + value.size();
  auto [end, error] = std::from_chars(value.data(), stop, number);
  int shift = 0;
  if (stop - end == 1) {
    const char unit = *end;
    shift = unit == 'K' ? 10 : unit == 'M' ? 20 : unit == 'G' ? 30 : 0;
    if (shift != 0) ++end;
  }
  const bool fits = number <= (most >> shift) && (number << shift) >= least;
  if (error != std::errc() || end != stop || !fits) {
    return refuse(name, value, "a whole number from " + std::to_string(least) + " to " + std::to_string(most) + " (K, M, G allowed)");
  }
  field = number << shift;
  return {};
}

Status set_log(std::string_view name, std::string_view value, LogLevel& field) {
  if (value == "warn") {
    field = LogLevel::kWarn;
  } else if (value == "info") {
    field = LogLevel::kInfo;
  } else if (value == "debug") {
    field = LogLevel::kDebug;
  } else {
    return refuse(name, value, "warn, info or debug");
  }
  return {};
}

Status set_flag(std::string_view name, std::string_view value, bool& field) {
  if (value != "0" && value != "1") return refuse(name, value, "0 or 1");
  field = value == "1";
  return {};
}

using Setter = Status (*)(Config&, std::string_view name, std::string_view value);

struct Row {
  ConfigVariable variable;
  Setter set;
};

// One row a variable: the only list of them.
const Row kRows[] = {
    {{"TUTTI_LOG", "warn", "how much goes to stderr: warn, info, debug"},
     [](Config& c, std::string_view n, std::string_view v) { return set_log(n, v, c.log); }},
    {{"TUTTI_CONF_FILE", "", "a file of NAME=VALUE lines; the environment overrides it"},
     [](Config&, std::string_view n, std::string_view v) { return refuse(n, v, "it in the environment, not in the file"); }},
    {{"TUTTI_ALGORITHM", "", "force one algorithm: NAME[:CHANNELS[:PARAMETER]] (the same on all ranks)"},
     [](Config& c, std::string_view, std::string_view v) { return c.algorithm = v, Status(); }},
    {{"TUTTI_TOPO_FILE", "", "a topology file (as tutti-topo --json prints) to plan by (the same on all ranks); default: what is detected"},
     [](Config& c, std::string_view, std::string_view v) { return c.topo_file = v, Status(); }},
    {{"TUTTI_TUNING_FILE", "",
      "measured choices (as tutti-plan tune writes them), which go before what is predicted (the same on all ranks)"},
     [](Config& c, std::string_view, std::string_view v) { return c.tuning_file = v, Status(); }},
    {{"TUTTI_PLAN_FILE", "",
      "plan files (JSON, as tutti-plan --dump json prints), separated by colons, to run in their sizes (the same on all ranks)"},
     [](Config& c, std::string_view, std::string_view v) { return c.plan_file = v, Status(); }},
    {{"TUTTI_TUNER", "", "a tuner plug-in, which rank 0 loads: a path, or NAME of libtutti-tuner-NAME.so (set on all ranks, or on none)"},
     [](Config& c, std::string_view, std::string_view v) { return c.tuner = v, Status(); }},
    {{"TUTTI_TOPO_DUMP", "", "a file to which rank 0 writes the topology graph that its communicator plans by, for tutti-topo --file"},
     [](Config& c, std::string_view, std::string_view v) { return c.topo_dump = v, Status(); }},
    {{"TUTTI_TRANSPORTS", "shm,tcp", "transports that may be used, in order, separated by commas"},
     [](Config& c, std::string_view, std::string_view v) { return c.transports = v, Status(); }},
    {{"TUTTI_NODE_ID", "", "ranks with equal ids share memory; default: boot id and network namespace"},
     [](Config& c, std::string_view, std::string_view v) { return c.node_id = v, Status(); }},
    {{"TUTTI_INIT_TIMEOUT", "120", "seconds to wait for all ranks at init; 0 = no bound"},
     [](Config& c, std::string_view n, std::string_view v) { return set_number(n, v, 0, c.init_timeout_s); }},
    {{"TUTTI_TIMEOUT", "300", "seconds an operation may wait for its peers; 0 = no bound"},
     [](Config& c, std::string_view n, std::string_view v) { return set_number(n, v, 0, c.timeout_s); }},
    {{"TUTTI_WARN_AFTER", "10", "seconds of waiting after which the late rank is named in the log; 0 = never"},
     [](Config& c, std::string_view n, std::string_view v) { return set_number(n, v, 0, c.warn_after_s); }},
    {{"TUTTI_SPIN", "-1", "microseconds to spin before yielding; -1 = 50, or 0 where ranks outnumber cores"},
     [](Config& c, std::string_view n, std::string_view v) { return set_number(n, v, -1, c.spin_us); }},
    {{"TUTTI_YIELD", "5000", "microseconds to yield before sleeping"},
     [](Config& c, std::string_view n, std::string_view v) { return set_number(n, v, 0, c.yield_us); }},
    {{"TUTTI_SLOT_BYTES", "64K", "payload of one FIFO slot, over tcp alone four times as much (the same on all ranks)"},
     [](Config& c, std::string_view n, std::string_view v) { return set_integer(n, v, 4096, 16 << 20, c.slot_bytes); }},
    {{"TUTTI_SLOTS", "4", "slots of a FIFO (the same on all ranks)"},
     [](Config& c, std::string_view n, std::string_view v) { return set_integer(n, v, 2, 64, c.slots); }},
    {{"TUTTI_MEMORY", "256M", "bytes that connections and scratch of one communicator may take on a rank (the same on all ranks)"},
     [](Config& c, std::string_view n, std::string_view v) { return set_integer(n, v, 1 << 20, uint64_t{1} << 40, c.memory_bytes); }},
    {{"TUTTI_LANES", "1", "operations of one communicator that may be in flight at once, on streams: 1, 2 or 4 (the same on all ranks)"},
     [](Config& c, std::string_view n, std::string_view v) {
       return v == "1" || v == "2" || v == "4" ? set_integer(n, v, 1, 4, c.lanes) : refuse(n, v, "1, 2 or 4");
     }},
    {{"TUTTI_SOCKET_IFNAME", "",
      "network interfaces to use: name prefixes separated by commas; ^ before them excludes, = takes whole names"},
     [](Config& c, std::string_view, std::string_view v) { return c.socket_ifname = v, Status(); }},
    {{"TUTTI_TCP_SOCKETS", "2", "TCP connections of a pair of ranks, spread over channels and interfaces"},
     [](Config& c, std::string_view n, std::string_view v) { return set_integer(n, v, 1, 8, c.tcp_sockets); }},
    {{"TUTTI_TCP_BUFFER_BYTES", "0", "kernel buffer of a TCP connection, each way; 0 = the kernel's own tuning"},
     [](Config& c, std::string_view n, std::string_view v) { return set_integer(n, v, 0, 1 << 30, c.tcp_buffer_bytes); }},
    {{"TUTTI_STREAM_BYTES", "8M", "buffers of this size and more are written past the caches"},
     [](Config& c, std::string_view n, std::string_view v) { return set_integer(n, v, 0, uint64_t{1} << 62, c.stream_bytes); }},
    {{"TUTTI_DEVICE_WAIT", "5", "seconds that an operation which failed waits for its device to finish what it was given"},
     [](Config& c, std::string_view n, std::string_view v) { return set_number(n, v, 0, c.device_wait_s); }},
    {{"TUTTI_HEARTBEAT", "10", "seconds after which a host that answers nothing counts as lost, 1 or more; 0 = never"},
     [](Config& c, std::string_view n, std::string_view v) { return set_number(n, v, 0, c.heartbeat_s); }},
    {{"TUTTI_CHECK", "0", "1: compare every collective's arguments among all ranks before it runs (slow; the same on all ranks)"},
     [](Config& c, std::string_view n, std::string_view v) { return set_flag(n, v, c.check); }},
    {{"TUTTI_EXPLAIN", "0", "1: rank 0 logs every plan when it is first chosen"},
     [](Config& c, std::string_view n, std::string_view v) { return set_flag(n, v, c.explain); }},
    {{"TUTTI_LAUNCHER", "", "who started the job: tutti, rendezvous, torchrun, pmix, pmi1, pmi2, or none; default: found out"},
     [](Config& c, std::string_view, std::string_view v) { return c.launcher = v, Status(); }},
    {{"TUTTI_RENDEZVOUS", "", "host:port of rank 0, where ranks meet without a launcher's private exchange (the same on all ranks)"},
     [](Config& c, std::string_view, std::string_view v) { return c.rendezvous = v, Status(); }},
    {{"TUTTI_PORT", "", "under torchrun, rank 0 listens at this port of MASTER_ADDR; default: MASTER_PORT + 1"},
     [](Config& c, std::string_view n, std::string_view v) { return set_integer(n, v, 1, 65535, c.port); }},
    {{"TUTTI_SECRET", "", "what the key is made of where ranks meet by address: any string, or @FILE (the same on all ranks)", true},
     [](Config& c, std::string_view, std::string_view v) { return c.secret = v, Status(); }},
};

const Row* find_row(std::string_view name) {
  for (const Row& row : kRows) {
    if (name == row.variable.name) return &row;
  }
  return nullptr;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

Status read_file(const std::string& path, Config& config) {
  const Status unreadable(Code::kInvalidArgument, "TUTTI_CONF_FILE=" + path + " cannot be read: give a readable file, or unset it");
  std::ifstream file(path);
  if (!file) return unreadable;
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    const std::string_view text = trim(std::string_view(line).substr(0, line.find('#')));
    if (text.empty()) continue;
    const size_t equals = text.find('=');
    const std::string where = path + ":" + std::to_string(number) + ": ";
    if (equals == std::string_view::npos) return {Code::kInvalidArgument, where + "expected NAME=VALUE"};
    const Status status = set_config_variable(config, trim(text.substr(0, equals)), trim(text.substr(equals + 1)));
    if (!status.ok()) return {status.code(), where + status.message()};
  }
  if (file.bad()) return unreadable;  // a directory opens, but does not read
  return {};
}

Result<Config> read_process_config() {
  Config config;
  config.transports = "shm,tcp";
  const char* const path = std::getenv("TUTTI_CONF_FILE");
  if (path != nullptr && *path != '\0') {
    if (Status status = read_file(path, config); !status.ok()) return status;
  }
  for (const Row& row : kRows) {
    const char* const value = std::getenv(row.variable.name);
    if (value == nullptr || *value == '\0' || std::string_view(row.variable.name) == "TUTTI_CONF_FILE") continue;
    if (Status status = row.set(config, row.variable.name, value); !status.ok()) return status;
  }
  return config;
}

}  // namespace

std::span<const ConfigVariable> config_variables() {
  static const auto kVariables = [] {
    std::array<ConfigVariable, std::size(kRows)> variables{};
    for (size_t i = 0; i < variables.size(); ++i) variables[i] = kRows[i].variable;
    return variables;
  }();
  return kVariables;
}

Status set_config_variable(Config& config, std::string_view name, std::string_view value) {
  const Row* const row = find_row(name);
  if (row == nullptr) {
    return {Code::kInvalidArgument, std::string(name) + " is no setting of Tutti: `tutti-topo env` lists them"};
  }
  return row->set(config, name, value);
}

const Result<Config>& process_config() {
  static const Result<Config> config = read_process_config();
  return config;
}

}  // namespace tutti
