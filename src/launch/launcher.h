// What every launcher is to us: variables by which it is known, and a way to this job's rendezvous. One file a launcher; find_job.cc lists
// them in order of precedence.
// Threading: pure but for join(), which talks to the launcher; find_job() lets one thread at a time do that.
#pragma once

#include "base/config.h"
#include "comm/rendezvous.h"
#include "launch/environment.h"

namespace tutti {

// This process's place in its job.
struct Place {
  int rank = 0;
  int nranks = 1;
  RendezvousId id;  // the same on all ranks; rank 0 listens there, or its launcher does
};

struct Launcher {
  const char* name;  // for TUTTI_LAUNCHER
  bool (*present)(const Environment& environment, const Config& config);
  // Blocks, within config.init_timeout_s. Errors: kInvalidUsage (variables are missing or wrong), kTimeout, kRemote (the launcher answers
  // with nonsense, or ended), kSystem; all name the variables and the way out.
  Result<Place> (*join)(const Environment& environment, const Config& config);
  // The exchange happens once a process, whatever comes of it: a launcher takes part in it only once, or the port is bound. Further
  // communicators meet at the same rendezvous under numbers of their own.
  bool once;
};

extern const Launcher tutti_run_launcher;
extern const Launcher rendezvous_launcher;
extern const Launcher torchrun_launcher;
extern const Launcher pmix_launcher;
extern const Launcher pmi1_launcher;
extern const Launcher pmi2_launcher;

}  // namespace tutti
