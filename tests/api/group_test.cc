// Groups: several operations, several communicators, several ranks of one thread; nothing runs before the outermost end.
#include <algorithm>

#include "tests/support/api_ranks.h"

namespace tutti {
namespace {

using namespace test;

// One operation inside a group: what it reads and where its result goes.
struct Operation {
  GuardedFloats in, out;
  int round;

  Operation(int rank, size_t count, int r) : in(count), out(count), round(r) { in.fill(rank, round); }
  void enqueue(tuttiComm_t comm) {
    ASSERT_EQ(all_reduce(in.data(), out.data(), in.size(), comm), tuttiSuccess) << tuttiGetLastError(nullptr);
  }
  void expect_done(int nranks) { EXPECT_TRUE(out.holds_sum(nranks, round)) << "round " << round; }
};

TEST(Group, SeveralOperationsOnOneCommunicatorRunInOrder) {
  ApiRanks ranks(3);
  ranks.each([](int rank, tuttiComm_t comm) {
    std::vector<Operation> operations;
    for (const size_t count : {1, 5000, 0, 17, 99991, 3}) operations.emplace_back(rank, count, static_cast<int>(operations.size()));
    ASSERT_EQ(tuttiGroupStart(), tuttiSuccess);
    for (Operation& operation : operations) operation.enqueue(comm);
    ASSERT_EQ(tuttiGroupEnd(), tuttiSuccess) << tuttiGetLastError(nullptr);
    for (Operation& operation : operations) operation.expect_done(3);
  });
}

// The second operation reads what the first wrote.
TEST(Group, ALaterOperationSeesAnEarlierOnesResult) {
  ApiRanks ranks(2);
  ranks.each([](int, tuttiComm_t comm) {
    std::vector<float> data(1000, 1.0F);
    ASSERT_EQ(tuttiGroupStart(), tuttiSuccess);
    for (int i = 0; i < 5; ++i) ASSERT_EQ(all_reduce(data.data(), data.data(), data.size(), comm), tuttiSuccess);
    ASSERT_EQ(tuttiGroupEnd(), tuttiSuccess);
    EXPECT_EQ(data, std::vector<float>(1000, 32.0F));
  });
}

// Every thread drives its rank of three communicators, in an order of its own; more data than any FIFO holds.
TEST(Group, CommunicatorsInDifferentOrdersOnDifferentThreads) {
  constexpr int kRanks = 3;
  ApiRanks one(kRanks), two(kRanks), three(kRanks);
  std::vector<ApiRanks*> communicators = {&one, &two, &three};
  one.each([&](int rank, tuttiComm_t) {
    for (int repetition = 0; repetition < 5; ++repetition) {
      std::vector<Operation> operations;
      for (int c = 0; c < 3; ++c) operations.emplace_back(rank, 200000, c + repetition);
      std::vector<size_t> order = {0, 1, 2};
      std::rotate(order.begin(), order.begin() + (rank + repetition) % 3, order.end());
      if (rank == 1) std::reverse(order.begin(), order.end());
      ASSERT_EQ(tuttiGroupStart(), tuttiSuccess);
      for (const size_t c : order) operations[c].enqueue((*communicators[c])[rank]);
      ASSERT_EQ(tuttiGroupEnd(), tuttiSuccess) << tuttiGetLastError(nullptr);
      for (Operation& operation : operations) operation.expect_done(kRanks);
    }
  });
}

// Two threads drive two ranks each of a communicator of four.
TEST(Group, ThreadsThatDriveSeveralRanksEach) {
  ApiRanks ranks(4);
  const auto drive = [&](int first) {
    for (const size_t count : {10, 3000, 50000}) {
      std::vector<Operation> operations;
      for (const int rank : {first, first + 1}) operations.emplace_back(rank, count, 0);
      ASSERT_EQ(tuttiGroupStart(), tuttiSuccess);
      operations[1].enqueue(ranks[first + 1]);
      operations[0].enqueue(ranks[first]);
      ASSERT_EQ(tuttiGroupEnd(), tuttiSuccess) << tuttiGetLastError(nullptr);
      for (Operation& operation : operations) operation.expect_done(4);
    }
  };
  std::thread other(drive, 2);
  drive(0);
  other.join();
}

TEST(Group, NestedGroupsStartAtTheOutermostEnd) {
  ApiRanks ranks(2);
  std::vector<Operation> operations;
  for (const int rank : {0, 1}) operations.emplace_back(rank, 100, 0);
  ASSERT_EQ(tuttiGroupStart(), tuttiSuccess);
  for (const int rank : {0, 1}) {
    ASSERT_EQ(tuttiGroupStart(), tuttiSuccess);
    operations[static_cast<size_t>(rank)].enqueue(ranks[rank]);
    ASSERT_EQ(tuttiGroupEnd(), tuttiSuccess);
    // Rank 0's call alone would wait for rank 1 for ever: that we are here shows that it did not start.
    EXPECT_EQ(operations[static_cast<size_t>(rank)].out[0], GuardedFloats(1)[0]) << "the output was written before the outermost end";
  }
  ASSERT_EQ(tuttiGroupEnd(), tuttiSuccess) << tuttiGetLastError(nullptr);
  for (Operation& operation : operations) operation.expect_done(2);
}

TEST(Group, AnEmptyGroupAndAFreshOneAfterIt) {
  EXPECT_EQ(tuttiGroupStart(), tuttiSuccess);
  EXPECT_EQ(tuttiGroupStart(), tuttiSuccess);
  EXPECT_EQ(tuttiGroupEnd(), tuttiSuccess);
  EXPECT_EQ(tuttiGroupEnd(), tuttiSuccess);
  EXPECT_EQ(tuttiGroupEnd(), tuttiInvalidUsage);
  EXPECT_EQ(tuttiGroupStart(), tuttiSuccess);
  EXPECT_EQ(tuttiGroupEnd(), tuttiSuccess);
}

TEST(Group, EndWithoutStartSaysSo) {
  EXPECT_EQ(tuttiGroupEnd(), tuttiInvalidUsage);
  EXPECT_TRUE(contains(tuttiGetLastError(nullptr), "tuttiGroupEnd: no group is open"));
}

TEST(Group, AGroupBelongsToItsThread) {
  ASSERT_EQ(tuttiGroupStart(), tuttiSuccess);
  std::thread([] { EXPECT_EQ(tuttiGroupEnd(), tuttiInvalidUsage); }).join();
  EXPECT_EQ(tuttiGroupEnd(), tuttiSuccess);
}

// A refused call makes the end return its error, and nothing has run: on neither side of it, and on no other communicator.
TEST(Group, ARefusedCallStartsNothing) {
  ApiRanks ranks(2), others(2);
  std::vector<Operation> operations;
  for (const int rank : {0, 1, 0, 1}) operations.emplace_back(rank, 100, 0);
  const float untouched = GuardedFloats(1)[0];
  ASSERT_EQ(tuttiGroupStart(), tuttiSuccess);
  operations[0].enqueue(ranks[0]);
  EXPECT_EQ(all_reduce(nullptr, operations[0].out.data(), 100, ranks[0]), tuttiInvalidArgument);
  operations[1].enqueue(ranks[1]);
  ASSERT_EQ(tuttiGroupStart(), tuttiSuccess);
  operations[2].enqueue(others[0]);
  operations[3].enqueue(others[1]);
  EXPECT_EQ(
      tuttiAllReduce(operations[0].in.data(), operations[0].out.data(), 100, tuttiFloat32, unnamed<tuttiRedOp_t>(77), ranks[0], nullptr),
      tuttiInvalidArgument);
  EXPECT_EQ(tuttiGroupEnd(), tuttiSuccess) << "an inner end starts nothing and reports nothing";
  EXPECT_EQ(tuttiGroupEnd(), tuttiInvalidArgument);
  EXPECT_TRUE(contains(tuttiGetLastError(nullptr), "sendbuff is NULL")) << "the first refused call's error comes back";
  for (Operation& operation : operations) {
    for (size_t i = 0; i < 100; ++i) ASSERT_EQ(operation.out[i], untouched) << i;
  }
  // Nobody is hurt: the same communicators go on.
  tuttiResult_t async = tuttiInternalError;
  EXPECT_EQ(tuttiCommGetAsyncError(ranks[0], &async), tuttiSuccess);
  EXPECT_EQ(async, tuttiSuccess);
  ranks.each([](int rank, tuttiComm_t comm) {
    Operation after(rank, 100, 1);
    after.enqueue(comm);
    after.expect_done(2);
  });
}

TEST(Group, OneThreadMakesACommunicator) {
  tuttiUniqueId id;
  ASSERT_EQ(tuttiGetUniqueId(&id), tuttiSuccess);
  tuttiComm_t comms[3] = {};
  ASSERT_EQ(tuttiGroupStart(), tuttiSuccess);
  for (int rank = 0; rank < 3; ++rank) {
    ASSERT_EQ(tuttiCommInitRank(&comms[rank], 3, id, rank), tuttiSuccess);
    EXPECT_EQ(comms[rank], nullptr) << "a handle is set at the end of the group, not before";
  }
  ASSERT_EQ(tuttiGroupEnd(), tuttiSuccess) << tuttiGetLastError(nullptr);
  std::vector<Operation> operations;
  ASSERT_EQ(tuttiGroupStart(), tuttiSuccess);
  for (int rank = 0; rank < 3; ++rank) operations.emplace_back(rank, 500, 0).enqueue(comms[rank]);
  ASSERT_EQ(tuttiGroupEnd(), tuttiSuccess) << tuttiGetLastError(nullptr);
  for (Operation& operation : operations) operation.expect_done(3);
  for (tuttiComm_t comm : comms) EXPECT_EQ(tuttiCommDestroy(comm), tuttiSuccess);
}

TEST(Group, AFailedInitLeavesEveryHandleUnset) {
  tuttiUniqueId id;
  ASSERT_EQ(tuttiGetUniqueId(&id), tuttiSuccess);
  tuttiComm_t comms[2] = {};
  ASSERT_EQ(tuttiGroupStart(), tuttiSuccess);
  ASSERT_EQ(tuttiCommInitRank(&comms[0], 3, id, 0), tuttiSuccess);
  ASSERT_EQ(tuttiCommInitRank(&comms[1], 3, id, 0), tuttiSuccess);  // the same rank
  EXPECT_EQ(tuttiGroupEnd(), tuttiInvalidUsage);
  EXPECT_TRUE(contains(tuttiGetLastError(nullptr), "two processes joined as rank 0"));
  EXPECT_EQ(comms[0], nullptr);
  EXPECT_EQ(comms[1], nullptr);
}

}  // namespace
}  // namespace tutti
