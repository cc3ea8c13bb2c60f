// See launcher.h.
#include "launcher.h"

#include <charconv>
#include <cstdlib>
#include <string_view>

namespace perf {
namespace {

std::string_view variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::optional<int> number(const char* name) {
  const std::string_view text = variable(name);
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

struct Source {
  std::string_view launchers;  // that TUTTI_LAUNCHER may name for it
  const char* sign;            // a variable without which it is not meant
  const char* rank;
  const char* size;
};

// In the library's order. What only TUTTI_RENDEZVOUS makes a job comes last.
constexpr Source kSources[] = {
    {"tutti rendezvous", "", "TUTTI_RANK", "TUTTI_SIZE"},
    {"torchrun rendezvous", "TORCHELASTIC_RUN_ID", "RANK", "WORLD_SIZE"},
    {"pmix rendezvous", "", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
    {"pmi1 pmi2 rendezvous", "", "PMI_RANK", "PMI_SIZE"},
    {"torchrun rendezvous", "", "RANK", "WORLD_SIZE"},
    {"pmix rendezvous", "SLURM_STEP_ID", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS"},
    {"pmix rendezvous", "SLURM_STEP_ID", "SLURM_PROCID", "SLURM_NTASKS"},
};

// One of the two is enough for our own and the user's words, which then are found wanting; others may mean something else by theirs.
bool claims(const Source& source) {
  if (*source.sign != '\0' && variable(source.sign).empty()) return false;
  if (source.rank == std::string_view("TUTTI_RANK")) return std::getenv(source.rank) != nullptr || std::getenv(source.size) != nullptr;
  return !variable(source.rank).empty() && !variable(source.size).empty();
}

}  // namespace

std::optional<Launched> launched_as(std::string& why) {
  const std::string_view forced = variable("TUTTI_LAUNCHER");
  if (forced == "none") return std::nullopt;
  for (const Source& source : kSources) {
    if (!forced.empty() && source.launchers.find(forced) == std::string_view::npos) continue;
    if (!claims(source)) continue;
    const std::optional<int> rank = number(source.rank);
    const std::optional<int> ranks = number(source.size);
    if (rank && ranks && *rank < *ranks) return Launched{*rank, *ranks};
    why = std::string(source.rank) + "=" + std::string(variable(source.rank)) + " and " + source.size + "=" +
          std::string(variable(source.size)) + " in the environment are no rank and number of ranks; a launcher sets both";
    return std::nullopt;
  }
  // Such a manager tells rank and size only over its own protocol.
  if (!variable("PMI_PORT").empty() && !variable("PMI_ID").empty()) {
    why = "PMI_PORT is set, but neither PMI_RANK nor TUTTI_RANK: start without mpirun's -pmi-port, or set TUTTI_LAUNCHER=none";
  }
  return std::nullopt;
}

}  // namespace perf
