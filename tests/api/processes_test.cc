// Ranks as processes. The parent never calls Tutti: every test forks its ranks first.
#include <sys/resource.h>

#include <csignal>
#include <cstdlib>

#include "tests/support/api_fork.h"
#include "tests/support/api_ranks.h"
#include "tests/support/job.h"

namespace tutti {
namespace {

using namespace test;

void expect_exact(int rank, int nranks, tuttiComm_t comm, size_t count, int round) {
  GuardedFloats in(count, 1), out(count);
  in.fill(rank, round);
  ASSERT_EQ(all_reduce(in.data(), out.data(), count, comm), tuttiSuccess) << tuttiGetLastError(comm);
  EXPECT_TRUE(out.holds_sum(nranks, round));
  EXPECT_TRUE(in.holds_values_of(rank, round));
  ASSERT_EQ(all_reduce(in.data(), in.data(), count, comm), tuttiSuccess) << tuttiGetLastError(comm);
  EXPECT_TRUE(in.holds_sum(nranks, round));
}

TEST(Processes, AllReduceIsExact) {
  for (const char* algorithm : {static_cast<const char*>(nullptr), "ring", "one_shot"}) {
    for (const int n : {1, 2, 3, 5, 8}) {
      Job job(n);
      in_children(n, [&](int rank) {
        tuttiConfig_t config = unset_config();
        config.algorithm = algorithm;
        tuttiComm_t comm = job.init(rank, &config);
        int round = 0;
        for (const size_t count : {0, 1, 17, 1000, 1025, 99991, 3}) expect_exact(rank, n, comm, count, ++round);
        EXPECT_EQ(tuttiCommDestroy(comm), tuttiSuccess);
      });
    }
  }
}

// Two processes of two ranks each: threads share a mapping, processes hand each other a descriptor.
TEST(Processes, ThreadsInSeveralProcesses) {
  constexpr int kPerProcess = 2, kRanks = 4;
  Job job(2);
  in_children(2, [&](int process) {
    const tuttiUniqueId id = job.id_for(process);
    tuttiComm_t comms[kPerProcess];
    ASSERT_EQ(tuttiGroupStart(), tuttiSuccess);
    for (int i = 0; i < kPerProcess; ++i) ASSERT_EQ(tuttiCommInitRank(&comms[i], kRanks, id, process * kPerProcess + i), tuttiSuccess);
    ASSERT_EQ(tuttiGroupEnd(), tuttiSuccess) << tuttiGetLastError(nullptr);
    std::vector<std::thread> threads;
    for (int i = 0; i < kPerProcess; ++i) {
      threads.emplace_back([&, i] {
        for (const size_t count : {5, 5000, 99991}) expect_exact(process * kPerProcess + i, kRanks, comms[i], count, 1);
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (tuttiComm_t comm : comms) EXPECT_EQ(tuttiCommDestroy(comm), tuttiSuccess);
  });
}

std::string hex(const tuttiUniqueId& id) {
  std::string text;
  for (const char byte : id.internal) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned char>(byte));
    text += digits;
  }
  return text;
}

// As tutti-run does it, with the id made by rank 0; several communicators, one after the other and in one group.
TEST(Processes, InitFromEnvSeveralTimes) {
  constexpr int kRanks = 3;
  Job job(kRanks);
  in_children(kRanks, [&](int rank) {
    setenv("TUTTI_UNIQUE_ID", hex(job.id_for(rank)).c_str(), 1);
    setenv("TUTTI_RANK", std::to_string(rank).c_str(), 1);
    setenv("TUTTI_SIZE", std::to_string(kRanks).c_str(), 1);
    tuttiComm_t comms[3] = {};
    ASSERT_EQ(tuttiCommInitFromEnv(&comms[0], nullptr), tuttiSuccess) << tuttiGetLastError(nullptr);
    ASSERT_EQ(tuttiGroupStart(), tuttiSuccess);
    for (const int i : {1, 2}) ASSERT_EQ(tuttiCommInitFromEnv(&comms[i], nullptr), tuttiSuccess);
    ASSERT_EQ(tuttiGroupEnd(), tuttiSuccess) << tuttiGetLastError(nullptr);
    for (tuttiComm_t comm : comms) expect_exact(rank, kRanks, comm, 1000, 1);
    for (tuttiComm_t comm : comms) EXPECT_EQ(tuttiCommDestroy(comm), tuttiSuccess);
  });
}

// In the words after the operation's own: "... on rank 0: rank 1 (host h, pid 42) died".
bool names(int rank, const std::string& message) {
  return message.find(": rank " + std::to_string(rank) + " ") != std::string::npos;
}

// What every survivor of rank `dead` meets: an error, within the job's bound, that stays.
void expect_remote_error(int dead, tuttiComm_t comm, tuttiResult_t result) {
  const std::string message = tuttiGetLastError(comm);
  EXPECT_EQ(result, tuttiRemoteError) << message;
  const auto says = [&](const std::string& fragment) { return message.find(fragment) != std::string::npos; };
  EXPECT_TRUE(names(dead, message) && says(" died")) << "every survivor hears who died, whomever it waited for: " << message;
  EXPECT_TRUE(says("all_reduce number ")) << message;
  tuttiResult_t async = tuttiSuccess;
  EXPECT_EQ(tuttiCommGetAsyncError(comm, &async), tuttiSuccess);
  EXPECT_EQ(async, tuttiRemoteError);
  float value = 0;
  EXPECT_EQ(all_reduce(&value, &value, 1, comm), tuttiRemoteError);
  EXPECT_EQ(tuttiGetLastError(comm), message);
  EXPECT_EQ(tuttiCommDestroy(comm), tuttiSuccess);
}

// Ranks call without end. The victim kills itself before a call, or with -1 is killed at some moment after its tenth; all others have to
// come to an error, and one of them to name it.
void expect_survivors_hear(int nranks, int victim, size_t count, int calls_before_suicide) {
  Job job(nranks);
  Pipe under_way, named;
  std::vector<pid_t> children;
  for (int rank = 0; rank < nranks; ++rank) {
    children.push_back(fork_child([&, rank] {
      tuttiComm_t comm = job.init(rank);
      std::vector<float> data(count);
      tuttiResult_t result = tuttiSuccess;
      for (int call = 0; result == tuttiSuccess; ++call) {
        if (rank == victim && call == calls_before_suicide) kill(getpid(), SIGKILL);
        if (rank == victim && call == 10) under_way.put('!');
        result = all_reduce(data.data(), data.data(), count, comm);
      }
      named.put(names(victim, tuttiGetLastError(comm)) ? 'y' : 'n');
      expect_remote_error(victim, comm, result);
    }));
  }
  const auto victim_index = static_cast<size_t>(victim);
  if (calls_before_suicide < 0) {
    under_way.get<char>();
    kill(children[victim_index], SIGKILL);
  }
  bool somebody_named_it = false;
  for (int rank = 0; rank < nranks; ++rank) {
    const int status = wait_for(children[static_cast<size_t>(rank)]);
    if (rank == victim) {
      EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    } else {
      EXPECT_TRUE(ended_well(status)) << "rank " << rank;
      if (WIFEXITED(status)) somebody_named_it = named.get<char>() == 'y' || somebody_named_it;
    }
  }
  EXPECT_TRUE(somebody_named_it);
}

TEST(Dying, BeforeTheFirstCall) {
  for (const int n : {2, 4}) expect_survivors_hear(n, 1, 1000, 0);
}

TEST(Dying, BetweenCalls) {
  for (const int n : {2, 3, 5}) {
    for (const size_t count : {1, 200000}) expect_survivors_hear(n, n - 1, count, 7);
  }
}

// Rank 0's process holds the rendezvous: nobody needs that any more.
TEST(Dying, TheRankThatMadeTheId) {
  expect_survivors_hear(3, 0, 5000, 3);
}

TEST(Dying, AtAnyMomentOfACall) {
  for (int repetition = 0; repetition < 10; ++repetition) {
    for (const size_t count : {1, 3000, 1 << 20}) expect_survivors_hear(4, 1 + repetition % 3, count, -1);
  }
}

TEST(Dying, DuringInitIsToldToAll) {
  constexpr int kRanks = 3;
  Job job(kRanks);
  std::vector<pid_t> children;
  for (int rank = 0; rank < kRanks; ++rank) {
    children.push_back(fork_child([&, rank] {
      const tuttiUniqueId id = job.id_for(rank);
      if (rank == 2) kill(getpid(), SIGKILL);  // has the id, never comes
      tuttiConfig_t config = unset_config();
      config.initTimeout = 1;
      tuttiComm_t comm = nullptr;
      EXPECT_EQ(tuttiCommInitRankConfig(&comm, kRanks, id, rank, &config), tuttiTimeout);
      EXPECT_TRUE(contains(tuttiGetLastError(nullptr), "of 3 ranks, these never came within 1 s of the first: 2."));
    }));
  }
  EXPECT_TRUE(ended_well(wait_for(children[0])));
  EXPECT_TRUE(ended_well(wait_for(children[1])));
  EXPECT_TRUE(WIFSIGNALED(wait_for(children[2])));
}

TEST(Dying, AnIdWhoseProcessHasEndedIsRefused) {
  Pipe ids;
  in_child([&] {
    tuttiUniqueId id;
    EXPECT_EQ(tuttiGetUniqueId(&id), tuttiSuccess);
    ids.put(id);
  });
  in_child([&] {
    tuttiComm_t comm = nullptr;
    EXPECT_EQ(tuttiCommInitRank(&comm, 2, ids.get<tuttiUniqueId>(), 1), tuttiRemoteError);
    EXPECT_TRUE(contains(tuttiGetLastError(nullptr), "nobody listens at "));
  });
}

TEST(Forking, AChildOfAProcessThatUsedTuttiIsToldSo) {
  in_child([] {
    { ApiRanks alone(1); }
    in_child([] {
      tuttiUniqueId id;
      EXPECT_EQ(tuttiGetUniqueId(&id), tuttiInvalidUsage);
      EXPECT_TRUE(contains(tuttiGetLastError(nullptr), "forked from one that had already used Tutti"));
      tuttiComm_t comm = nullptr;
      EXPECT_EQ(tuttiCommInitAll(&comm, 1, nullptr), tuttiInvalidUsage);
      EXPECT_EQ(comm, nullptr);
    });
  });
}

TEST(Settings, AWrongVariableIsAnErrorOfEveryInit) {
  in_child([] {
    setenv("TUTTI_SLOTS", "many", 1);
    tuttiComm_t comm = nullptr;
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(tuttiCommInitAll(&comm, 1, nullptr), tuttiInvalidArgument);
      EXPECT_TRUE(contains(tuttiGetLastError(nullptr), "TUTTI_SLOTS=many is not legal"));
      EXPECT_EQ(comm, nullptr);
    }
  });
}

TEST(Settings, ConfigOverrulesTheEnvironment) {
  in_child([] {
    setenv("TUTTI_ALGORITHM", "one_shot", 1);
    const auto algorithm_of = [](tuttiComm_t comm) {
      char text[1000];
      EXPECT_EQ(tuttiCommExplain(comm, tuttiCollectiveAllReduce, 1, tuttiFloat32, tuttiSum, 0, text, sizeof text, nullptr), tuttiSuccess);
      return std::string(text);
    };
    ApiRanks by_environment(1);
    EXPECT_TRUE(contains(algorithm_of(by_environment[0]), "\"algorithm\":\"one_shot\""));
    tuttiConfig_t config = unset_config();
    config.algorithm = "ring";
    ApiRanks by_config(1, &config);
    EXPECT_TRUE(contains(algorithm_of(by_config[0]), "\"algorithm\":\"ring\""));
  });
}

// The system's refusals come back as errors, and leave nothing running.
TEST(Settings, NoMoreDescriptorsIsASystemError) {
  in_child([] {
    { ApiRanks warm(1); }
    rlimit limit;
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 3;  // those of stdin, stdout and stderr
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    tuttiComm_t comm = nullptr;
    EXPECT_EQ(tuttiCommInitAll(&comm, 1, nullptr), tuttiSystemError);
    EXPECT_TRUE(contains(tuttiGetLastError(nullptr), "Too many open files"));
    EXPECT_EQ(comm, nullptr);
    tuttiUniqueId id;
    EXPECT_EQ(tuttiGetUniqueId(&id), tuttiSystemError);
  });
}

TEST(Settings, NoMoreThreadsIsASystemError) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "AddressSanitizer's shadow does not fit a bounded address space";
#endif
  in_child([] {
    setenv("TUTTI_INIT_TIMEOUT", "0.1", 1);  // what the ranks that were started wait for the others
    { ApiRanks warm(1); }
    const rlimit limit = {.rlim_cur = size_t{200} << 20, .rlim_max = RLIM_INFINITY};  // a few stacks
    ASSERT_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    std::vector<tuttiComm_t> comms(500);
    EXPECT_EQ(tuttiCommInitAll(comms.data(), 500, nullptr), tuttiSystemError);
    EXPECT_TRUE(contains(tuttiGetLastError(nullptr), "cannot start a thread for rank "));
    for (tuttiComm_t comm : comms) EXPECT_EQ(comm, nullptr);
  });
}

}  // namespace
}  // namespace tutti
