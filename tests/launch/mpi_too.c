/* A rank that uses MPI and Tutti in the order of its argument; see check-mpi-too. */
#include <mpi.h>
#include <stdio.h>
#include <tutti/tutti.h>

static int ranks; /* as both must see them */

static int agree(int n) {
  if (ranks == 0) ranks = n;
  return ranks == n && n > 1;
}

static int use_tutti(void) {
  tuttiComm_t comm = NULL;
  int n = 0;
  const float one = 1;
  float sum = 0;
  if (tuttiCommInitFromEnv(&comm, NULL) != tuttiSuccess) return fprintf(stderr, "%s\n", tuttiGetLastError(NULL)), 0;
  if (tuttiCommCount(comm, &n) != tuttiSuccess) return 0;
  if (tuttiAllReduce(&one, &sum, 1, tuttiFloat32, tuttiSum, comm, NULL) != tuttiSuccess) return 0;
  return tuttiCommDestroy(comm) == tuttiSuccess && agree(n) && sum == (float)n;
}

static int use_mpi(void) {
  int n = 0, sum = 0;
  const int one = 1;
  MPI_Comm_size(MPI_COMM_WORLD, &n);
  MPI_Allreduce(&one, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  return agree(n) && sum == n;
}

int main(int argc, char** argv) {
  const char* step;
  int right = argc == 2;
  for (step = right ? argv[1] : ""; *step != '\0'; ++step) {
    if (*step == 'i') MPI_Init(&argc, &argv);
    if (*step == 'm') right = use_mpi() && right;
    if (*step == 'f') MPI_Finalize();
    if (*step == 't') right = use_tutti() && right;
  }
  puts(right ? "right" : "wrong");
  return right ? 0 : 1;
}
