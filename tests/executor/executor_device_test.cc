// The interpreter on asynchronous devices: what was issued holds up its channel, its slots and what depends on it, and nothing else.
#include <gtest/gtest.h>

#include <cstring>

#include "algorithms/algorithm.h"
#include "plan/builder.h"
#include "tests/executor/machine.h"
#include "tests/support/device_buffer.h"
#include "tests/support/test_accelerator.h"

namespace tutti {
namespace {

constexpr Region kIn = {Buffer::kInput, 0, 1, 1};
constexpr Region kOut = {Buffer::kOutput, 0, 1, 1};
constexpr Region kScratch = {Buffer::kScratch, 0, 1, 1};
constexpr uint16_t kSignature = 7;

Device* device_of(char letter) {
  if (letter == 'h') return &host_device();
  return letter == 'a' ? &test_accelerator_a() : &test_accelerator_b();
}

std::vector<Device*> devices_of(const std::string& letters) {
  std::vector<Device*> devices;
  for (const char letter : letters) devices.push_back(device_of(letter));
  return devices;
}

using Values = std::vector<int32_t>;

int32_t value(size_t rank, size_t i) {
  return static_cast<int32_t>(i * 31 + rank * 1'000'003 + 7);
}

// The ranks' buffers on their devices: input elements are value(), output ones -1.
class Data {
 public:
  Data(const std::string& letters, size_t count) : count_(count) {
    for (size_t rank = 0; rank < letters.size(); ++rank) {
      Values input(count);
      for (size_t i = 0; i < count; ++i) input[i] = value(rank, i);
      inputs_.emplace_back(bytes_of(input), device_of(letters[rank]));
      outputs_.emplace_back(bytes_of(Values(count, -1)), device_of(letters[rank]));
    }
  }

  Operands operands(size_t rank, const UserReduction* user = nullptr) {
    return {.input = inputs_[rank].data(),
            .output = outputs_[rank].data(),
            .count = count_,
            .arithmetic = {.type = DataType::kInt32},
            .user = user,
            .signature = kSignature};
  }

  Values output(size_t rank) const {
    const std::vector<std::byte> bytes = outputs_[rank].contents();
    Values values(count_);
    if (count_ != 0) std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }

 private:
  static std::vector<std::byte> bytes_of(const Values& values) {
    const auto* const begin = reinterpret_cast<const std::byte*>(values.data());
    return {begin, begin + values.size() * sizeof(int32_t)};
  }

  size_t count_;
  std::vector<DeviceBuffer> inputs_, outputs_;
};

class OnDevices : public ::testing::Test {
 protected:
  void TearDown() override {
    for (TestAccelerator* each : {&test_accelerator_a(), &test_accelerator_b()}) {
      each->go_on();
      for (const std::string& violation : each->take_violations()) ADD_FAILURE() << violation;
    }
  }
};

// ---- Whole plans.

void add_at(const void* left, const void* right, void* result, size_t count, tuttiDataType_t /*type*/, void* context) {
  ++*static_cast<int*>(context);
  for (size_t i = 0; i < count; ++i) {
    int32_t a = 0, b = 0;
    std::memcpy(&a, static_cast<const std::byte*>(left) + 4 * i, 4);
    std::memcpy(&b, static_cast<const std::byte*>(right) + 4 * i, 4);
    a += b;
    std::memcpy(static_cast<std::byte*>(result) + 4 * i, &a, 4);
  }
}

void expect_sums(const std::string& algorithm, const std::string& letters, Protocol protocol, const UserReduction* user) {
  const int nranks = static_cast<int>(letters.size());
  const PlanRequest request{.nranks = nranks};
  const Algorithm* const found = find_algorithm(algorithm);
  if (found->max_channels(request, *single_host_topology(request.nranks)) < 1) return;
  const int channels = std::min(2, found->max_channels(request, *single_host_topology(request.nranks)));
  const PlanChoice choice{.algorithm = algorithm, .channels = channels, .protocol = protocol};
  Machine machine(generate_plan(*found, request, choice, *single_host_topology(nranks)), protocol, 0, kSmallShapes, 16 * 1024,
                  devices_of(letters));
  for (const size_t count : {1, 0, 17, 1009, 3001}) {
    SCOPED_TRACE(count);
    Data data(letters, count);
    std::mt19937 random(static_cast<uint32_t>(count));
    for (size_t rank = 0; rank < letters.size(); ++rank) machine.start(rank, data.operands(rank, user));
    machine.run_at_random(random);
    if (testing::Test::HasFatalFailure()) return;
    Values expected(count);
    for (size_t rank = 0; rank < letters.size(); ++rank) {
      for (size_t i = 0; i < count; ++i) expected[i] += value(rank, i);
    }
    for (size_t rank = 0; rank < letters.size(); ++rank) ASSERT_EQ(data.output(rank), expected) << "rank " << rank;
  }
}

TEST_F(OnDevices, EveryAlgorithmAddsInWhateverOrderRanksAreStepped) {
  for (const Algorithm* algorithm : algorithms()) {
    for (const char* letters : {"a", "ab", "hba", "aabb"}) {
      for (const Protocol protocol : {Protocol::kInline, Protocol::kStaged}) {
        SCOPED_TRACE(std::string(algorithm->name) + ", " + letters + ", " + protocol_name(protocol));
        ASSERT_NO_FATAL_FAILURE(expect_sums(algorithm->name, letters, protocol, nullptr));
      }
    }
  }
}

TEST_F(OnDevices, AUsersReductionComesToTheHost) {
  int calls = 0;
  const UserReduction user = {.function = add_at, .datatype = tuttiInt32, .context = &calls};
  for (const Algorithm* algorithm : algorithms()) {
    SCOPED_TRACE(algorithm->name);
    ASSERT_NO_FATAL_FAILURE(expect_sums(algorithm->name, "abha", Protocol::kStaged, &user));
  }
  EXPECT_GT(calls, 0);
}

// ---- Programs by hand.

Machine by_hand(const std::vector<std::vector<std::vector<Instruction>>>& ranks, const std::string& letters) {
  Plan plan;
  for (const auto& channels : ranks) {
    Program& program = plan.ranks.emplace_back();
    program.nranks = static_cast<int>(ranks.size());
    program.rank = static_cast<int>(plan.ranks.size()) - 1;
    program.scratch_blocks = 1;
    program.channels = channels;
  }
  return Machine(plan, Protocol::kStaged, 0, kSmallShapes, 16 * 1024, devices_of(letters));
}

// Both operands in the device's memory, the result there and on its way to the peer.
TEST_F(OnDevices, AUsersReductionOfTwoRegions) {
  int calls = 0;
  const UserReduction user = {.function = add_at, .datatype = tuttiInt32, .context = &calls};
  for (const bool src_first : {false, true}) {
    Machine machine = by_hand({{{{.src = kIn, .dst = kScratch},
                                 {.reduce = true, .src_first = src_first, .src = kIn, .dst = kScratch},
                                 {.send_peer = 1, .reduce = true, .src = kIn, .dst = kScratch},
                                 {.src = kScratch, .dst = kOut}}},
                               {{{.recv_peer = 0, .dst = kOut}}}},
                              "ab");
    Data data("ab", 600);
    for (size_t rank = 0; rank < 2; ++rank) machine.start(rank, data.operands(rank, &user));
    machine.run_round_robin();
    for (size_t rank = 0; rank < 2; ++rank) {
      const Values output = data.output(rank);
      for (size_t i = 0; i < 600; ++i) ASSERT_EQ(output[i], 3 * value(0, i));
    }
  }
}

// Until the device has finished, nothing is posted, nothing is released, and the next instruction waits.
TEST_F(OnDevices, WhatIsIssuedIsPending) {
  Machine machine = by_hand({{{{.send_peer = 1, .src = kIn}}}, {{{.recv_peer = 0, .dst = kOut}}}}, "ab");
  Data data("ab", 100);
  for (size_t rank = 0; rank < 2; ++rank) machine.start(rank, data.operands(rank));
  test_accelerator_a().hold();
  EXPECT_EQ(machine.step(0), StepResult::kMoved);
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(machine.step(0), StepResult::kBlocked);
    ASSERT_EQ(machine.step(1), StepResult::kBlocked);  // not posted
  }
  EXPECT_TRUE(machine.executor(0).waiting_for().own_device);
  EXPECT_EQ(machine.executor(0).waiting_for().peer, kNoPeer);
  EXPECT_EQ(machine.executor(1).waiting_for().peer, 0);
  test_accelerator_b().hold();
  test_accelerator_a().go_on();
  EXPECT_TRUE(eventually([&] { return machine.step(0) == StepResult::kDone; }));
  EXPECT_EQ(machine.step(1), StepResult::kMoved);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(machine.step(1), StepResult::kBlocked);
  test_accelerator_b().go_on();
  EXPECT_TRUE(eventually([&] { return machine.step(1) == StepResult::kDone; }));
  const Values output = data.output(1);
  for (size_t i = 0; i < 100; ++i) ASSERT_EQ(output[i], value(0, i));
}

// A received slot is not free before the device has read it: the sender's credit does not come back.
TEST_F(OnDevices, ASlotIsNotFreeWhileTheDeviceReadsIt) {
  // Two slots: the third message waits for the first one's slot.
  Machine machine = by_hand({{{{.send_peer = 1, .src = kIn}, {.send_peer = 1, .src = kIn}, {.send_peer = 1, .src = kIn}}},
                             {{{.recv_peer = 0, .dst = kOut}, {.recv_peer = 0, .dst = kOut}, {.recv_peer = 0, .dst = kOut}}}},
                            "ha");
  Data data("ha", 100);
  for (size_t rank = 0; rank < 2; ++rank) machine.start(rank, data.operands(rank));
  test_accelerator_a().hold();
  EXPECT_EQ(machine.step(0), StepResult::kMoved);
  EXPECT_EQ(machine.step(1), StepResult::kMoved);
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(machine.step(1), StepResult::kBlocked);
    ASSERT_EQ(machine.step(0), StepResult::kBlocked);
  }
  EXPECT_TRUE(machine.executor(0).waiting_for().for_credit);
  test_accelerator_a().go_on();
  EXPECT_TRUE(eventually([&] { return machine.step(1) != StepResult::kBlocked; }));
  EXPECT_TRUE(eventually([&] { return machine.step(0) == StepResult::kDone; }));
  EXPECT_TRUE(eventually([&] { return machine.step(1) == StepResult::kDone; }));
}

// Channel 1 reads what channel 0 writes, on another queue: it has to wait for the device, not for the cursor alone.
TEST_F(OnDevices, AfterMeansAfterTheDevice) {
  for (uint32_t seed = 0; seed < 50; ++seed) {
    Machine machine =
        by_hand({{{{.src = kIn, .dst = kScratch}}, {{.src = kScratch, .dst = kOut, .after_channel = 0, .after_index = 0}}}}, "a");
    Data data("a", 300);
    machine.start(0, data.operands(0));
    std::mt19937 random(seed);
    machine.run_at_random(random);
    const Values output = data.output(0);
    for (size_t i = 0; i < 300; ++i) ASSERT_EQ(output[i], value(0, i));
  }
}

TEST_F(OnDevices, GivingUpWaitsForTheDevice) {
  TestAccelerator& a = test_accelerator_a();
  Machine machine = by_hand({{{{.src = kIn, .dst = kOut}}, {{.recv_peer = 1, .dst = kScratch}}}, {}}, "ah");
  {
    Data data("ah", 100);
    machine.start(0, data.operands(0));
    a.hold();
    EXPECT_EQ(machine.step(0), StepResult::kMoved);
    const Status early = machine.executor(0).settle(0.02);
    EXPECT_EQ(early.code(), Code::kTimeout);
    EXPECT_NE(early.message().find("test_a"), std::string::npos) << early.message();
    EXPECT_TRUE(machine.executor(0).waiting_for().own_device);
    a.go_on();
    EXPECT_TRUE(machine.executor(0).settle(kTestPatience_s).ok());
    EXPECT_FALSE(a.busy());
  }  // the buffers are freed; a device at work there would be a violation
  Data data("ah", 100);
  machine.start(0, data.operands(0));  // and the executor is as good as new
  EXPECT_TRUE(eventually([&] { return machine.step(0) == StepResult::kBlocked && machine.executor(0).waiting_for().peer == 1; }));
  EXPECT_EQ(data.output(0)[99], value(0, 99));
  EXPECT_TRUE(machine.executor(0).settle(kTestPatience_s).ok());
}

// Rank 1's message is another call's, while channel 0's copy is at work.
TEST_F(OnDevices, AMismatchWhileTheDeviceWorks) {
  TestAccelerator& a = test_accelerator_a();
  Machine machine =
      by_hand({{{{.src = kIn, .dst = kOut}}, {{.recv_peer = 1, .dst = kScratch}}}, {{}, {{.send_peer = 0, .src = kIn}}}}, "ah");
  Data data("ah", 100);
  a.hold();
  machine.start(0, data.operands(0));
  EXPECT_EQ(machine.step(0), StepResult::kMoved);
  Operands other = data.operands(1);
  other.signature = kSignature + 2;
  machine.start(1, other);
  EXPECT_EQ(machine.step(1), StepResult::kDone);
  EXPECT_EQ(machine.step(0), StepResult::kMismatch);
  EXPECT_EQ(machine.executor(0).waiting_for().peer, 1);
  EXPECT_FALSE(machine.executor(0).waiting_for().own_device);
  a.go_on();
  EXPECT_TRUE(machine.executor(0).settle(kTestPatience_s).ok());
}

TEST_F(OnDevices, AFailedDeviceIsTold) {
  Machine machine = by_hand({{{{.src = kIn, .dst = kOut}}}}, "a");
  Data of_b("b", 100);
  machine.start(0, of_b.operands(0));
  StepResult result = StepResult::kMoved;
  EXPECT_TRUE(eventually([&] { return (result = machine.step(0)) == StepResult::kDeviceFailed || result == StepResult::kDone; }));
  ASSERT_EQ(result, StepResult::kDeviceFailed);
  EXPECT_EQ(machine.executor(0).device_failure(), "device test_a: work on memory of test_b, which it cannot reach");
  EXPECT_TRUE(machine.executor(0).settle(kTestPatience_s).ok());
  EXPECT_EQ(test_accelerator_a().take_violations().size(), 1U);
}

}  // namespace
}  // namespace tutti
