// The installed package from C++11 (the header asks for no more): every rank is a thread.
#include <tutti/plugin.h>
#include <tutti/tutti.h>

#include <cstdio>
#include <thread>
#include <vector>

namespace {

constexpr int kRanks = 3;
constexpr size_t kCount = 5000;

bool run_rank(tuttiComm_t comm, int rank) {
  std::vector<float> data(kCount, static_cast<float>(rank + 1));
  if (tuttiAllReduce(data.data(), data.data(), kCount, tuttiFloat, tuttiSum, comm, nullptr) != tuttiSuccess) {
    std::fprintf(stderr, "rank %d: %s\n", rank, tuttiGetLastError(comm));
    return false;
  }
  for (float value : data) {
    if (value != 6.0f) return false;
  }
  return tuttiCommDestroy(comm) == tuttiSuccess;
}

}  // namespace

int main() {
  std::vector<tuttiComm_t> comms(kRanks);
  if (tuttiCommInitAll(comms.data(), kRanks, nullptr) != tuttiSuccess) {
    std::fprintf(stderr, "init: %s\n", tuttiGetLastError(nullptr));
    return 1;
  }
  std::vector<char> right(kRanks, 0);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < kRanks; ++rank) threads.emplace_back([&, rank] { right[rank] = run_rank(comms[rank], rank); });
  for (std::thread& thread : threads) thread.join();
  for (int rank = 0; rank < kRanks; ++rank) {
    if (right[rank]) continue;
    std::fprintf(stderr, "rank %d: wrong\n", rank);
    return 1;
  }
  std::puts("C++: right");
  return 0;
}
