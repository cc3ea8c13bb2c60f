// A group for which memory ends midway: nobody waits for what was never started. Each allocation of GroupEnd fails in turn.
#include "tests/api/count_allocations.h"
#include "tests/support/api_fork.h"
#include "tests/support/api_ranks.h"

namespace tutti {
namespace {

using namespace test;

// One rank's group over `streams`, and a blocking call in it where `blocks`. The allocation that fails: 0: none.
tuttiResult_t run_group(tuttiComm_t comm, std::vector<tuttiStream_t> streams, bool blocks, size_t failing, size_t& allocated) {
  static float in = 1;
  float out[4] = {};
  if (blocks) streams.push_back(nullptr);
  EXPECT_EQ(tuttiGroupStart(), tuttiSuccess);
  for (size_t i = 0; i < streams.size(); ++i) {
    EXPECT_EQ(tuttiAllReduce(&in, &out[i], 1, tuttiFloat32, tuttiSum, comm, streams[i]), tuttiSuccess);
  }
  const size_t before = allocations_of_this_thread();
  fail_allocation_of_this_thread(failing);
  const tuttiResult_t result = tuttiGroupEnd();
  fail_allocation_of_this_thread(0);
  allocated = allocations_of_this_thread() - before;
  for (tuttiStream_t stream : streams) {
    if (stream != nullptr) static_cast<void>(tuttiStreamSynchronize(stream));  // must come back
  }
  return result;
}

void expect_no_hang(size_t nstreams, bool blocks) {
  in_child([&] {
    std::vector<tuttiStream_t> streams(nstreams);
    for (tuttiStream_t& stream : streams) ASSERT_EQ(tuttiStreamCreate(&stream), tuttiSuccess);
    size_t most = 1, failures = 0;
    for (size_t failing = 0; failing <= most; ++failing) {
      ApiRanks ranks(1);
      size_t allocated = 0;
      const tuttiResult_t result = run_group(ranks[0], streams, blocks, failing, allocated);
      if (failing == 0) most = allocated + 4;
      EXPECT_TRUE(result == tuttiSuccess || (failing != 0 && result == tuttiSystemError)) << failing << ": " << tuttiGetLastError(nullptr);
      if (result != tuttiSuccess) ++failures;
      // Whatever happened, the next call comes back, and so does destroy, with the ranks.
      const tuttiResult_t next = run_group(ranks[0], streams, blocks, 0, allocated);
      EXPECT_TRUE(next == tuttiSuccess || next == tuttiSystemError) << failing << ": " << tuttiGetLastError(ranks[0]);
    }
    EXPECT_GT(failures, 0u) << "no allocation failed: the test shows nothing";
    for (tuttiStream_t stream : streams) EXPECT_EQ(tuttiStreamDestroy(stream), tuttiSuccess);
  });
}

TEST(OutOfMemory, AGroupOnStreamsLeavesNobodyWaiting) {
  if (!kCanCountAllocations) GTEST_SKIP() << "a sanitizer has its own malloc";
  for (const size_t streams : {1, 2, 3}) {
    SCOPED_TRACE(streams);
    expect_no_hang(streams, false);
    expect_no_hang(streams, true);
  }
}

}  // namespace
}  // namespace tutti
