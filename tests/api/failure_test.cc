// Ranks that leave, never come, or are aborted, as threads of one process (processes_test.cc has those that die): every wait ends, and the
// error says who. Nothing here depends on how long anything takes: who has to be inside a call is seen by trying to enter it too.
#include <atomic>

#include "tests/support/api_ranks.h"

namespace tutti {
namespace {

using namespace test;

TEST(Leaving, ARankThatDestroysInsteadOfCallingIsNamed) {
  for (const size_t count : {1, 100000}) {
    ApiRanks ranks(2);
    ranks.each([&](int rank, tuttiComm_t& comm) {
      if (rank == 1) {
        EXPECT_EQ(tuttiCommDestroy(comm), tuttiSuccess);
        comm = nullptr;
        return;
      }
      std::vector<float> data(count);
      EXPECT_EQ(all_reduce(data.data(), data.data(), count, comm), tuttiRemoteError);
      EXPECT_TRUE(contains(tuttiGetLastError(comm), "rank 1 ("));
      EXPECT_TRUE(contains(tuttiGetLastError(comm), "left the communicator"));
      tuttiResult_t async = tuttiSuccess;
      EXPECT_EQ(tuttiCommGetAsyncError(comm, &async), tuttiSuccess);
      EXPECT_EQ(async, tuttiRemoteError);
    });
  }
}

TEST(Leaving, ARankThatFinalizesInsteadOfCallingIsNamed) {
  ApiRanks ranks(3);
  ranks.each([](int rank, tuttiComm_t comm) {
    float value = 1;
    for (int i = 0; i < 3; ++i) EXPECT_EQ(all_reduce(&value, &value, 1, comm), tuttiSuccess);
    if (rank == 2) {
      EXPECT_EQ(tuttiCommFinalize(comm), tuttiSuccess);
      return;
    }
    EXPECT_EQ(all_reduce(&value, &value, 1, comm), tuttiRemoteError);
    EXPECT_TRUE(contains(tuttiGetLastError(comm), "all_reduce number 4"));
    const bool named = contains(tuttiGetLastError(comm), "rank 2 (") || contains(tuttiGetLastError(comm), "failed: ");
    EXPECT_TRUE(named) << tuttiGetLastError(comm);
  });
}

TEST(NeverComing, TheTimeoutNamesTheRankThatNeverCalled) {
  tuttiConfig_t config = unset_config();
  config.timeout = 0.5;
  for (const char* algorithm : {"one_shot", "ring"}) {
    config.algorithm = algorithm;
    ApiRanks ranks(3, &config);
    ranks.each([](int rank, tuttiComm_t comm) {
      if (rank == 1) return;
      std::vector<float> data(30);
      const tuttiResult_t result = all_reduce(data.data(), data.data(), 30, comm);
      const std::string message = tuttiGetLastError(comm);
      // A rank that waits for one that has just timed out hears of that instead.
      EXPECT_TRUE(result == tuttiTimeout || result == tuttiRemoteError) << message;
      EXPECT_TRUE(contains(message, "all_reduce number 1 (30 x float32, sum) on rank " + std::to_string(rank)));
      tuttiResult_t async = tuttiSuccess;
      EXPECT_EQ(tuttiCommGetAsyncError(comm, &async), tuttiSuccess);
      EXPECT_EQ(async, result);
    });
    std::string told = tuttiGetLastError(ranks[0]);
    told += tuttiGetLastError(ranks[2]);
    // Whoever tells it may itself wait for the other, who waits for rank 1.
    EXPECT_TRUE(contains(told, "Who never came to this call: rank 1: has called no collective yet"));
    // The late comer is told that the others have given up: at once, or, where they had sent all that it needs, at its next call.
    std::vector<float> data(30);
    tuttiResult_t result = all_reduce(data.data(), data.data(), 30, ranks[1]);
    if (result == tuttiSuccess) result = all_reduce(data.data(), data.data(), 30, ranks[1]);
    EXPECT_EQ(result, tuttiRemoteError);
    EXPECT_TRUE(contains(tuttiGetLastError(ranks[1]), "failed: "));
  }
}

// Rank 0 receives from rank 1, who is in a gather, which rank 2 never comes to.
TEST(NeverComing, BehindTheRankThatIsWaitedForIsNamedToo) {
  tuttiConfig_t config = unset_config();
  config.timeout = 0.8;
  ApiRanks ranks(3, &config);
  ranks.each([](int rank, tuttiComm_t comm) {
    std::vector<float> data(30), all(90);
    if (rank == 2) return;
    if (rank == 1) usleep(500'000);  // so that rank 0's time is over first
    const tuttiResult_t gathered = tuttiGather(data.data(), all.data(), 30, tuttiFloat32, 1, comm, nullptr);
    if (rank == 1) {
      EXPECT_EQ(gathered, tuttiRemoteError) << tuttiGetLastError(comm);
      return;
    }
    EXPECT_EQ(gathered, tuttiSuccess) << tuttiGetLastError(comm);
    EXPECT_EQ(tuttiRecv(data.data(), 30, tuttiFloat32, 1, comm, nullptr), tuttiTimeout);
    const std::string message = tuttiGetLastError(comm);
    EXPECT_TRUE(contains(message,
                         "Who never came to this call: rank 1: is in gather number 1 (30 x float32, root 1). Who is in no call: "
                         "rank 2: has called no collective yet"))
        << message;
  });
}

TEST(NeverComing, OneThreadsGroupTimesOutToo) {
  tuttiConfig_t config = unset_config();
  config.timeout = 0.5;
  ApiRanks ranks(3, &config);
  float values[2] = {};
  ASSERT_EQ(tuttiGroupStart(), tuttiSuccess);
  for (const int rank : {0, 1}) ASSERT_EQ(all_reduce(&values[rank], &values[rank], 1, ranks[rank]), tuttiSuccess);
  EXPECT_EQ(tuttiGroupEnd(), tuttiTimeout);
  EXPECT_TRUE(contains(tuttiGetLastError(nullptr), "rank 2 ("));
}

// Calls until it is inside: while the other thread looks, a call may be refused for a moment.
tuttiResult_t call_however_long_it_takes(tuttiComm_t comm, float* value) {
  for (;;) {
    const tuttiResult_t result = all_reduce(value, value, 1, comm);
    if (result != tuttiInvalidUsage) return result;
    std::this_thread::yield();
  }
}

// Returns once another thread is inside a call of `comm`: a call of no elements waits for nobody, so it is refused exactly then.
void wait_until_somebody_is_inside(tuttiComm_t comm) {
  while (all_reduce(nullptr, nullptr, 0, comm) == tuttiSuccess) std::this_thread::yield();
}

TEST(TwoThreads, TheSecondIsRefusedAndTheFirstUnharmed) {
  ApiRanks ranks(2);
  float values[2] = {1, 1};
  tuttiResult_t results[2];
  std::string messages[2];
  std::vector<std::thread> threads;
  std::atomic<int> returned{0};
  for (const int i : {0, 1}) {
    threads.emplace_back([&, i] {
      results[i] = all_reduce(&values[i], &values[i], 1, ranks[0]);
      messages[i] = tuttiGetLastError(nullptr);
      ++returned;
    });
  }
  // One of the two is inside and waits for rank 1, which does not call before the other has been refused.
  while (returned == 0) std::this_thread::yield();
  float peer = 2;
  EXPECT_EQ(all_reduce(&peer, &peer, 1, ranks[1]), tuttiSuccess);
  for (std::thread& thread : threads) thread.join();
  const int refused = results[0] == tuttiSuccess ? 1 : 0;
  EXPECT_EQ(results[refused], tuttiInvalidUsage);
  EXPECT_TRUE(contains(messages[refused], "tuttiAllReduce: two threads use this communicator at once"));
  EXPECT_EQ(values[refused], 1) << "the refused call touched its buffer";
  EXPECT_EQ(results[1 - refused], tuttiSuccess);
  EXPECT_EQ(values[1 - refused], 3);
  EXPECT_EQ(peer, 3);
  tuttiResult_t async = tuttiInternalError;
  EXPECT_EQ(tuttiCommGetAsyncError(ranks[0], &async), tuttiSuccess);
  EXPECT_EQ(async, tuttiSuccess);
}

TEST(TwoThreads, FinalizeDuringACallIsRefused) {
  ApiRanks ranks(2);
  float value = 1;
  std::thread inside([&] { EXPECT_EQ(call_however_long_it_takes(ranks[0], &value), tuttiRemoteError); });
  wait_until_somebody_is_inside(ranks[0]);
  EXPECT_EQ(tuttiCommFinalize(ranks[0]), tuttiInvalidUsage);
  EXPECT_TRUE(contains(tuttiGetLastError(nullptr), "a call is still running"));
  EXPECT_EQ(tuttiCommFinalize(ranks[1]), tuttiSuccess);  // releases it
  inside.join();
}

TEST(Abort, ReleasesABlockedCallAndTellsThePeers) {
  for (int repetition = 0; repetition < 100; ++repetition) {
    ApiRanks ranks(3);
    float value = 1;
    std::string message;
    std::thread blocked([&] {
      EXPECT_EQ(call_however_long_it_takes(ranks[0], &value), tuttiAborted);
      message = tuttiGetLastError(nullptr);
    });
    wait_until_somebody_is_inside(ranks[0]);
    EXPECT_EQ(tuttiCommAbort(ranks[0]), tuttiSuccess);  // frees the handle: the blocked thread may not touch it any more
    blocked.join();
    ranks[0] = nullptr;
    EXPECT_TRUE(contains(message, "the communicator was aborted"));
    std::vector<std::thread> peers;
    for (const int rank : {1, 2}) {
      peers.emplace_back([&, rank] {
        float mine = 1;
        tuttiResult_t result = all_reduce(&mine, &mine, 1, ranks[rank]);
        // The blocked call had sent its part, which may be all that this one needs; then the next one fails.
        if (result == tuttiSuccess) result = all_reduce(&mine, &mine, 1, ranks[rank]);
        // A mismatch where a look of ours went through before the blocked call: it counted as rank 0's first.
        EXPECT_TRUE(result == tuttiRemoteError || result == tuttiInvalidUsage) << tuttiGetLastError(ranks[rank]);
        EXPECT_TRUE(contains(tuttiGetLastError(ranks[rank]), "rank "));
      });
    }
    for (std::thread& peer : peers) peer.join();
  }
}

TEST(Abort, ReleasesABlockedGroup) {
  for (int repetition = 0; repetition < 20; ++repetition) {
    ApiRanks ranks(2);
    float value = 1;
    std::thread blocked([&] {
      tuttiResult_t result = tuttiInvalidUsage;
      while (result == tuttiInvalidUsage) {
        ASSERT_EQ(tuttiGroupStart(), tuttiSuccess);
        ASSERT_EQ(all_reduce(&value, &value, 1, ranks[0]), tuttiSuccess);
        result = tuttiGroupEnd();
      }
      EXPECT_EQ(result, tuttiAborted);
    });
    wait_until_somebody_is_inside(ranks[0]);
    EXPECT_EQ(tuttiCommAbort(ranks[0]), tuttiSuccess);
    blocked.join();
    ranks[0] = nullptr;
  }
}

TEST(Abort, PeersThatWaitAlreadyAreReleased) {
  ApiRanks ranks(2);
  float value = 1;
  std::thread waiting([&] { EXPECT_EQ(call_however_long_it_takes(ranks[1], &value), tuttiRemoteError); });
  wait_until_somebody_is_inside(ranks[1]);
  EXPECT_EQ(tuttiCommAbort(ranks[0]), tuttiSuccess);
  ranks[0] = nullptr;
  waiting.join();
  EXPECT_TRUE(contains(tuttiGetLastError(ranks[1]), "rank 0 ("));
}

TEST(Abort, PeersThatCallLaterAreTold) {
  ApiRanks ranks(3);
  EXPECT_EQ(tuttiCommAbort(ranks[0]), tuttiSuccess);
  ranks[0] = nullptr;
  std::vector<std::thread> peers;
  for (const int rank : {1, 2}) {
    peers.emplace_back([&, rank] {
      float mine = 1;
      EXPECT_EQ(all_reduce(&mine, &mine, 1, ranks[rank]), tuttiRemoteError);
      EXPECT_TRUE(contains(tuttiGetLastError(ranks[rank]), "was aborted by its program"));
    });
  }
  for (std::thread& peer : peers) peer.join();
}

TEST(Abort, OfAnIdleCommunicatorIsADestroy) {
  ApiRanks ranks(2);
  for (const int rank : {0, 1}) {
    EXPECT_EQ(tuttiCommAbort(ranks[rank]), tuttiSuccess);
    ranks[rank] = nullptr;
  }
}

// A failed communicator is no obstacle to a new one.
TEST(Abort, ANewCommunicatorWorksAfterAFailedOne) {
  ApiRanks broken(2);
  EXPECT_EQ(tuttiCommAbort(broken[0]), tuttiSuccess);
  broken[0] = nullptr;
  float value = 1;
  EXPECT_EQ(all_reduce(&value, &value, 1, broken[1]), tuttiRemoteError);
  ApiRanks fresh(2);
  fresh.each([](int rank, tuttiComm_t comm) {
    GuardedFloats data(1000);
    data.fill(rank);
    EXPECT_EQ(all_reduce(data.data(), data.data(), 1000, comm), tuttiSuccess);
    EXPECT_TRUE(data.holds_sum(2));
  });
}

}  // namespace
}  // namespace tutti
