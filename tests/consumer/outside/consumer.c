/* The installed package from C99: one thread drives two ranks in a group. PACKAGE_VERSION is what the package said. */
#include <stdio.h>
#include <string.h>
#include <tutti/plugin.h>
#include <tutti/tutti.h>

#define RANKS 2
#define COUNT 1000

static int check(tuttiResult_t result, const char* what) {
  if (result == tuttiSuccess) return 1;
  fprintf(stderr, "%s: %s: %s\n", what, tuttiGetErrorString(result), tuttiGetLastError(NULL));
  return 0;
}
#define CHECK(call)                    \
  do {                                 \
    if (!check(call, #call)) return 1; \
  } while (0)

static int check_version(void) {
  int running = 0;
  char text[64];
  CHECK(tuttiGetVersion(&running));
  sprintf(text, "%d.%d.%d", running / 10000, running / 100 % 100, running % 100);
  if (running == TUTTI_VERSION_CODE && strcmp(text, PACKAGE_VERSION) == 0) return 0;
  fprintf(stderr, "library %s, header %d, package %s\n", text, TUTTI_VERSION_CODE, PACKAGE_VERSION);
  return 1;
}

int main(void) {
  static float in[RANKS][COUNT], out[RANKS][COUNT];
  tuttiComm_t comms[RANKS];
  int rank, i;
  if (check_version() != 0) return 1;
  CHECK(tuttiCommInitAll(comms, RANKS, NULL));
  for (rank = 0; rank < RANKS; ++rank) {
    for (i = 0; i < COUNT; ++i) in[rank][i] = (float)(rank * 7 + i);
  }
  CHECK(tuttiGroupStart());
  for (rank = 0; rank < RANKS; ++rank) CHECK(tuttiAllReduce(in[rank], out[rank], COUNT, tuttiFloat, tuttiSum, comms[rank], NULL));
  CHECK(tuttiGroupEnd());
  for (rank = 0; rank < RANKS; ++rank) {
    for (i = 0; i < COUNT; ++i) {
      if (out[rank][i] == (float)(7 + 2 * i)) continue;
      fprintf(stderr, "rank %d, element %d: %g\n", rank, i, (double)out[rank][i]);
      return 1;
    }
    CHECK(tuttiCommDestroy(comms[rank]));
  }
  puts("C: right");
  return 0;
}
