// The settings of the process: TUTTI_ variables and the config file, read once. A communicator copies them and lays its tuttiConfig_t
// over the copy.
// Threading: process_config() may be called from any thread; the value is immutable.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace tutti {

enum class LogLevel : uint8_t { kWarn, kInfo, kDebug };

struct Config {
  LogLevel log = LogLevel::kWarn;
  double init_timeout_s = 120;
  double timeout_s = 300;
  double warn_after_s = 10;
  double spin_us = -1;  // -1: 50 while ranks fit the cores, else 0
  double yield_us = 5000;
  std::string algorithm;   // empty: the planner's choice
  std::string topo_file;   // empty: the machine as it is detected
  std::string tuning_file;  // empty: nothing was measured
  std::string plan_file;   // plan files, separated by colons; empty: none
  std::string tuner;       // a plug-in that rank 0 loads; empty: none
  std::string topo_dump;   // empty: the graph is not written
  std::string transports;  // comma-separated, in order of preference
  std::string node_id;     // empty: boot id and network namespace
  std::string device = "host";  // what holds this rank's buffers. No variable: it is a property of the rank, not of the process
  double device_wait_s = 5;     // that an operation which failed waits for its device
  uint64_t slot_bytes = 64 * 1024;
  uint64_t slots = 4;
  uint64_t memory_bytes = 256 << 20;  // the most that a communicator's FIFOs and scratch may take on a rank
  uint64_t lanes = 1;               // operations of a communicator that may be in flight at once, on streams
  std::string socket_ifname;        // empty: all that lead out of the host
  uint64_t tcp_sockets = 2;         // of a pair of ranks
  uint64_t tcp_buffer_bytes = 0;    // of a socket, each way; 0: the kernel's own tuning
  uint64_t stream_bytes = 8 << 20;  // outputs of this size and more bypass the caches
  double heartbeat_s = 10;          // after which a silent host counts as lost; 0: never
  bool check = false;               // compare every collective's arguments among the ranks before it runs
  bool explain = false;
  std::string launcher;    // empty: the first that is there
  std::string rendezvous;  // host:port where ranks meet; empty: the launcher's exchange
  uint64_t port = 0;       // for torchrun; 0: MASTER_PORT + 1
  std::string secret;      // or @file
};

// What `tutti-topo env` lists.
struct ConfigVariable {
  const char* name;
  const char* fallback;  // the default as one would write it
  const char* meaning;
  bool secret = false;  // its value is not for showing
};

std::span<const ConfigVariable> config_variables();

// Lays `value` for variable `name` over `config`. Errors (kInvalidArgument) name the variable, the value and what is legal.
Status set_config_variable(Config& config, std::string_view name, std::string_view value);

// The process's settings: defaults, then the file named by TUTTI_CONF_FILE (lines NAME=VALUE, # comments), then the environment. Read
// once, at the first call; a wrong value is an error of every call that needs the settings.
const Result<Config>& process_config();

}  // namespace tutti
