/* A tuner plug-in: large all-reduces go by one algorithm (EXAMPLE_TUNER_ALGORITHM, ring) from some size on (EXAMPLE_TUNER_LARGE, 1 MiB),
 * whatever the planner thinks, and nothing goes by pairwise exchange between more than 64 ranks. Build it as a shared object and name that:
 * TUTTI_TUNER=/path/of/it.so. C99. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tutti/plugin.h"

struct Tuner {
  const char* algorithm;
  size_t large; /* bytes from which on it is preferred */
};

static tuttiResult_t init(const tuttiTunerJob_t* job, void** context) {
  const char* const algorithm = getenv("EXAMPLE_TUNER_ALGORITHM");
  const char* const large = getenv("EXAMPLE_TUNER_LARGE");
  char line[128];
  struct Tuner* const self = malloc(sizeof *self);
  if (self == NULL) return tuttiSystemError;
  self->algorithm = algorithm == NULL ? "ring" : algorithm;
  self->large = large == NULL ? 1 << 20 : (size_t)strtoull(large, NULL, 10);
  snprintf(line, sizeof line, "example: %.32s from %lu bytes on, for %d ranks over %s", self->algorithm, (unsigned long)self->large,
           job->nranks, job->transport);
  job->log(line);
  *context = self;
  return tuttiSuccess;
}

static tuttiResult_t tune(void* context, const tuttiTunerRequest_t* request, tuttiTunerTable_t* table) {
  const struct Tuner* const self = context;
  size_t i;
  for (i = 0; i < table->count; ++i) {
    tuttiTunerRow_t* const row = &table->rows[i];
    if (strcmp(row->algorithm, "pairwise") == 0 && request->nranks > 64) row->verdict = tuttiVerdictForbidden;
    if (strcmp(row->algorithm, self->algorithm) != 0 || request->collective != tuttiCollectiveAllReduce || request->bytes < self->large) continue;
    row->verdict = tuttiVerdictPreferred;
    row->cost = request->bound; /* as good as can be: of several such rows the first is taken */
    snprintf(table->reason, sizeof table->reason, "%.32s from %lu bytes on", self->algorithm, (unsigned long)self->large);
  }
  return tuttiSuccess;
}

static void finish(void* context) { free(context); }

const tuttiTuner_t* tuttiTunerPlugin(void) {
  static const tuttiTuner_t tuner = {sizeof tuner, TUTTI_TUNER_VERSION, "example", init, tune, finish};
  return &tuner;
}
