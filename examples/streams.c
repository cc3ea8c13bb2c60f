/* Four ranks driven by one thread: two collectives in flight on two streams per rank, a callback, and a NULL-stream call that follows all.
 * C99. */
#include <stdio.h>

#include "check.h"
#include "tutti/tutti.h"

#define RANKS 4
#define COUNT 4096

static void count_up(void* context) { ++*(int*)context; }

int main(void) {
  static float gradients[RANKS][COUNT], sums[RANKS][COUNT], parts[RANKS][COUNT], all[RANKS][RANKS * COUNT];
  tuttiComm_t comms[RANKS];
  tuttiStream_t first[RANKS], second[RANKS];
  int calls[RANKS] = {0};
  CHECK(tuttiCommInitAll(comms, RANKS, NULL));
  for (int r = 0; r < RANKS; ++r) {
    CHECK(tuttiStreamCreate(&first[r]));
    CHECK(tuttiStreamCreate(&second[r]));
    for (int i = 0; i < COUNT; ++i) {
      gradients[r][i] = (float)(r + i % 100);
      parts[r][i] = (float)(1000 * r + i % 100);
    }
  }

  /* Asynchronous: each call returns at once. All ranks make the same calls in the same order, whatever the streams. */
  for (int r = 0; r < RANKS; ++r) {
    CHECK(tuttiAllReduce(gradients[r], sums[r], COUNT, tuttiFloat32, tuttiSum, comms[r], first[r]));
    CHECK(tuttiAllGather(parts[r], all[r], COUNT, tuttiFloat32, comms[r], second[r]));
    CHECK(tuttiStreamAddCallback(first[r], count_up, &calls[r]));
  }
  for (int r = 0; r < RANKS; ++r) {
    CHECK(tuttiStreamSynchronize(first[r]));
    CHECK(tuttiStreamSynchronize(second[r]));
  }

  int wrong = 0;
  for (int r = 0; r < RANKS; ++r) {
    for (int i = 0; i < COUNT; ++i) wrong += sums[r][i] != (float)(RANKS * (RANKS - 1) / 2 + RANKS * (i % 100));
    for (int i = 0; i < RANKS * COUNT; ++i) wrong += all[r][i] != (float)(1000 * (i / COUNT) + i % COUNT % 100);
    wrong += calls[r] != 1;
  }
  for (int r = 0; r < RANKS; ++r) {
    CHECK(tuttiStreamDestroy(first[r]));
    CHECK(tuttiStreamDestroy(second[r]));
    CHECK(tuttiCommDestroy(comms[r]));
  }
  printf("two collectives on two streams of %d ranks: %d wrong\n", RANKS, wrong);
  return wrong == 0 ? 0 : 1;
}
