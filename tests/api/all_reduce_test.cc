// The executed matrix: ranks x counts x algorithm x in and out of place, against an exact reference, with inputs and guard zones watched.
#include <cstring>

#include "algorithms/algorithm.h"
#include "tests/support/api_ranks.h"

namespace tutti {
namespace {

using namespace test;

// nullptr: the planner's choice.
std::vector<const char*> choices() {
  std::vector<const char*> names = {nullptr};
  for (const Algorithm* algorithm : algorithms()) names.push_back(algorithm->name);
  return names;
}

struct Case {
  const char* algorithm;
  int nranks;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const char* algorithm : choices()) {
    for (const int nranks : {1, 2, 3, 4, 5, 6, 7, 8, 9, 16}) all.push_back({algorithm, nranks});
  }
  return all;
}

std::vector<size_t> counts_for(int nranks) {
  std::vector<size_t> counts = {0, 1, 3, 17, 1000, 1023, 1024, 1025, 4099, 99991};
  if (nranks <= 4) counts.push_back((size_t{1} << 20) + 7);
  return counts;
}

class AllReduce : public ::testing::TestWithParam<Case> {};

// One rank's part of the matrix. Buffers lie off the vector alignment, differently by rank.
void out_of_place(int rank, int nranks, tuttiComm_t comm, size_t count, int round) {
  GuardedFloats in(count, static_cast<size_t>(rank) % 3), out(count, static_cast<size_t>(rank + 1) % 5);
  in.fill(rank, round);
  ASSERT_EQ(all_reduce(in.data(), out.data(), count, comm), tuttiSuccess) << tuttiGetLastError(comm);
  EXPECT_TRUE(out.holds_sum(nranks, round)) << "rank " << rank << ", count " << count;
  EXPECT_TRUE(in.holds_values_of(rank, round)) << "rank " << rank << ", count " << count;
}

void in_place(int rank, int nranks, tuttiComm_t comm, size_t count, int round) {
  GuardedFloats data(count, static_cast<size_t>(rank) % 4);
  data.fill(rank, round);
  ASSERT_EQ(all_reduce(data.data(), data.data(), count, comm), tuttiSuccess) << tuttiGetLastError(comm);
  EXPECT_TRUE(data.holds_sum(nranks, round)) << "rank " << rank << ", count " << count;
}

TEST_P(AllReduce, GivesEveryRankTheExactSum) {
  const auto [algorithm, nranks] = GetParam();
  tuttiConfig_t config = unset_config();
  config.algorithm = algorithm;
  ApiRanks ranks(nranks, &config);
  ranks.each([&, n = nranks](int rank, tuttiComm_t comm) {
    int round = 0;
    for (const size_t count : counts_for(n)) {
      out_of_place(rank, n, comm, count, ++round);
      in_place(rank, n, comm, count, ++round);
    }
    // Back to small ones: programs are kept and replayed with other counts.
    for (const size_t count : {size_t{3}, size_t{1000}, size_t{17}}) out_of_place(rank, n, comm, count, ++round);
  });
}

TEST_P(AllReduce, OneThreadDrivesAllRanks) {
  const auto [algorithm, nranks] = GetParam();
  tuttiConfig_t config = unset_config();
  config.algorithm = algorithm;
  ApiRanks ranks(nranks, &config);
  for (const size_t count : {0, 1, 17, 1025, 99991}) {
    std::vector<GuardedFloats> in, out;
    for (int rank = 0; rank < nranks; ++rank) {
      in.emplace_back(count).fill(rank);
      out.emplace_back(count);
    }
    ASSERT_EQ(tuttiGroupStart(), tuttiSuccess);
    for (int rank = 0; rank < nranks; ++rank) {
      const auto r = static_cast<size_t>(rank);
      ASSERT_EQ(all_reduce(in[r].data(), out[r].data(), count, ranks[rank]), tuttiSuccess);
    }
    ASSERT_EQ(tuttiGroupEnd(), tuttiSuccess) << tuttiGetLastError(nullptr);
    for (auto& each : out) EXPECT_TRUE(each.holds_sum(nranks)) << "count " << count;
  }
}

INSTANTIATE_TEST_SUITE_P(Matrix, AllReduce, ::testing::ValuesIn(cases()), [](const auto& each) {
  return std::string(each.param.algorithm == nullptr ? "chosen" : each.param.algorithm) + "_" + std::to_string(each.param.nranks);
});

// Different ranks may choose differently between in place and out of place: that is local.
TEST(AllReduceMixed, SomeRanksInPlaceSomeNot) {
  ApiRanks ranks(3);
  for (const size_t count : {size_t{5}, size_t{99991}}) {
    ranks.each([&](int rank, tuttiComm_t comm) { rank == 1 ? in_place(rank, 3, comm, count, 0) : out_of_place(rank, 3, comm, count, 0); });
  }
}

// Large buffers are written past the caches (TUTTI_STREAM_BYTES is 8M).
TEST(AllReduceMixed, StreamedBuffers) {
  ApiRanks ranks(2);
  const size_t count = (size_t{3} << 20) + 1;
  ranks.each([&](int rank, tuttiComm_t comm) {
    out_of_place(rank, 2, comm, count, 1);
    in_place(rank, 2, comm, count, 2);
  });
  ApiRanks alone(1);
  out_of_place(0, 1, alone[0], count, 1);
  in_place(0, 1, alone[0], count, 2);
}

// CommInitAll's communicators, and those of a plain CommInitRank, are the same thing.
TEST(AllReduceMixed, InitRankWithoutConfig) {
  tuttiUniqueId id;
  ASSERT_EQ(tuttiGetUniqueId(&id), tuttiSuccess);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 3; ++rank) {
    threads.emplace_back([&, rank] {
      tuttiComm_t comm = nullptr;
      ASSERT_EQ(tuttiCommInitRank(&comm, 3, id, rank), tuttiSuccess) << tuttiGetLastError(nullptr);
      int n = 0, r = -1;
      EXPECT_EQ(tuttiCommCount(comm, &n), tuttiSuccess);
      EXPECT_EQ(tuttiCommUserRank(comm, &r), tuttiSuccess);
      EXPECT_EQ(n, 3);
      EXPECT_EQ(r, rank);
      out_of_place(rank, 3, comm, 1025, 0);
      EXPECT_EQ(tuttiCommDestroy(comm), tuttiSuccess);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(AllReduceMixed, CountZeroTakesNullBuffers) {
  ApiRanks ranks(2);
  ranks.each([](int, tuttiComm_t comm) { EXPECT_EQ(all_reduce(nullptr, nullptr, 0, comm), tuttiSuccess) << tuttiGetLastError(comm); });
}

// Ranks leave as soon as they are through; what they sent must still arrive.
TEST(AllReduceMixed, DestroyRightAfterTheLastCall) {
  for (int repetition = 0; repetition < 20; ++repetition) {
    ApiRanks ranks(4);
    ranks.each([&](int rank, tuttiComm_t& comm) {
      out_of_place(rank, 4, comm, 5000, repetition);
      EXPECT_EQ(tuttiCommDestroy(comm), tuttiSuccess);
      comm = nullptr;
    });
  }
}

// Nothing of one communicator leaks into another: many are made, used and dropped.
TEST(AllReduceMixed, ManyCommunicatorsAtOnceAndInTurn) {
  ApiRanks one(3), two(3);
  for (int repetition = 0; repetition < 10; ++repetition) {
    ApiRanks three(3);
    three.each([&](int rank, tuttiComm_t comm) {
      out_of_place(rank, 3, one[rank], 100, repetition);
      out_of_place(rank, 3, comm, 2000, repetition + 1);
      out_of_place(rank, 3, two[rank], 30000, repetition + 2);
    });
  }
}

}  // namespace
}  // namespace tutti
