/* The public header and API from C99: everything that a C program can say, said once. Prints the line of what went wrong. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tutti/tutti.h"

static int failures = 0;

#define EXPECT(condition)                                                                                   \
  do {                                                                                                      \
    if (!(condition)) {                                                                                     \
      fprintf(stderr, "%s:%d: not so: %s (%s)\n", __FILE__, __LINE__, #condition, tuttiGetLastError(NULL)); \
      ++failures;                                                                                           \
    }                                                                                                       \
  } while (0)

enum { kRanks = 3, kCount = 1000 };

static void fill(float* data, int rank) {
  for (int i = 0; i < kCount; ++i) data[i] = (float)(rank * 10 + i);
}

static int is_sum(const float* data) {
  for (int i = 0; i < kCount; ++i) {
    if (data[i] != (float)(10 * kRanks * (kRanks - 1) / 2 + kRanks * i)) return 0;
  }
  return 1;
}

struct Rank {
  tuttiUniqueId id;
  int rank;
  int ok;
};

static void* run_rank(void* argument) {
  struct Rank* self = argument;
  tuttiComm_t comm = NULL;
  tuttiConfig_t config = TUTTI_CONFIG_INITIALIZER;
  float in[kCount], out[kCount];
  int count = 0, rank = -1;
  tuttiResult_t async = tuttiInternalError;
  config.timeout = 60;
  config.algorithm = "ring";
  fill(in, self->rank);
  self->ok = tuttiCommInitRankConfig(&comm, kRanks, self->id, self->rank, &config) == tuttiSuccess &&
             tuttiCommCount(comm, &count) == tuttiSuccess && count == kRanks && tuttiCommUserRank(comm, &rank) == tuttiSuccess &&
             rank == self->rank && tuttiAllReduce(in, out, kCount, tuttiFloat, tuttiSum, comm, NULL) == tuttiSuccess && is_sum(out) &&
             tuttiAllReduce(in, in, kCount, tuttiFloat32, tuttiSum, comm, NULL) == tuttiSuccess && is_sum(in) &&
             tuttiCommGetAsyncError(comm, &async) == tuttiSuccess && async == tuttiSuccess && tuttiCommFinalize(comm) == tuttiSuccess &&
             tuttiCommDestroy(comm) == tuttiSuccess;
  return NULL;
}

static void ranks_as_threads(void) {
  pthread_t threads[kRanks];
  struct Rank ranks[kRanks];
  tuttiUniqueId id;
  EXPECT(sizeof id == TUTTI_UNIQUE_ID_BYTES);
  EXPECT(tuttiGetUniqueId(&id) == tuttiSuccess);
  for (int r = 0; r < kRanks; ++r) {
    ranks[r].id = id;
    ranks[r].rank = r;
    ranks[r].ok = 0;
    EXPECT(pthread_create(&threads[r], NULL, run_rank, &ranks[r]) == 0);
  }
  for (int r = 0; r < kRanks; ++r) {
    EXPECT(pthread_join(threads[r], NULL) == 0);
    EXPECT(ranks[r].ok);
  }
}

static void ranks_in_a_group(void) {
  static float data[kRanks][kCount];
  tuttiComm_t comms[kRanks];
  EXPECT(tuttiCommInitAll(comms, kRanks, NULL) == tuttiSuccess);
  EXPECT(tuttiGroupStart() == tuttiSuccess);
  for (int r = 0; r < kRanks; ++r) {
    fill(data[r], r);
    EXPECT(tuttiAllReduce(data[r], data[r], kCount, tuttiFloat32, tuttiSum, comms[r], NULL) == tuttiSuccess);
  }
  EXPECT(tuttiGroupEnd() == tuttiSuccess);
  for (int r = 0; r < kRanks; ++r) EXPECT(is_sum(data[r]));
  EXPECT(tuttiCommAbort(comms[0]) == tuttiSuccess);
  for (int r = 1; r < kRanks; ++r) EXPECT(tuttiCommDestroy(comms[r]) == tuttiSuccess);
}

static void explanation(void) {
  tuttiComm_t comm = NULL;
  char text[1000];
  size_t length = 0;
  EXPECT(tuttiCommInitFromEnv(&comm, NULL) == tuttiSuccess);
  EXPECT(tuttiCommExplain(comm, tuttiCollectiveAllReduce, kCount, tuttiFloat32, tuttiSum, 0, text, sizeof text, &length) == tuttiSuccess);
  EXPECT(length == strlen(text));
  EXPECT(strstr(text, "\"collective\":\"all_reduce\"") != NULL);
  EXPECT(tuttiCommDestroy(comm) == tuttiSuccess);
}

static void errors(void) {
  float value = 1;
  EXPECT(tuttiAllReduce(&value, &value, 1, tuttiFloat32, tuttiSum, NULL, NULL) == tuttiInvalidArgument);
  EXPECT(strstr(tuttiGetLastError(NULL), "comm is NULL") != NULL);
  EXPECT(strcmp(tuttiGetErrorString(tuttiInvalidArgument), "invalid argument") == 0);
  EXPECT(tuttiGroupEnd() == tuttiInvalidUsage);
  EXPECT(tuttiCommDestroy(NULL) == tuttiSuccess);
}

int main(void) {
  int version = 0;
  EXPECT(tuttiGetVersion(&version) == tuttiSuccess);
  EXPECT(version == TUTTI_VERSION_CODE);
  ranks_as_threads();
  ranks_in_a_group();
  explanation();
  errors();
  return failures == 0 ? 0 : 1;
}
