// Operations that end badly while an accelerator is at work for them: the buffers are nobody's when the call has returned, or the error
// says that they are not. And accelerators that are given what they cannot reach.
#include <gtest/gtest.h>

#include <thread>

#include "nothing_wrong.h"
#include "rank_call.h"

namespace tutti::test {
namespace {

constexpr size_t kElems = 200'000;  // many slices

bool says(tuttiComm_t comm, const std::string& fragment) {
  return std::string(tuttiGetLastError(comm)).find(fragment) != std::string::npos;
}

// Rank 0 on accelerator a, rank 1 on the host, each with a timeout of its own.
class DeviceFailures : public ::testing::Test {
 protected:
  void join(double timeout_of_0) {
    tuttiUniqueId id;
    ASSERT_EQ(tuttiGetUniqueId(&id), tuttiSuccess);
    const Finding found = team().run(2, [&](int rank) {
      tuttiConfig_t config = TUTTI_CONFIG_INITIALIZER;
      config.timeout = rank == 0 ? timeout_of_0 : 60;
      config.device = rank == 0 ? a_.name() : "host";
      return expect_success(tuttiCommInitRankConfig(&comms_[rank], 2, id, rank, &config), "join");
    });
    ASSERT_TRUE(nothing_wrong(found));
  }

  struct Buffers {
    DeviceBuffer in, out;
  };
  // To be made before the accelerator is held, which fills them.
  Buffers buffers(int rank) {
    Device* const device = rank == 0 ? &a_ : nullptr;
    const Bytes zeros(kElems * sizeof(float));
    return {.in = DeviceBuffer(zeros, device), .out = DeviceBuffer(zeros, device)};
  }
  tuttiResult_t sum_in(int rank, Buffers& in) {
    return tuttiAllReduce(in.in.data(), in.out.data(), kElems, tuttiFloat32, tuttiSum, comms_[rank], nullptr);
  }
  // Rank `rank`'s all-reduce; the buffers are freed as soon as it has returned.
  tuttiResult_t sum(int rank, Buffers buffers) { return sum_in(rank, buffers); }

  void expect_idle() {
    EXPECT_TRUE(eventually([&] { return !a_.busy(); }));
  }

  TestAccelerator& a_ = *accelerator_of('a');
  tuttiComm_t comms_[2] = {};
};

TEST_F(DeviceFailures, ATimeoutWaitsForTheDevice) {
  ASSERT_NO_FATAL_FAILURE(join(0.3));
  Buffers of_0 = buffers(0);
  a_.hold();
  tuttiResult_t results[2];
  std::thread zero([&] { results[0] = sum(0, std::move(of_0)); });
  results[1] = sum(1, buffers(1));  // returns when rank 0 has told that it failed, which it does before it waits for the device
  a_.go_on();
  zero.join();
  EXPECT_EQ(results[0], tuttiTimeout) << tuttiGetLastError(comms_[0]);
  EXPECT_TRUE(says(comms_[0], "its own device test_a")) << tuttiGetLastError(comms_[0]);
  EXPECT_EQ(results[1], tuttiRemoteError) << tuttiGetLastError(comms_[1]);
  for (const tuttiComm_t comm : comms_) EXPECT_EQ(tuttiCommDestroy(comm), tuttiSuccess);
  expect_idle();
}

TEST_F(DeviceFailures, AnAbortWaitsForTheDevice) {
  ASSERT_NO_FATAL_FAILURE(join(60));
  Buffers of_0 = buffers(0);
  a_.hold();
  tuttiResult_t results[2], aborted;
  std::thread zero([&] { results[0] = sum(0, std::move(of_0)); });
  EXPECT_TRUE(eventually([&] { return a_.busy(); }));
  std::thread aborts([&] { aborted = tuttiCommAbort(comms_[0]); });
  results[1] = sum(1, buffers(1));  // returns when it has heard of the abort
  a_.go_on();
  zero.join();
  aborts.join();
  EXPECT_EQ(results[0], tuttiAborted);
  EXPECT_EQ(aborted, tuttiSuccess) << tuttiGetLastError(nullptr);
  EXPECT_EQ(results[1], tuttiRemoteError) << tuttiGetLastError(comms_[1]);
  EXPECT_EQ(tuttiCommDestroy(comms_[1]), tuttiSuccess);
  expect_idle();
}

// The peer goes in the middle, while the accelerator is at work as ever.
TEST_F(DeviceFailures, APeerThatLeaves) {
  for (int round = 0; round < 5; ++round) {
    ASSERT_NO_FATAL_FAILURE(join(60));
    tuttiResult_t result;
    Buffers of_0 = buffers(0);
    const uint64_t done = a_.done();
    std::thread zero([&] { result = sum(0, std::move(of_0)); });
    EXPECT_TRUE(eventually([&] { return a_.done() != done || a_.busy(); }));
    EXPECT_EQ(tuttiCommDestroy(comms_[1]), tuttiSuccess);
    zero.join();
    EXPECT_EQ(result, tuttiRemoteError) << tuttiGetLastError(comms_[0]);
    EXPECT_EQ(tuttiCommDestroy(comms_[0]), tuttiSuccess);
    expect_idle();
  }
}

// Rank 1 makes another call. Whatever rank 0 has issued by the time that it notices is done when it returns.
TEST_F(DeviceFailures, AMismatch) {
  for (int round = 0; round < 5; ++round) {
    ASSERT_NO_FATAL_FAILURE(join(60));
    tuttiResult_t results[2];
    std::thread zero([&] { results[0] = sum(0, buffers(0)); });
    {
      std::vector<float> in(kElems), out(kElems);
      results[1] = tuttiAllReduce(in.data(), out.data(), kElems / 2, tuttiFloat32, tuttiSum, comms_[1], nullptr);
    }
    zero.join();
    EXPECT_TRUE(results[0] == tuttiInvalidUsage || results[0] == tuttiRemoteError) << tuttiGetLastError(comms_[0]);
    EXPECT_TRUE(results[1] == tuttiInvalidUsage || results[1] == tuttiRemoteError) << tuttiGetLastError(comms_[1]);
    EXPECT_TRUE(results[0] == tuttiInvalidUsage || results[1] == tuttiInvalidUsage);
    for (const tuttiComm_t comm : comms_) EXPECT_EQ(tuttiCommDestroy(comm), tuttiSuccess);
    expect_idle();
  }
}

// The device never finishes: the call returns within its bounds, and says what that means for its buffers.
TEST_F(DeviceFailures, ADeviceThatHangs) {
  setenv("TUTTI_DEVICE_WAIT", "0.5", 1);  // where this is the process's first test; 5 s otherwise
  ASSERT_NO_FATAL_FAILURE(join(0.3));
  Buffers kept = buffers(0);
  a_.hold();
  tuttiResult_t results[2];
  std::thread zero([&] { results[0] = sum_in(0, kept); });
  results[1] = sum(1, buffers(1));
  zero.join();
  EXPECT_EQ(results[0], tuttiSystemError);
  for (const char* each : {"its own device test_a", "device test_a did not finish", "keep them"}) {
    EXPECT_TRUE(says(comms_[0], each)) << tuttiGetLastError(comms_[0]);
  }
  EXPECT_EQ(results[1], tuttiRemoteError) << tuttiGetLastError(comms_[1]);
  EXPECT_EQ(tuttiCommDestroy(comms_[0]), tuttiSystemError);
  EXPECT_TRUE(says(nullptr, "memory is not freed")) << tuttiGetLastError(nullptr);
  EXPECT_EQ(tuttiCommDestroy(comms_[1]), tuttiSuccess);
  EXPECT_TRUE(a_.busy());
  a_.go_on();  // and now it does what it was given, to buffers that are still there
  expect_idle();
}

// A buffer of the other vendor's, and one that was freed: the accelerator refuses, and the call says so.
TEST_F(DeviceFailures, MemoryOutOfReach) {
  TestAccelerator& b = *accelerator_of('b');
  for (const bool freed : {false, true}) {
    ASSERT_NO_FATAL_FAILURE(join(60));
    void* const memory = freed ? a_.allocate(kElems * sizeof(float)) : b.allocate(kElems * sizeof(float));
    if (freed) a_.free(memory);
    tuttiResult_t results[2];
    std::thread zero([&] {
      results[0] = tuttiAllReduce(memory, memory, kElems, tuttiFloat32, tuttiSum, comms_[0], nullptr);
      EXPECT_TRUE(says(comms_[0], freed ? "not allocated" : "memory of test_b, which it cannot reach")) << tuttiGetLastError(comms_[0]);
    });
    results[1] = sum(1, buffers(1));
    zero.join();
    EXPECT_EQ(results[0], tuttiSystemError);
    EXPECT_EQ(results[1], tuttiRemoteError) << tuttiGetLastError(comms_[1]);
    for (const tuttiComm_t comm : comms_) EXPECT_EQ(tuttiCommDestroy(comm), tuttiSuccess);
    EXPECT_FALSE(a_.take_violations().empty());  // wanted, for once
    if (!freed) b.free(memory);
  }
}

TEST_F(DeviceFailures, AnUnknownDeviceIsRefused) {
  tuttiUniqueId id;
  ASSERT_EQ(tuttiGetUniqueId(&id), tuttiSuccess);
  tuttiConfig_t config = TUTTI_CONFIG_INITIALIZER;
  config.device = "test_c";
  EXPECT_EQ(tuttiCommInitRankConfig(&comms_[0], 1, id, 0, &config), tuttiInvalidArgument);
  EXPECT_TRUE(says(nullptr, "no device 'test_c'") && says(nullptr, "host, test_a, test_b")) << tuttiGetLastError(nullptr);
}

}  // namespace
}  // namespace tutti::test
