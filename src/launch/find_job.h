// Which job this process belongs to: asks the launchers of launcher.h in order of precedence.
//
//   tutti       TUTTI_UNIQUE_ID (tutti-run; it hides the variables of launchers around it from its ranks)
//   rendezvous  TUTTI_RENDEZVOUS=host:port, rank and size from whoever says them
//   torchrun    TORCHELASTIC_RUN_ID: torchrun started this very process, whatever is around it
//   pmix        Open MPI's mpirun, prterun, srun --mpi=pmix
//   pmi2        srun --mpi=pmi2
//   pmi1        MPICH's mpirun
//   torchrun    RANK, WORLD_SIZE and MASTER_ADDR by themselves
//
// TUTTI_LAUNCHER forces one; `none` means a job of one, as does the absence of all.
// Threading: find_job() from any thread; one at a time asks.
#pragma once

#include <string>

#include "base/config.h"
#include "launch/launcher.h"

namespace tutti {

struct FoundLauncher {
  const Launcher* launcher = nullptr;  // null: a job of one
};

// Errors: kInvalidUsage (two launchers contradict each other; srun offers no exchange).
Result<FoundLauncher> choose_launcher(const Environment& environment, const Config& config);

// The process's place in its job. Blocks within config.init_timeout_s. Errors: choose_launcher's and Launcher::join's.
Result<JobPlace> find_job(const Config& config);

}  // namespace tutti
