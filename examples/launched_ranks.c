/* One rank of a job that a launcher started: `tutti-run -n 4 -- example_launched_ranks`. Without a launcher it is a job of one. C99. */
#include <stdio.h>

#include "check.h"
#include "tutti/tutti.h"

int main(void) {
  tuttiComm_t comm = NULL;
  int rank = 0, ranks = 0;
  CHECK(tuttiCommInitFromEnv(&comm, NULL));
  CHECK(tuttiCommUserRank(comm, &rank));
  CHECK(tuttiCommCount(comm, &ranks));

  const float mine = (float)rank;
  float sum = -1;
  CHECK(tuttiAllReduce(&mine, &sum, 1, tuttiFloat32, tuttiSum, comm, NULL));
  CHECK(tuttiCommDestroy(comm));

  const float expected = (float)(ranks * (ranks - 1) / 2);
  if (rank == 0) printf("the ranks 0 .. %d add up to %g\n", ranks - 1, (double)sum);
  return sum == expected ? 0 : 1;
}
