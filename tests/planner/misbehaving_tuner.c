/* A tuner that does to its table what TUTTI_TEST_TUNER says: all that a plug-in may do wrong, and some of what it may do. C99. */
#include <stdlib.h>
#include <string.h>

#include "tutti/plugin.h"

static int starts, asked;

static int is(const char* word) {
  const char* const mode = getenv("TUTTI_TEST_TUNER");
  return mode != NULL && strcmp(mode, word) == 0;
}

static tuttiResult_t init(const tuttiTunerJob_t* job, void** context) {
  if (is("init_fails")) return tuttiSystemError;
  if (job->size != sizeof *job || job->nranks < 1 || job->nnodes < 1 || job->transport == NULL) return tuttiInvalidArgument;
  job->log("a line of the tuner's");
  ++starts;
  *context = &starts;
  return tuttiSuccess;
}

static void name(tuttiTunerRow_t* row, const char* algorithm) {
  memset(row->algorithm, 0, sizeof row->algorithm);
  strcpy(row->algorithm, algorithm);
}

/* Another one each time it is asked: ranks that asked for themselves would come to differ. */
static void fickle(tuttiTunerTable_t* table) {
  size_t simulated = 0;
  while (simulated < table->count && table->rows[simulated].predicted >= 0) ++simulated;
  table->rows[(size_t)++asked % simulated].verdict = tuttiVerdictPreferred;
}

static tuttiResult_t tune(void* context, const tuttiTunerRequest_t* request, tuttiTunerTable_t* table) {
  const double zero = 0;
  tuttiTunerRow_t* const first = table->rows;
  size_t i;
  if (context != &starts || request->size != sizeof *request || table->size != sizeof *table) return tuttiInternalError;
  if (is("decline")) return tuttiInvalidUsage;
  if (is("nan")) first->cost = zero / zero;
  if (is("negative")) table->rows[table->count - 1].cost = -1;
  if (is("unknown")) name(first, "telepathy");
  if (is("cannot")) name(first, "pairwise");
  if (is("endless_name")) memset(first->algorithm, 'x', sizeof first->algorithm);
  if (is("moved")) table->rows = NULL;
  if (is("too_many")) table->count = table->capacity + 1;
  if (is("none")) table->count = 0;
  if (is("verdict")) memset(&first->verdict, 77, sizeof first->verdict);
  if (is("channels")) first->channels = 1000;
  if (is("no_channels")) first->channels = 0;
  if (is("parameter")) first->parameter = 4711;
  if (is("protocol")) memset(&first->protocol, 1, sizeof first->protocol);
  if (is("slice")) first->sliceBytes = 3;
  if (is("forbid_first")) first->verdict = tuttiVerdictForbidden;
  if (is("dear")) first->cost = 1e9;
  if (is("fickle")) fickle(table);
  for (i = 0; i < table->count && is("forbid_all"); ++i) table->rows[i].verdict = tuttiVerdictForbidden;
  for (i = 0; i < table->count && is("prefer_halving"); ++i) {
    if (strcmp(table->rows[i].algorithm, "halving_doubling") == 0) table->rows[i].verdict = tuttiVerdictPreferred;
  }
  if (is("add") && table->count < table->capacity) {
    tuttiTunerRow_t* const row = &table->rows[table->count++];
    memset(row, 0, sizeof *row);
    name(row, "ring");
    row->channels = 3;
    row->sliceBytes = 4096;
    row->verdict = tuttiVerdictPreferred;
    strcpy(table->reason, "three rings");
  }
  return tuttiSuccess;
}

static void finish(void* context) {
  if (context == &starts) --starts;
}

const tuttiTuner_t* tuttiTunerPlugin(void) {
  static tuttiTuner_t tuner;
  const tuttiTuner_t right = {sizeof right, TUTTI_TUNER_VERSION, "misbehaving", init, tune, finish};
  tuner = right;
  if (is("version")) tuner.version = 7;
  if (is("short")) tuner.size = 16;
  if (is("no_tune")) tuner.tune = NULL;
  if (is("no_name")) tuner.name = NULL;
  if (is("no_init")) tuner.init = NULL;
  return is("no_table") ? NULL : &tuner;
}
