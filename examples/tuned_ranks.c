/* Four ranks of one process whose plans a tuner plug-in may change: prints which plan a large all-reduce uses, and checks that its result is
 * right whatever the tuner says. Run it with and without TUTTI_TUNER. With an argument it must be that algorithm, from a tuner. C99. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "tutti/tutti.h"

#define RANKS 4
#define COUNT (1 << 20)

struct Rank {
  tuttiComm_t comm;
  int rank;
  int ok;
};

static int reduce(struct Rank* self, float* data) {
  int i;
  for (i = 0; i < COUNT; ++i) data[i] = (float)(self->rank + i % 100);
  CHECK(tuttiAllReduce(data, data, COUNT, tuttiFloat32, tuttiSum, self->comm, NULL));
  for (i = 0; i < COUNT; ++i) {
    if (data[i] != (float)(RANKS * (RANKS - 1) / 2 + RANKS * (i % 100))) return 1;
  }
  return 0;
}

static void* run_rank(void* argument) {
  struct Rank* const self = argument;
  float* const data = malloc(COUNT * sizeof *data);
  self->ok = data != NULL && reduce(self, data) == 0;
  free(data);
  return NULL;
}

int main(int argc, char** argv) {
  tuttiComm_t comms[RANKS];
  pthread_t threads[RANKS];
  struct Rank ranks[RANKS];
  char text[4096], expected[64];
  int r, right = 1;
  CHECK(tuttiCommInitAll(comms, RANKS, NULL));
  for (r = 0; r < RANKS; ++r) {
    ranks[r].comm = comms[r];
    ranks[r].rank = r;
    ranks[r].ok = 0;
    if (pthread_create(&threads[r], NULL, run_rank, &ranks[r]) != 0) return 1;
  }
  for (r = 0; r < RANKS; ++r) {
    pthread_join(threads[r], NULL);
    right = right && ranks[r].ok;
  }
  CHECK(tuttiCommExplain(comms[RANKS - 1], tuttiCollectiveAllReduce, COUNT, tuttiFloat32, tuttiSum, 0, text, sizeof text, NULL));
  puts(text);
  for (r = 0; r < RANKS; ++r) CHECK(tuttiCommDestroy(comms[r]));
  if (argc < 2) return right ? 0 : 1;
  snprintf(expected, sizeof expected, "\"algorithm\":\"%s\"", argv[1]);
  return right && strstr(text, expected) != NULL && strstr(text, "tuner plug-in") != NULL ? 0 : 1;
}
