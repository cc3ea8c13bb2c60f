// Ranks that make different calls: nobody hangs, the error names the other rank, stays with the communicator, and leaves others alone.
#include "tests/support/api_ranks.h"

namespace tutti {
namespace {

using namespace test;

// The bound that a mismatch nobody can see runs into.
tuttiConfig_t bounded(const char* algorithm = nullptr) {
  tuttiConfig_t config = unset_config();
  config.timeout = 0.5;
  config.algorithm = algorithm;
  return config;
}

struct Outcome {
  tuttiResult_t result = tuttiSuccess;
  std::string message;
};

// Rank r calls with counts[r]; every rank's outcome.
std::vector<Outcome> call_with(ApiRanks& ranks, const std::vector<size_t>& counts) {
  std::vector<Outcome> outcomes(counts.size());
  ranks.each([&](int rank, tuttiComm_t comm) {
    const auto r = static_cast<size_t>(rank);
    std::vector<float> data(counts[r], 1.0F);
    outcomes[r].result = all_reduce(data.data(), data.data(), counts[r], comm);
    outcomes[r].message = tuttiGetLastError(comm);
  });
  return outcomes;
}

void expect_poisoned(ApiRanks& ranks, const std::vector<Outcome>& outcomes) {
  for (int rank = 0; rank < ranks.size(); ++rank) {
    const Outcome& first = outcomes[static_cast<size_t>(rank)];
    tuttiResult_t async = tuttiSuccess;
    EXPECT_EQ(tuttiCommGetAsyncError(ranks[rank], &async), tuttiSuccess);
    EXPECT_EQ(async, first.result);
    float value = 0;
    EXPECT_EQ(all_reduce(&value, &value, 1, ranks[rank]), first.result) << "later calls return the first error";
    EXPECT_EQ(tuttiGetLastError(ranks[rank]), first.message) << "the first sentence stays";
    EXPECT_EQ(all_reduce(nullptr, &value, 1, ranks[rank]), tuttiInvalidArgument);
    EXPECT_EQ(tuttiGetLastError(ranks[rank]), first.message) << "a refused call does not replace it";
  }
}

TEST(Mismatch, TwoRanksNameEachOther) {
  for (const char* algorithm : {"one_shot", "ring"}) {
    const tuttiConfig_t config = bounded(algorithm);
    ApiRanks ranks(2, &config);
    const std::vector<Outcome> outcomes = call_with(ranks, {10, 11});
    for (const int rank : {0, 1}) {
      const Outcome& outcome = outcomes[static_cast<size_t>(rank)];
      EXPECT_EQ(outcome.result, tuttiInvalidUsage) << outcome.message;
      EXPECT_TRUE(contains(outcome.message, "rank " + std::to_string(1 - rank) + " ("));
      EXPECT_TRUE(contains(outcome.message, "ranks made different calls: "));
      for (const int each : {0, 1}) {
        EXPECT_TRUE(contains(outcome.message, "called all_reduce number 1 (" + std::to_string(10 + each) + " x float32, sum)"));
      }
      EXPECT_TRUE(contains(outcome.message,
                           "all_reduce number 1 (" + std::to_string(10 + rank) + " x float32, sum) on rank " + std::to_string(rank)));
    }
    expect_poisoned(ranks, outcomes);
  }
}

TEST(Mismatch, AnOddRankAmongManyEndsAll) {
  for (const char* algorithm : {"one_shot", "ring"}) {
    for (const int n : {3, 5, 8}) {
      for (const size_t count : {100, 30000}) {
        const tuttiConfig_t config = bounded(algorithm);
        ApiRanks ranks(n, &config);
        std::vector<size_t> counts(static_cast<size_t>(n), count);
        counts[1] = count + 1;
        const std::vector<Outcome> outcomes = call_with(ranks, counts);
        int names_it = 0;
        for (const Outcome& outcome : outcomes) {
          EXPECT_TRUE(outcome.result == tuttiInvalidUsage || outcome.result == tuttiRemoteError)
              << algorithm << ", " << n << " ranks: " << outcome.result << ": " << outcome.message;
          if (outcome.result == tuttiInvalidUsage && outcome.message.find("rank 1 (host") != std::string::npos) ++names_it;
        }
        EXPECT_GE(names_it, 1) << "nobody named rank 1";
        expect_poisoned(ranks, outcomes);
      }
    }
  }
}

// A small and a large call take different FIFOs, so that neither side gets the other's message: the timeout ends it, and names the peer.
TEST(Mismatch, CountsOfDifferentPlansEndWithinTheTimeout) {
  const tuttiConfig_t config = bounded();
  ApiRanks ranks(2, &config);
  const std::vector<Outcome> outcomes = call_with(ranks, {10, 1 << 20});
  for (const int rank : {0, 1}) {
    const Outcome& outcome = outcomes[static_cast<size_t>(rank)];
    EXPECT_TRUE(outcome.result == tuttiTimeout || outcome.result == tuttiInvalidUsage || outcome.result == tuttiRemoteError)
        << outcome.result;
    EXPECT_TRUE(contains(outcome.message, "rank " + std::to_string(1 - rank) + " ("));
  }
  EXPECT_TRUE(outcomes[0].result != tuttiRemoteError || outcomes[1].result != tuttiRemoteError) << "somebody has to say what was wrong";
  expect_poisoned(ranks, outcomes);
}

// A call of no elements sends nothing, so that one rank is a call ahead unseen; its next call's data must not be taken for this one's.
TEST(Mismatch, ACallOfNoElementsAgainstOneOfSome) {
  const tuttiConfig_t config = bounded();
  ApiRanks ranks(2, &config);
  Outcome outcomes[2];
  ranks.each([&](int rank, tuttiComm_t comm) {
    float data[4] = {};
    if (rank == 1) {
      EXPECT_EQ(all_reduce(data, data, 0, comm), tuttiSuccess);
    }
    outcomes[rank].result = all_reduce(data, data, 4, comm);
    outcomes[rank].message = tuttiGetLastError(comm);
  });
  for (const int rank : {0, 1}) {
    EXPECT_EQ(outcomes[rank].result, tuttiInvalidUsage) << outcomes[rank].message;
    EXPECT_TRUE(contains(outcomes[rank].message, "rank " + std::to_string(1 - rank) + " ("));
  }
}

// Of calls inside a group, those on other communicators are carried out all the same: their peers count on them.
TEST(Mismatch, AGroupsOtherCommunicatorsGoOn) {
  const tuttiConfig_t config = bounded();
  ApiRanks bad(2, &config), good(2, &config);
  bad.each([&](int rank, tuttiComm_t) {
    GuardedFloats data(50000), wrong(static_cast<size_t>(10 + rank));
    data.fill(rank);
    ASSERT_EQ(tuttiGroupStart(), tuttiSuccess);
    ASSERT_EQ(all_reduce(wrong.data(), wrong.data(), wrong.size(), bad[rank]), tuttiSuccess);
    ASSERT_EQ(all_reduce(data.data(), data.data(), data.size(), good[rank]), tuttiSuccess);
    EXPECT_EQ(tuttiGroupEnd(), tuttiInvalidUsage);
    EXPECT_TRUE(contains(tuttiGetLastError(nullptr), "ranks made different calls"));
    EXPECT_TRUE(contains(tuttiGetLastError(bad[rank]), "ranks made different calls"));
    EXPECT_TRUE(data.holds_sum(2));
    tuttiResult_t async = tuttiInternalError;
    EXPECT_EQ(tuttiCommGetAsyncError(good[rank], &async), tuttiSuccess);
    EXPECT_EQ(async, tuttiSuccess);
  });
}

// What a failure leaves alone: the input of an out-of-place call.
TEST(Mismatch, InputsOutOfPlaceStayAsTheyWere) {
  const tuttiConfig_t config = bounded("ring");
  ApiRanks ranks(2, &config);
  ranks.each([](int rank, tuttiComm_t comm) {
    const auto count = static_cast<size_t>(70000 + rank);
    GuardedFloats in(count), out(count);
    in.fill(rank);
    EXPECT_EQ(all_reduce(in.data(), out.data(), count, comm), tuttiInvalidUsage);
    EXPECT_TRUE(in.holds_values_of(rank));
    EXPECT_TRUE(out.guards_are_intact());
  });
}

}  // namespace
}  // namespace tutti
