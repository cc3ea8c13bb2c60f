// What every launcher is to us: variables by which it is known, and a way to this job's rendezvous. One file a launcher; find_job.cc lists
// them in order of precedence.
// Threading: pure but for join(), which talks to the launcher; find_job() lets one thread at a time do that.
#pragma once

#include "base/config.h"
#include "comm/rendezvous.h"
#include "launch/environment.h"

namespace tutti {

// This process's place in its job.
struct JobPlace {
  int rank = 0;
  int nranks = 1;
  RendezvousId id;  // the same on all ranks; rank 0 listens there, or its launcher does
};

// When a process asks its launcher again, for a further communicator. Where it does not, that one meets at the same rendezvous under a
// number of its own.
enum class Again {
  kAlways,        // it is only a look at the environment
  kAfterFailure,  // a port that is bound stays so
  kNever,         // the launcher takes part in one exchange, whatever comes of it
};

struct Launcher {
  const char* name;  // for TUTTI_LAUNCHER
  bool (*present)(const Environment& environment, const Config& config);
  // Blocks, within config.init_timeout_s. Errors: kInvalidUsage (variables are missing or wrong), kTimeout, kRemote (the launcher answers
  // with nonsense, or ended), kSystem; all name the variables and the way out.
  Result<JobPlace> (*join)(const Environment& environment, const Config& config);
  Again again;
};

extern const Launcher tutti_run_launcher;
extern const Launcher rendezvous_launcher;
extern const Launcher torchrun_launcher;
extern const Launcher pmix_launcher;
extern const Launcher pmi1_launcher;
extern const Launcher pmi2_launcher;

}  // namespace tutti
