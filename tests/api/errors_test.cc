// Every wrong argument of a call on a communicator: code and sentence; that a refused call harms nobody; and where errors can be read.
#include <limits>

#include "tests/support/api_ranks.h"

namespace tutti {
namespace {

using namespace test;

class Errors : public ::testing::Test {
 protected:
  tuttiResult_t call(const void* in, void* out, size_t count, int type = tuttiFloat32, int op = tuttiSum, tuttiStream_t stream = nullptr) {
    return tuttiAllReduce(in, out, count, unnamed<tuttiDataType_t>(type), unnamed<tuttiRedOp_t>(op), alone_[0], stream);
  }

  // The last call's message, of the communicator and of the thread alike.
  void expect_message(const std::string& fragment) {
    EXPECT_TRUE(contains(tuttiGetLastError(alone_[0]), "tuttiAllReduce: "));
    EXPECT_TRUE(contains(tuttiGetLastError(alone_[0]), fragment));
    EXPECT_TRUE(contains(tuttiGetLastError(nullptr), fragment));
  }

  ~Errors() override {
    // Refused calls leave the communicator as it was.
    tuttiResult_t async = tuttiInternalError;
    EXPECT_EQ(tuttiCommGetAsyncError(alone_[0], &async), tuttiSuccess);
    EXPECT_EQ(async, tuttiSuccess);
    EXPECT_EQ(call(data_, data_ + 8, 8), tuttiSuccess) << tuttiGetLastError(alone_[0]);
  }

  ApiRanks alone_{1};
  alignas(64) float data_[64] = {};
};

TEST_F(Errors, NullBuffers) {
  EXPECT_EQ(call(nullptr, data_, 1), tuttiInvalidArgument);
  expect_message("sendbuff is NULL");
  EXPECT_EQ(call(data_, nullptr, 1), tuttiInvalidArgument);
  expect_message("recvbuff is NULL");
}

TEST_F(Errors, MisalignedBuffers) {
  char* const bytes = reinterpret_cast<char*>(data_);
  for (const int off : {1, 2, 3}) {
    EXPECT_EQ(call(bytes + off, data_ + 32, 4), tuttiInvalidArgument);
    expect_message("sendbuff is not aligned to the element's 4 bytes");
    EXPECT_EQ(call(data_, bytes + 128 + off, 4), tuttiInvalidArgument);
    expect_message("recvbuff is not aligned");
  }
}

TEST_F(Errors, PartialOverlap) {
  for (const int shift : {1, 7, 15}) {
    EXPECT_EQ(call(data_, data_ + shift, 16), tuttiInvalidArgument);
    expect_message("overlap, but not as the in-place form does");
    EXPECT_EQ(call(data_ + shift, data_, 16), tuttiInvalidArgument);
    expect_message("overlap, but not as the in-place form does");
  }
  EXPECT_EQ(call(data_, data_ + 16, 16), tuttiSuccess) << "neighbours do not overlap";
  EXPECT_EQ(call(data_ + 16, data_, 16), tuttiSuccess);
  EXPECT_EQ(call(data_, data_, 16), tuttiSuccess) << "in place is legal";
}

TEST_F(Errors, UnknownTypeAndReduction) {
  for (const int type : {-1, 14, 1000}) {
    EXPECT_EQ(call(data_, data_, 1, type), tuttiInvalidArgument);
    expect_message("datatype " + std::to_string(type) + " is unknown");
  }
  for (const int op : {-1, 5, 1000}) {
    EXPECT_EQ(call(data_, data_, 1, tuttiFloat32, op), tuttiInvalidArgument);
    expect_message("op " + std::to_string(op) + " is no reduction of this communicator");
  }
}

TEST_F(Errors, NoStream) {
  EXPECT_EQ(call(data_, data_, 1, tuttiFloat32, tuttiSum, data_), tuttiInvalidArgument);
  expect_message("stream is no live stream");
}

TEST_F(Errors, ACountThatNoMemoryHolds) {
  for (const size_t count : {std::numeric_limits<size_t>::max(), static_cast<size_t>(-5), std::numeric_limits<size_t>::max() / 8 + 1}) {
    EXPECT_EQ(call(data_, data_, count), tuttiInvalidArgument);
    expect_message("more than memory can hold");
  }
}

// NULL, and memory that never was a communicator.
TEST_F(Errors, NoHandle) {
  alignas(64) char garbage[256] = {};
  for (const tuttiComm_t comm : {static_cast<tuttiComm_t>(nullptr), reinterpret_cast<tuttiComm_t>(garbage)}) {
    const std::string fragment = comm == nullptr ? "comm is NULL" : "comm is no live communicator";
    int number = 0;
    tuttiResult_t result = tuttiSuccess;
    EXPECT_EQ(all_reduce(data_, data_, 1, comm), tuttiInvalidArgument);
    EXPECT_TRUE(contains(tuttiGetLastError(nullptr), "tuttiAllReduce: " + fragment));
    EXPECT_TRUE(contains(tuttiGetLastError(comm), fragment)) << "a handle that is none has the thread's error";
    EXPECT_EQ(tuttiCommCount(comm, &number), tuttiInvalidArgument);
    EXPECT_EQ(tuttiCommUserRank(comm, &number), tuttiInvalidArgument);
    EXPECT_EQ(tuttiCommGetAsyncError(comm, &result), tuttiInvalidArgument);
    EXPECT_EQ(tuttiCommFinalize(comm), tuttiInvalidArgument);
    EXPECT_TRUE(contains(tuttiGetLastError(nullptr), "tuttiCommFinalize: " + fragment));
    EXPECT_EQ(tuttiCommExplain(comm, tuttiCollectiveAllReduce, 1, tuttiFloat32, tuttiSum, 0, nullptr, 0, nullptr), tuttiInvalidArgument);
    EXPECT_EQ(tuttiCommDestroy(comm), comm == nullptr ? tuttiSuccess : tuttiInvalidArgument);
    EXPECT_EQ(tuttiCommAbort(comm), comm == nullptr ? tuttiSuccess : tuttiInvalidArgument);
  }
}

TEST_F(Errors, NullResultPointers) {
  EXPECT_EQ(tuttiCommCount(alone_[0], nullptr), tuttiInvalidArgument);
  EXPECT_TRUE(contains(tuttiGetLastError(alone_[0]), "tuttiCommCount: count is NULL"));
  EXPECT_EQ(tuttiCommUserRank(alone_[0], nullptr), tuttiInvalidArgument);
  EXPECT_TRUE(contains(tuttiGetLastError(alone_[0]), "rank is NULL"));
  EXPECT_EQ(tuttiCommGetAsyncError(alone_[0], nullptr), tuttiInvalidArgument);
  EXPECT_TRUE(contains(tuttiGetLastError(alone_[0]), "result is NULL"));
}

TEST_F(Errors, LastErrorsAreKeptPerCommunicatorAndPerThread) {
  ApiRanks other(1);
  EXPECT_STREQ(tuttiGetLastError(other[0]), "");
  EXPECT_EQ(call(nullptr, data_, 1), tuttiInvalidArgument);
  EXPECT_EQ(all_reduce(data_, nullptr, 1, other[0]), tuttiInvalidArgument);
  EXPECT_TRUE(contains(tuttiGetLastError(alone_[0]), "sendbuff"));
  EXPECT_TRUE(contains(tuttiGetLastError(other[0]), "recvbuff"));
  EXPECT_TRUE(contains(tuttiGetLastError(nullptr), "recvbuff"));
  std::thread([&] {
    EXPECT_STREQ(tuttiGetLastError(nullptr), "") << "another thread's error is none of this thread's";
    EXPECT_TRUE(contains(tuttiGetLastError(alone_[0]), "sendbuff")) << "the communicator's is";
    EXPECT_EQ(tuttiGetUniqueId(nullptr), tuttiInvalidArgument);
    EXPECT_TRUE(contains(tuttiGetLastError(nullptr), "tuttiGetUniqueId"));
  }).join();
  EXPECT_TRUE(contains(tuttiGetLastError(nullptr), "recvbuff"));
}

TEST(Finalize, TwiceIsRefusedAndNothingFollows) {
  ApiRanks ranks(2);
  ranks.each([](int rank, tuttiComm_t comm) {
    GuardedFloats data(10);
    data.fill(rank);
    EXPECT_EQ(all_reduce(data.data(), data.data(), 10, comm), tuttiSuccess);
  });
  for (const int rank : {0, 1}) {
    EXPECT_EQ(tuttiCommFinalize(ranks[rank]), tuttiSuccess);
    EXPECT_EQ(tuttiCommFinalize(ranks[rank]), tuttiInvalidUsage);
    EXPECT_TRUE(contains(tuttiGetLastError(ranks[rank]), "finalized already"));
    float value = 1;
    EXPECT_EQ(all_reduce(&value, &value, 1, ranks[rank]), tuttiInvalidUsage);
    EXPECT_TRUE(contains(tuttiGetLastError(ranks[rank]), "was finalized"));
    EXPECT_TRUE(contains(tuttiGetLastError(nullptr), "tuttiAllReduce: the communicator was finalized"));
    int number = -1;
    EXPECT_EQ(tuttiCommUserRank(ranks[rank], &number), tuttiSuccess) << "queries stay legal";
    EXPECT_EQ(number, rank);
    tuttiResult_t async = tuttiInternalError;
    EXPECT_EQ(tuttiCommGetAsyncError(ranks[rank], &async), tuttiSuccess);
    EXPECT_EQ(async, tuttiSuccess) << "a finalized communicator has not failed";
  }
}

TEST(ErrorStrings, EveryCodeHasItsOwn) {
  const std::pair<int, const char*> kStrings[] = {{tuttiSuccess, "success"},
                                                  {tuttiSystemError, "system error"},
                                                  {tuttiInternalError, "internal error"},
                                                  {tuttiInvalidArgument, "invalid argument"},
                                                  {tuttiInvalidUsage, "invalid usage"},
                                                  {tuttiRemoteError, "remote error"},
                                                  {tuttiInProgress, "in progress"},
                                                  {tuttiTimeout, "timeout"},
                                                  {tuttiAborted, "aborted"}};
  for (const auto& [code, text] : kStrings) EXPECT_STREQ(tuttiGetErrorString(static_cast<tuttiResult_t>(code)), text);
  for (const int unknown : {1, 10, -1, 1000}) {
    EXPECT_STREQ(tuttiGetErrorString(unnamed<tuttiResult_t>(unknown)), "unknown result code");
  }
}

TEST(Version, IsTheHeaders) {
  int version = 0;
  ASSERT_EQ(tuttiGetVersion(&version), tuttiSuccess);
  EXPECT_EQ(version, TUTTI_VERSION_CODE);
}

}  // namespace
}  // namespace tutti
