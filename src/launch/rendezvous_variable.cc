// TUTTI_RENDEZVOUS=host:port: any launcher that numbers its processes will do.
#include "launch/by_address.h"

namespace tutti {
namespace {

struct Pair {
  const char* rank;
  const char* size;
};

// Who says the numbers, in order; of srun's sizes that of the step.
constexpr Pair kPairs[] = {
    {"TUTTI_RANK", "TUTTI_SIZE"}, {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"}, {"PMI_RANK", "PMI_SIZE"},
    {"RANK", "WORLD_SIZE"},       {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS"},         {"SLURM_PROCID", "SLURM_NTASKS"},
};

bool present(const Environment&, const Config& config) {
  return !config.rendezvous.empty();
}

Result<Numbers> numbers_of(const Environment& environment) {
  // The user's own words are taken even if there is only one of them, and then refused.
  if (environment.has("TUTTI_RANK") || environment.has("TUTTI_SIZE")) return read_numbers(environment, "TUTTI_RANK", "TUTTI_SIZE");
  for (const Pair& pair : kPairs) {
    if (environment.says(pair.rank) && environment.says(pair.size)) return read_numbers(environment, pair.rank, pair.size);
  }
  return Status(Code::kInvalidUsage,
                "TUTTI_RENDEZVOUS is set, but nothing says which rank this is: set TUTTI_RANK and TUTTI_SIZE, start the program with srun, "
                "mpirun or torchrun, or unset TUTTI_RENDEZVOUS");
}

Result<JobPlace> join(const Environment& environment, const Config& config) {
  if (config.rendezvous.empty()) {
    return Status(Code::kInvalidUsage,
                  "TUTTI_LAUNCHER=rendezvous needs TUTTI_RENDEZVOUS=host:port, of rank 0's host and a free port there");
  }
  const Result<MeetingAddress> address = parse_address("TUTTI_RENDEZVOUS", config.rendezvous);
  if (!address.ok()) return address.status();
  const Result<Numbers> numbers = numbers_of(environment);
  if (!numbers.ok()) return numbers.status();
  const std::string job = environment.value("SLURM_JOB_ID") + "." + environment.value("SLURM_STEP_ID");
  return meet_at(address.value(), numbers.value(), job, config);
}

}  // namespace

const Launcher rendezvous_launcher = {.name = "rendezvous", .present = present, .join = join, .again = Again::kAfterFailure};

}  // namespace tutti
