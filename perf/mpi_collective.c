/* Times one MPI collective (float32, sum, out of place but for the broadcast) by tutti-perf's method, for perf/compare: iterations back to
 * back in batches of at least 200 us after a barrier, a batch counts with its slowest rank's mean, the result is the median and percentiles
 * over batches. Buffers are ordinary private pages, touched beforehand; a root rotates from iteration to iteration; afterwards one more
 * iteration is verified. See timing.h for the method; the constants are the same.
 *
 * Usage: mpi_collective COLLECTIVE BYTES WARMUPS ITERATIONS, BYTES as tutti-perf counts them. Rank 0 prints one JSON line
 * {"bytes","ranks","time_us","p10_us","p90_us","wrong"}. Invariant: every rank decides from numbers that MPI_Allreduce(MAX) made
 * equal. Threads: none. */
#define _DEFAULT_SOURCE
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const double kBatchUs = 200, kCheapBatchUs = 5000, kMargin = 1.25, kMostGrowth = 16;
enum { kBatches = 20, kMaxTooShort = 30, kGuardBytes = 4096 };
#define WORLD MPI_COMM_WORLD

/* One size of one collective on one rank. `count` is the argument of the call; both buffers hold `elems` elements. */
struct Job {
  const struct Collective* collective;
  float* in;
  float* out;
  int count;
  long elems;
  int rank;
  int ranks;
};

/* Element i of rank r's input. Sums of them over 1000 ranks are exact. */
static float input(int r, long i) {
  return (float)(r + i % 1000);
}
static float sum(int ranks, long i) {
  return (float)(ranks * (ranks - 1L) / 2 + ranks * (i % 1000));
}

/* The calls. */
static void all_reduce(const struct Job* j, int root) {
  (void)root, MPI_Allreduce(j->in, j->out, j->count, MPI_FLOAT, MPI_SUM, WORLD);
}
static void all_gather(const struct Job* j, int root) {
  (void)root, MPI_Allgather(j->in, j->count, MPI_FLOAT, j->out, j->count, MPI_FLOAT, WORLD);
}
static void reduce_scatter(const struct Job* j, int root) {
  (void)root, MPI_Reduce_scatter_block(j->in, j->out, j->count, MPI_FLOAT, MPI_SUM, WORLD);
}
/* MPI broadcasts in place only: the root's buffer is its input, the others' their output. */
static void broadcast(const struct Job* j, int root) {
  MPI_Bcast(j->rank == root ? j->in : j->out, j->count, MPI_FLOAT, root, WORLD);
}
static void reduce(const struct Job* j, int root) {
  MPI_Reduce(j->in, j->out, j->count, MPI_FLOAT, MPI_SUM, root, WORLD);
}
static void gather(const struct Job* j, int root) {
  MPI_Gather(j->in, j->count, MPI_FLOAT, j->out, j->count, MPI_FLOAT, root, WORLD);
}
static void scatter(const struct Job* j, int root) {
  MPI_Scatter(j->in, j->count, MPI_FLOAT, j->out, j->count, MPI_FLOAT, root, WORLD);
}
static void alltoall(const struct Job* j, int root) {
  (void)root, MPI_Alltoall(j->in, j->count, MPI_FLOAT, j->out, j->count, MPI_FLOAT, WORLD);
}
static void sendrecv(const struct Job* j, int root) {
  const int next = (j->rank + 1) % j->ranks, before = (j->rank + j->ranks - 1) % j->ranks;
  (void)root;
  MPI_Sendrecv(j->in, j->count, MPI_FLOAT, next, 0, j->out, j->count, MPI_FLOAT, before, 0, WORLD, MPI_STATUS_IGNORE);
}
static void barrier(const struct Job* j, int root) {
  (void)j, (void)root, MPI_Barrier(WORLD);
}

/* What element i of the output is after a call; -1 where the rank has no output there. */
static float has_sum(const struct Job* j, int root, long i) {
  return (void)root, i < j->count ? sum(j->ranks, i) : -1;
}
static float has_all(const struct Job* j, int root, long i) {
  return (void)root, input((int)(i / j->count), i % j->count);
}
static float has_sum_of_block(const struct Job* j, int root, long i) {
  return (void)root, i < j->count ? sum(j->ranks, i + (long)j->rank * j->count) : -1;
}
static float has_roots(const struct Job* j, int root, long i) {
  return j->rank != root && i < j->count ? input(root, i) : -1;
}
static float has_sum_at_root(const struct Job* j, int root, long i) {
  return j->rank == root ? has_sum(j, root, i) : -1;
}
static float has_all_at_root(const struct Job* j, int root, long i) {
  return j->rank == root ? has_all(j, root, i) : -1;
}
static float has_roots_block(const struct Job* j, int root, long i) {
  return i < j->count ? input(root, i + (long)j->rank * j->count) : -1;
}
static float has_block_of_all(const struct Job* j, int root, long i) {
  return (void)root, input((int)(i / j->count), i % j->count + (long)j->rank * j->count);
}
static float has_neighbours(const struct Job* j, int root, long i) {
  return (void)root, input((j->rank + j->ranks - 1) % j->ranks, i);
}

static const struct Collective {
  const char* name;
  int blocks; /* bytes count a block of each rank */
  void (*call)(const struct Job* job, int root);
  float (*expected)(const struct Job* job, int root, long i);
} kCollectives[] = {
    {"all_reduce", 0, all_reduce, has_sum},
    {"all_gather", 1, all_gather, has_all},
    {"reduce_scatter", 1, reduce_scatter, has_sum_of_block},
    {"broadcast", 0, broadcast, has_roots},
    {"reduce", 0, reduce, has_sum_at_root},
    {"gather", 1, gather, has_all_at_root},
    {"scatter", 1, scatter, has_roots_block},
    {"alltoall", 1, alltoall, has_block_of_all},
    {"sendrecv", 0, sendrecv, has_neighbours},
    {"barrier", 0, barrier, NULL},
};

static float* make_buffer(size_t bytes) {
  const size_t mapped = bytes + 2 * kGuardBytes;
  char* base = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) MPI_Abort(WORLD, 1);
  memset(base, 1, mapped);
  return (float*)(base + kGuardBytes);
}

/* Iterations first, first + 1, ... */
static double run_batch(const struct Job* job, long first, long iterations) {
  MPI_Barrier(WORLD);
  int root = (int)(first % job->ranks);
  const double start = MPI_Wtime();
  for (long i = 0; i < iterations; ++i) {
    job->collective->call(job, root);
    if (++root == job->ranks) root = 0;
  }
  const double mine = (MPI_Wtime() - start) * 1e6;
  double slowest = 0;
  MPI_Allreduce(&mine, &slowest, 1, MPI_DOUBLE, MPI_MAX, WORLD);
  return slowest;
}

static long longer_batch(long iterations, double elapsed_us) {
  double growth = elapsed_us > 0 ? kMargin * kBatchUs / elapsed_us : kMostGrowth;
  if (growth > kMostGrowth) growth = kMostGrowth;
  if (growth < 1) growth = 1;
  const long longer = (long)((double)iterations * growth) + 1;
  return longer > iterations ? longer : iterations + 1;
}

static int ascending(const void* a, const void* b) {
  const double x = *(const double*)a, y = *(const double*)b;
  return (x > y) - (x < y);
}

static double percentile(const double* sorted, long n, double fraction) {
  const double at = fraction * (double)(n - 1);
  const long below = (long)at, above = below + 1 < n ? below + 1 : n - 1;
  return sorted[below] + (at - (double)below) * (sorted[above] - sorted[below]);
}

/* The batches' means, sorted; *n becomes how many. The caller frees them. */
static double* measure(const struct Job* job, long warmups, long iterations, long* n) {
  for (long i = 0; i < warmups; ++i) job->collective->call(job, (int)(i % job->ranks));
  double* means = NULL;
  long next = warmups, batch = 1, wanted = 1, done = 0;
  int too_short = 0;
  while (done < wanted) {
    const double elapsed_us = run_batch(job, next, batch);
    next += batch;
    if (elapsed_us < kBatchUs && too_short < kMaxTooShort) {
      batch = longer_batch(batch, elapsed_us);
      ++too_short;
      continue;
    }
    if (done == 0) {
      wanted = (iterations + batch - 1) / batch;
      if (elapsed_us <= kCheapBatchUs && wanted < kBatches) wanted = kBatches;
      means = malloc((size_t)wanted * sizeof(double));
      if (means == NULL) MPI_Abort(WORLD, 1);
    }
    means[done++] = elapsed_us / (double)batch;
  }
  qsort(means, (size_t)done, sizeof(double), ascending);
  *n = done;
  return means;
}

/* One more iteration into a wiped output: the elements that are wrong on all ranks, known to rank 0. */
static long count_wrong(const struct Job* job) {
  const int root = job->ranks - 1;
  long mine = 0, wrong = 0;
  for (long i = 0; i < job->elems; ++i) job->out[i] = -1;
  job->collective->call(job, root);
  for (long i = 0; i < job->elems && job->collective->expected != NULL; ++i) mine += job->out[i] != job->collective->expected(job, root, i);
  MPI_Reduce(&mine, &wrong, 1, MPI_LONG, MPI_SUM, 0, WORLD);
  return wrong;
}

static const struct Collective* lookup(const char* name) {
  for (size_t i = 0; i < sizeof(kCollectives) / sizeof(kCollectives[0]); ++i) {
    if (strcmp(name, kCollectives[i].name) == 0) return &kCollectives[i];
  }
  return NULL;
}

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  struct Job job = {.collective = argc == 5 ? lookup(argv[1]) : NULL};
  MPI_Comm_rank(WORLD, &job.rank);
  MPI_Comm_size(WORLD, &job.ranks);
  if (job.collective == NULL || atol(argv[4]) < 1) {
    if (job.rank == 0) fprintf(stderr, "usage: mpi_collective COLLECTIVE BYTES WARMUPS ITERATIONS\n");
    MPI_Finalize();
    return 2;
  }
  const int blocks = job.collective->blocks ? job.ranks : 1;
  job.count = (int)(atol(argv[2]) / (long)sizeof(float) / blocks);
  job.elems = (long)job.count * blocks;
  job.in = make_buffer((size_t)job.elems * sizeof(float));
  job.out = make_buffer((size_t)job.elems * sizeof(float));
  for (long i = 0; i < job.elems; ++i) job.in[i] = input(job.rank, i);
  long n = 0;
  double* means = measure(&job, atol(argv[3]), atol(argv[4]), &n);
  const long wrong = count_wrong(&job);
  if (job.rank == 0) {
    printf("{\"bytes\":%ld,\"ranks\":%d,\"time_us\":%.4f,\"p10_us\":%.4f,\"p90_us\":%.4f,\"wrong\":%ld}\n", job.elems * (long)sizeof(float),
           job.ranks, percentile(means, n, 0.5), percentile(means, n, 0.1), percentile(means, n, 0.9), wrong);
  }
  free(means);
  MPI_Finalize();
  return 0;
}
