// A rank of a job (tutti-run -n 3): rank 0 broadcasts, takes part in an empty reduction, destroys its communicator and ends before the
// others have even begun. What it sent has arrived all the same, and what needs nothing of it succeeds. Exit status: 0 all right, 1 not.
#include <chrono>
#include <cstdio>
#include <thread>

#include "tutti/tutti.h"

namespace {

bool right(tuttiResult_t result, const char* what, int rank) {
  if (result == tuttiSuccess) return true;
  std::fprintf(stderr, "rank %d: %s: %s: %s\n", rank, what, tuttiGetErrorString(result), tuttiGetLastError(nullptr));
  return false;
}

}  // namespace

int main() {
  tuttiComm_t comm = nullptr;
  int rank = -1;
  if (!right(tuttiCommInitFromEnv(&comm, nullptr), "init", rank) || !right(tuttiCommUserRank(comm, &rank), "rank", rank)) return 1;
  if (rank != 0) std::this_thread::sleep_for(std::chrono::milliseconds(300));
  int value = rank == 0 ? 4711 : 0;
  if (!right(tuttiBcast(&value, 1, tuttiInt32, 0, comm, nullptr), "broadcast", rank)) return 1;
  if (!right(tuttiAllReduce(nullptr, nullptr, 0, tuttiInt32, tuttiSum, comm, nullptr), "empty reduction", rank)) return 1;
  if (value != 4711) std::fprintf(stderr, "rank %d: got %d\n", rank, value);
  return right(tuttiCommDestroy(comm), "destroy", rank) && value == 4711 ? 0 : 1;
}
