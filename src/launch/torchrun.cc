// torchrun, and whoever else sets RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT. MASTER_PORT itself is torch's own store.
#include "launch/by_address.h"

namespace tutti {
namespace {

// RANK or WORLD_SIZE alone are words that anybody may have exported.
bool present(const Environment& environment, const Config&) {
  return environment.says("RANK") && environment.says("WORLD_SIZE");
}

Result<uint16_t> port_of(const Environment& environment, const Config& config, std::string& variables) {
  if (config.port != 0) {
    variables += ", TUTTI_PORT=" + std::to_string(config.port);
    return static_cast<uint16_t>(config.port);
  }
  const std::string text = environment.value("MASTER_PORT");
  const std::optional<int> port = parse_number(text);
  if (!port || *port < 1 || *port > 65534) {
    return Status(Code::kInvalidUsage, "MASTER_PORT=" + text +
                                           " is no port below 65535, and TUTTI_PORT is not set: Tutti listens on TUTTI_PORT, else "
                                           "on MASTER_PORT + 1");
  }
  variables += ", MASTER_PORT=" + text + " + 1 (TUTTI_PORT chooses another)";
  return static_cast<uint16_t>(*port + 1);
}

Result<JobPlace> join(const Environment& environment, const Config& config) {
  const Result<Numbers> numbers = read_numbers(environment, "RANK", "WORLD_SIZE");
  if (!numbers.ok()) return numbers.status();
  MeetingAddress address = {.host = environment.value("MASTER_ADDR")};
  address.variables = "MASTER_ADDR=" + address.host;
  if (address.host.empty()) {
    return Status(Code::kInvalidUsage,
                  "RANK and WORLD_SIZE are set, MASTER_ADDR is not: start the program with torchrun, set MASTER_ADDR to rank 0's host, or "
                  "set TUTTI_LAUNCHER=none for a job of one");
  }
  const Result<uint16_t> port = port_of(environment, config, address.variables);
  if (!port.ok()) return port.status();
  address.port = port.value();
  return meet_at(address, numbers.value(), environment.value("TORCHELASTIC_RUN_ID"), config);
}

}  // namespace

const Launcher torchrun_launcher = {.name = "torchrun", .present = present, .join = join, .again = Again::kAfterFailure};

}  // namespace tutti
