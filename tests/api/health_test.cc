// Ranks as processes that end in every way while the others wait for third ranks: every one of them hears who it was. The parent never
// calls Tutti. No-tsan, as all that forks.
#include <csignal>
#include <cstdlib>
#include <ctime>

#include "tests/support/api_fork.h"
#include "tests/support/api_ranks.h"
#include "tests/support/job.h"
#include "tests/support/mismatched_calls.h"

namespace tutti {
namespace {

using namespace test;

void nap() {
  const timespec ms = {.tv_sec = 0, .tv_nsec = 1'000'000};
  nanosleep(&ms, nullptr);
}

struct Ending {
  const char* name;
  void (*end)(tuttiComm_t);
  const char* told;
};

constexpr Ending kEndings[] = {
    {"kill -9", [](tuttiComm_t) { kill(getpid(), SIGKILL); }, " died: see what its process said last"},
    {"exit without destroy", [](tuttiComm_t) { _exit(0); }, " died: see what its process said last"},
    {"abort", [](tuttiComm_t comm) { EXPECT_EQ(tuttiCommAbort(comm), tuttiSuccess); }, " was aborted by its program"},
};

// The victim first does a barrier with all. The others do what `wait` says until an error comes.
void expect_all_hear(int nranks, int victim, const Ending& ending, tuttiResult_t (*wait)(int rank, int peer, tuttiComm_t)) {
  SCOPED_TRACE(std::string(ending.name) + ", " + std::to_string(nranks) + " ranks, victim " + std::to_string(victim));
  Job job(nranks);
  Pipe through;
  std::vector<pid_t> children;
  for (int rank = 0; rank < nranks; ++rank) {
    children.push_back(fork_child([&, rank] {
      tuttiComm_t comm = job.init(rank);
      ASSERT_EQ(tuttiBarrier(comm, nullptr), tuttiSuccess) << tuttiGetLastError(comm);
      if (rank == victim) {
        for (int other = 1; other < nranks; ++other) through.get<char>();
        return ending.end(comm);
      }
      through.put('!');
      int peer = (rank + 1) % nranks;  // never the victim
      if (peer == victim) peer = (peer + 1) % nranks;
      if (peer == rank) peer = victim;
      EXPECT_EQ(wait(rank, peer, comm), tuttiRemoteError);
      const std::string named = "rank " + std::to_string(victim) + " (host ";
      EXPECT_TRUE(contains(tuttiGetLastError(comm), named));
      EXPECT_TRUE(contains(tuttiGetLastError(comm), ending.told));
      tuttiResult_t async = tuttiSuccess;
      EXPECT_EQ(tuttiCommGetAsyncError(comm, &async), tuttiSuccess);
      EXPECT_EQ(async, tuttiRemoteError);
      EXPECT_EQ(tuttiCommDestroy(comm), tuttiSuccess);
    }));
  }
  for (int rank = 0; rank < nranks; ++rank) {
    const int status = wait_for(children[static_cast<size_t>(rank)]);
    if (rank == victim) continue;
    EXPECT_TRUE(ended_well(status)) << "rank " << rank;
  }
}

// The peer never sends: it waits for somebody else itself.
tuttiResult_t receive_in_vain(int, int peer, tuttiComm_t comm) {
  float value = 0;
  return tuttiRecv(&value, 1, tuttiFloat32, peer, comm, nullptr);
}

tuttiResult_t watch_without_calling(int, int, tuttiComm_t comm) {
  tuttiResult_t result = tuttiSuccess;
  while (tuttiCommGetAsyncError(comm, &result) == tuttiSuccess && result == tuttiSuccess) nap();
  return result;
}

TEST(Health, ThirdRanksHearWhoItWas) {
  for (const Ending& ending : kEndings) {
    for (const int n : {5, 9}) {
      for (const int victim : {0, 1, n - 1}) expect_all_hear(n, victim, ending, receive_in_vain);
    }
  }
}

TEST(Health, AnAsyncErrorShowsWithoutAnyCall) {
  for (const Ending& ending : kEndings) expect_all_hear(7, 2, ending, watch_without_calling);
}

// With more than one level, the death of an inner rank cuts the tree: every part hears of it.
TEST(Health, TheDeathOfAnInnerRankIsHeardOnBothSides) {
  expect_all_hear(20, 1, kEndings[0], watch_without_calling);
  expect_all_hear(20, 0, kEndings[0], receive_in_vain);
}

TEST(Health, AStoppedRankIsNamedByAll) {
  constexpr int kRanks = 5, kVictim = 3;
  Job job(kRanks);
  std::vector<pid_t> children;
  for (int rank = 0; rank < kRanks; ++rank) {
    children.push_back(fork_child([&, rank] {
      tuttiConfig_t config = unset_config();
      config.timeout = 0.5;
      tuttiComm_t comm = job.init(rank, &config);
      float value = 1;
      ASSERT_EQ(all_reduce(&value, &value, 1, comm), tuttiSuccess) << tuttiGetLastError(comm);
      if (rank == kVictim) raise(SIGSTOP);
      const tuttiResult_t result = all_reduce(&value, &value, 1, comm);
      EXPECT_TRUE(result == tuttiTimeout || result == tuttiRemoteError) << result;
      EXPECT_TRUE(contains(tuttiGetLastError(comm), "rank 3: does not answer (its process is stopped"));
      EXPECT_TRUE(contains(tuttiGetLastError(comm), "rank 3 (host "));
      EXPECT_EQ(tuttiCommDestroy(comm), tuttiSuccess);
    }));
  }
  for (int rank = 0; rank < kRanks; ++rank) {
    if (rank == kVictim) continue;
    EXPECT_TRUE(ended_well(wait_for(children[static_cast<size_t>(rank)]))) << "rank " << rank;
  }
  kill(children[kVictim], SIGKILL);
  EXPECT_TRUE(WIFSIGNALED(wait_for(children[kVictim])));
}

// While a rank waits for a connection to one that is stopped: an abort in another thread ends that.
TEST(Health, AnAbortReleasesWhoConnectsToAStoppedRank) {
  for (const char* transport : {"shm", "tcp"}) {
    SCOPED_TRACE(transport);
    Job job(2);
    Pipe stopped;
    const pid_t one = fork_child([&] {
      setenv("TUTTI_TRANSPORTS", transport, 1);
      job.init(1);
      stopped.put('!');
      raise(SIGSTOP);
    });
    const pid_t zero = fork_child([&] {
      setenv("TUTTI_TRANSPORTS", transport, 1);
      tuttiComm_t comm = job.init(0);
      stopped.get<char>();
      tuttiStream_t stream = nullptr;
      ASSERT_EQ(tuttiStreamCreate(&stream), tuttiSuccess);
      float value = 1;
      ASSERT_EQ(tuttiAllReduce(&value, &value, 1, tuttiFloat32, tuttiSum, comm, stream), tuttiSuccess);
      for (int i = 0; i < 50; ++i) nap();  // as a rule it connects by now; if not yet, it is aborted all the same
      EXPECT_EQ(tuttiCommAbort(comm), tuttiSuccess) << tuttiGetLastError(nullptr);
      EXPECT_EQ(tuttiStreamSynchronize(stream), tuttiAborted);
      EXPECT_EQ(tuttiStreamDestroy(stream), tuttiSuccess);
    });
    EXPECT_TRUE(ended_well(wait_for(zero)));
    kill(one, SIGKILL);
    EXPECT_TRUE(WIFSIGNALED(wait_for(one)));
  }
}

// Leaving in good order is no failure: neither for those that go on, nor later.
TEST(Health, WhoLeavesEarlyHarmsNobody) {
  constexpr int kRanks = 12;
  Job job(kRanks);
  in_children(kRanks, [&](int rank) {
    tuttiComm_t comm = job.init(rank);
    ASSERT_EQ(tuttiBarrier(comm, nullptr), tuttiSuccess) << tuttiGetLastError(comm);
    if (rank >= 10) {  // two leaves of an inner rank that is gone by then
      for (int round = 0; round < 200; ++round) {
        float value = 0;
        const int peer = 21 - rank;
        const tuttiResult_t result = (rank + round) % 2 == 0 ? tuttiSend(&value, 1, tuttiFloat32, peer, comm, nullptr)
                                                             : tuttiRecv(&value, 1, tuttiFloat32, peer, comm, nullptr);
        ASSERT_EQ(result, tuttiSuccess) << tuttiGetLastError(comm);
        nap();
      }
      tuttiResult_t async = tuttiInternalError;
      EXPECT_EQ(tuttiCommGetAsyncError(comm, &async), tuttiSuccess);
      EXPECT_EQ(async, tuttiSuccess) << tuttiGetLastError(comm);
    }
    EXPECT_EQ(tuttiCommDestroy(comm), tuttiSuccess);
  });
}

// A process that makes the id and takes no part itself ends when it is told to.
pid_t start_keeper(Pipe& ids, Pipe& enough, int copies) {
  return fork_child([&, copies] {
    tuttiUniqueId id;
    EXPECT_EQ(tuttiGetUniqueId(&id), tuttiSuccess);
    for (int i = 0; i < copies; ++i) ids.put(id);
    enough.get<char>();
  });
}

TEST(Rendezvous, ItsProcessMayEndOnceAllHaveJoined) {
  constexpr int kRanks = 4;
  Pipe ids, enough, joined;
  const pid_t keeper = start_keeper(ids, enough, kRanks);
  std::vector<pid_t> ranks;
  for (int rank = 0; rank < kRanks; ++rank) {
    ranks.push_back(fork_child([&, rank] {
      tuttiComm_t comm = nullptr;
      ASSERT_EQ(tuttiCommInitRank(&comm, kRanks, ids.get<tuttiUniqueId>(), rank), tuttiSuccess) << tuttiGetLastError(nullptr);
      if (rank == 0) {
        enough.put('!');
        joined.get<char>();  // the test has seen the keeper end
      }
      EXPECT_EQ(tuttiBarrier(comm, nullptr), tuttiSuccess) << tuttiGetLastError(comm);
      EXPECT_EQ(tuttiCommDestroy(comm), tuttiSuccess);
    }));
  }
  EXPECT_TRUE(ended_well(wait_for(keeper)));
  joined.put('!');
  for (const pid_t rank : ranks) EXPECT_TRUE(ended_well(wait_for(rank)));
}

TEST(Rendezvous, ItsEndBeforeAllHaveJoinedIsSaidClearly) {
  Pipe ids, enough;
  const pid_t keeper = start_keeper(ids, enough, 1);
  const pid_t rank = fork_child([&] {
    const tuttiUniqueId id = ids.get<tuttiUniqueId>();
    enough.put('!');  // now, or while this rank waits for the other: both are said in the same words
    tuttiComm_t comm = nullptr;
    EXPECT_EQ(tuttiCommInitRank(&comm, 2, id, 0), tuttiRemoteError);
    EXPECT_TRUE(contains(tuttiGetLastError(nullptr), "the process that made the unique id has ended"));
  });
  EXPECT_TRUE(ended_well(wait_for(keeper)));
  EXPECT_TRUE(ended_well(wait_for(rank)));
}

// TUTTI_CHECK=1: refused on all ranks, both calls named, nothing moved.
TEST(Check, EveryMismatchIsRefusedBeforeAnyDataMoves) {
  in_child([] {
    setenv("TUTTI_CHECK", "1", 1);
    for (const MismatchedCalls& each : mismatched_calls()) {
      for (const int n : {2, 5}) {
        SCOPED_TRACE(std::string(each.name) + ", " + std::to_string(n) + " ranks");
        ApiRanks ranks(n);
        ranks.each([&](int rank, tuttiComm_t comm) {
          Buffers buffers;
          const Buffers before = buffers;
          EXPECT_EQ((rank == 1 ? each.odd : each.usual)(buffers, comm), tuttiInvalidUsage) << tuttiGetLastError(comm);
          EXPECT_EQ(buffers.out, before.out) << "data moved";
          for (const char* call : {each.usual_text, each.odd_text}) EXPECT_TRUE(contains(tuttiGetLastError(comm), call));
        });
      }
    }
  });
}

TEST(Check, MatchingCallsRunAsEver) {
  in_child([] {
    setenv("TUTTI_CHECK", "1", 1);
    ApiRanks ranks(4);
    ranks.each([](int rank, tuttiComm_t comm) {
      for (int round = 0; round < 20; ++round) {
        GuardedFloats data(1000);
        data.fill(rank, round);
        ASSERT_EQ(all_reduce(data.data(), data.data(), 1000, comm), tuttiSuccess) << tuttiGetLastError(comm);
        EXPECT_TRUE(data.holds_sum(4, round));
      }
    });
  });
}

TEST(Check, HasToBeSetOnAllRanks) {
  Job job(2);
  in_children(2, [&](int rank) {
    setenv("TUTTI_CHECK", rank == 0 ? "1" : "0", 1);
    tuttiComm_t comm = nullptr;
    EXPECT_EQ(tuttiCommInitRank(&comm, 2, job.id_for(rank), rank), tuttiInvalidUsage);
    EXPECT_TRUE(contains(tuttiGetLastError(nullptr), "check=1"));
  });
}

}  // namespace
}  // namespace tutti
