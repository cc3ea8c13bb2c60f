// Every sort of calls that do not match: all ranks get an error that names both calls, long before the timeout, whoever noticed it.
#include <functional>

#include "tests/support/api_ranks.h"
#include "tests/support/mismatched_calls.h"

namespace tutti {
namespace {

using namespace test;

TEST(MismatchKinds, AllRanksHearBothCalls) {
  tuttiConfig_t config = unset_config();
  config.timeout = 60;  // not what ends it: a sentence about waiting would fail the test
  for (const MismatchedCalls& each : mismatched_calls()) {
    for (const int n : {2, 3, 5}) {
      SCOPED_TRACE(std::string(each.name) + ", " + std::to_string(n) + " ranks");
      ApiRanks ranks(n, &config);
      ranks.each([&](int rank, tuttiComm_t comm) {
        Buffers buffers;
        tuttiResult_t result = (rank == 1 ? each.odd : each.usual)(buffers, comm);
        // A call that needs nothing of the others may be over before anybody knows: then one of the next ones fails.
        while (result == tuttiSuccess) result = tuttiBarrier(comm, nullptr);
        EXPECT_EQ(result, tuttiInvalidUsage) << tuttiGetLastError(comm);
        for (const char* call : {each.usual_text, each.odd_text}) EXPECT_TRUE(contains(tuttiGetLastError(comm), call));
        EXPECT_TRUE(contains(tuttiGetLastError(comm), "rank 1 ("));
        tuttiResult_t async = tuttiSuccess;
        EXPECT_EQ(tuttiCommGetAsyncError(comm, &async), tuttiSuccess);
        EXPECT_EQ(async, tuttiInvalidUsage);
      });
    }
  }
}

TEST(MismatchKinds, ASendAndItsReceiveAreBothNamed) {
  tuttiConfig_t config = unset_config();
  config.timeout = 60;
  ApiRanks ranks(2, &config);
  ranks.each([](int rank, tuttiComm_t comm) {
    float data[20] = {};
    tuttiResult_t result =
        rank == 0 ? tuttiSend(data, 10, tuttiFloat32, 1, comm, nullptr) : tuttiRecv(data, 11, tuttiFloat32, 0, comm, nullptr);
    while (result == tuttiSuccess) result = tuttiBarrier(comm, nullptr);
    EXPECT_EQ(result, tuttiInvalidUsage);
    EXPECT_TRUE(contains(tuttiGetLastError(comm), "receives 11 x float32"));
    EXPECT_TRUE(contains(tuttiGetLastError(comm), "send of 10 x float32"));
  });
}

}  // namespace
}  // namespace tutti
