#include "launch/find_job.h"

#include <map>
#include <mutex>

#include "base/log.h"

namespace tutti {
namespace {

bool torchrun_itself(const Environment& environment) {
  return environment.says("TORCHELASTIC_RUN_ID") && environment.says("RANK") && environment.says("WORLD_SIZE");
}

// The order of precedence; find_job.h says why.
const Launcher* const kLaunchers[] = {&tutti_run_launcher, &rendezvous_launcher, &pmix_launcher,
                                      &pmi2_launcher,      &pmi1_launcher,       &torchrun_launcher};

// Rank and size as launchers with a private exchange write them. Any two that are there must agree.
struct Claim {
  const Launcher* launcher;
  const char* rank;
  const char* size;
};
constexpr Claim kClaims[] = {{&tutti_run_launcher, "TUTTI_RANK", "TUTTI_SIZE"},
                             {&pmix_launcher, "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
                             {&pmi1_launcher, "PMI_RANK", "PMI_SIZE"}};

Status contradiction(const Environment& environment) {
  const Claim* first = nullptr;
  for (const Claim& claim : kClaims) {
    if (!environment.says(claim.rank) || !environment.says(claim.size)) continue;
    if (first == nullptr) {
      first = &claim;
    } else if (environment.value(claim.rank) != environment.value(first->rank) ||
               environment.value(claim.size) != environment.value(first->size)) {
      const auto said = [&](const Claim& c) {
        return std::string(c.rank) + "=" + environment.value(c.rank) + ", " + c.size + "=" + environment.value(c.size);
      };
      return {Code::kInvalidUsage, "two launchers number this process: " + said(*first) + "; " + said(claim) +
                                       ". Set TUTTI_LAUNCHER=" + first->launcher->name + " or " + claim.launcher->name +
                                       " to say which counts (the innermost, as a rule), or unset the other's variables"};
    }
  }
  return {};
}

// srun without an exchange: separate jobs of one would be wrong without a word. A batch script itself is no step.
Status lone_srun(const Environment& environment) {
  constexpr int kLastStep = 0x7fffffff;  // above it are Slurm's own: batch, extern, interactive
  const std::optional<int> step = parse_number(environment.value("SLURM_STEP_ID"));
  const char* const size_name = environment.says("SLURM_STEP_NUM_TASKS") ? "SLURM_STEP_NUM_TASKS" : "SLURM_NTASKS";
  const std::optional<int> tasks = parse_number(environment.value(size_name));
  if (!step || *step >= kLastStep || !tasks || *tasks < 2 || !environment.says("SLURM_PROCID")) return {};
  return {Code::kInvalidUsage, "srun started " + std::to_string(*tasks) + " tasks (" + size_name +
                                   ") without an exchange in which they could meet: use srun --mpi=pmi2 or --mpi=pmix, or set "
                                   "TUTTI_RENDEZVOUS=host:port (with TUTTI_SECRET); TUTTI_LAUNCHER=none makes each a job of one"};
}

Result<FoundLauncher> forced(const std::string& name) {
  if (name == "none") return FoundLauncher{};
  for (const Launcher* launcher : kLaunchers) {
    if (name == launcher->name) return FoundLauncher{launcher};
  }
  return Status(Code::kInvalidUsage,
                "TUTTI_LAUNCHER=" + name + " is no launcher: give tutti, rendezvous, torchrun, pmix, pmi1, pmi2 or none");
}

}  // namespace

Result<FoundLauncher> choose_launcher(const Environment& environment, const Config& config) {
  if (!config.launcher.empty()) return forced(config.launcher);
  const bool named = tutti_run_launcher.present(environment, config) || rendezvous_launcher.present(environment, config);
  if (!named && torchrun_itself(environment)) return FoundLauncher{&torchrun_launcher};
  for (const Launcher* launcher : kLaunchers) {
    if (!launcher->present(environment, config)) continue;
    const bool numbered_alike = launcher == &rendezvous_launcher || launcher == &torchrun_launcher || launcher == &pmi2_launcher;
    if (Status status = numbered_alike ? Status() : contradiction(environment); !status.ok()) return status;
    return FoundLauncher{launcher};
  }
  if (Status status = lone_srun(environment); !status.ok()) return status;
  return FoundLauncher{};
}

Result<JobPlace> find_job(const Config& config) {
  static std::mutex mutex;  // one exchange at a time; a launcher's socket is one
  static std::map<const Launcher*, Result<JobPlace>> done;
  const std::lock_guard lock(mutex);
  const Environment environment = Environment::of_process();
  const Result<FoundLauncher> found = choose_launcher(environment, config);
  if (!found.ok()) return found.status();
  const Launcher* const launcher = found.value().launcher;
  if (launcher == nullptr) {
    const Result<RendezvousId> id = open_rendezvous();
    if (!id.ok()) return id.status();
    return JobPlace{.id = id.value()};
  }
  if (const auto before = done.find(launcher); before != done.end()) return before->second;
  Result<JobPlace> place = launcher->join(environment, config);
  if (place.ok()) {
    log_info("launcher " + std::string(launcher->name) + ": rank " + std::to_string(place->rank) + " of " + std::to_string(place->nranks));
  }
  const bool keep = place.ok() ? launcher->again != Again::kAlways : launcher->again == Again::kNever;
  if (keep) done.emplace(launcher, place);
  return place;
}

}  // namespace tutti
