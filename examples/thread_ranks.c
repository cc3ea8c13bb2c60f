/* Four ranks as threads of one process, then the same four driven by one thread inside a group. C99. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "tutti/tutti.h"

#define RANKS 4
#define COUNT 1000

static void expect_sum(const float* data) {
  for (int i = 0; i < COUNT; ++i) {
    /* rank r gave r + i */
    const float expected = (float)(RANKS * (RANKS - 1) / 2 + RANKS * i);
    if (data[i] != expected) {
      fprintf(stderr, "element %d is %g, not %g\n", i, (double)data[i], (double)expected);
      exit(1);
    }
  }
}

static void* rank_main(void* argument) {
  tuttiComm_t comm = *(tuttiComm_t*)argument;
  int rank = -1;
  float data[COUNT];
  CHECK(tuttiCommUserRank(comm, &rank));
  for (int i = 0; i < COUNT; ++i) data[i] = (float)(rank + i);
  CHECK(tuttiAllReduce(data, data, COUNT, tuttiFloat32, tuttiSum, comm, NULL));
  expect_sum(data);
  return NULL;
}

static void one_thread_in_a_group(tuttiComm_t* comms) {
  static float input[RANKS][COUNT], output[RANKS][COUNT];
  for (int r = 0; r < RANKS; ++r) {
    for (int i = 0; i < COUNT; ++i) input[r][i] = (float)(r + i);
  }
  CHECK(tuttiGroupStart());
  for (int r = 0; r < RANKS; ++r) CHECK(tuttiAllReduce(input[r], output[r], COUNT, tuttiFloat32, tuttiSum, comms[r], NULL));
  CHECK(tuttiGroupEnd());
  for (int r = 0; r < RANKS; ++r) expect_sum(output[r]);
}

int main(void) {
  tuttiComm_t comms[RANKS];
  pthread_t threads[RANKS];
  CHECK(tuttiCommInitAll(comms, RANKS, NULL));
  for (int r = 0; r < RANKS; ++r) {
    if (pthread_create(&threads[r], NULL, rank_main, &comms[r]) != 0) return 1;
  }
  for (int r = 0; r < RANKS; ++r) pthread_join(threads[r], NULL);
  one_thread_in_a_group(comms);
  for (int r = 0; r < RANKS; ++r) CHECK(tuttiCommDestroy(comms[r]));
  printf("%d ranks agree on %d elements\n", RANKS, COUNT);
  return 0;
}
