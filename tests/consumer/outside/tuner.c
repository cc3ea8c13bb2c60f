/* A tuner plug-in as an outsider writes it: it needs the header and nothing to link. */
#include <tutti/plugin.h>

static tuttiResult_t tune(void* context, const tuttiTunerRequest_t* request, tuttiTunerTable_t* table) {
  (void)context;
  if (request->nranks > 1 && table->count > 1) table->rows[0].cost = table->rows[1].cost;
  return tuttiSuccess;
}

const tuttiTuner_t* tuttiTunerPlugin(void) {
  static const tuttiTuner_t tuner = {sizeof tuner, TUTTI_TUNER_VERSION, "outside", NULL, tune, NULL};
  return &tuner;
}
