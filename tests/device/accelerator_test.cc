// The conformance of devices with queues: the numbers of every type, operation and layout, against the oracle, as reduce_test.cc has them
// of the host; and the contract of device.h that a synchronous device has nothing of: order, memory, state, failure.
#include <gtest/gtest.h>

#include <csignal>
#include <memory>

#include "device/bench.h"
#include "device/devices.h"
#include "support/device_buffer.h"
#include "support/sanitizers.h"
#include "support/test_accelerator.h"

namespace tutti {
namespace {

enum class Vendor { kA, kB };

TestAccelerator& accelerator(Vendor vendor) {
  return vendor == Vendor::kA ? test_accelerator_a() : test_accelerator_b();
}

TestAccelerator& other(Vendor vendor) {
  return accelerator(vendor == Vendor::kA ? Vendor::kB : Vendor::kA);
}

std::unique_ptr<DeviceQueue> queue_of(Device& device) {
  Result<std::unique_ptr<DeviceQueue>> queue = device.make_queue();
  EXPECT_TRUE(queue.ok());
  return std::move(*queue);
}

class Accelerator : public testing::TestWithParam<Vendor> {
 protected:
  void TearDown() override {
    device_.go_on();
    for (TestAccelerator* each : {&device_, &other(GetParam())}) {
      for (const std::string& violation : each->take_violations()) ADD_FAILURE() << violation;
    }
  }
  void finish(DeviceQueue& queue) {
    const Status waited = wait_for(queue, device_, kTestPatience_s);
    ASSERT_TRUE(waited.ok()) << waited.message();
  }

  TestAccelerator& device_ = accelerator(GetParam());
};

constexpr size_t kLengths[] = {0, 1, 3, 17, 64, 131, 1021, kLong};

TEST_P(Accelerator, ReducesAndTransformsEveryType) {
  TestAccelerator quick(device_.name(), 7, 0);  // without delays
  QueueBench moved(quick, false), slot(quick, true);
  const std::unique_ptr<DeviceQueue> queue = queue_of(quick);
  uint64_t seed = 1;
  for (const DataType type : all_types()) {
    if (kUnderThreadSanitizer && seed > 1) break;  // it sees the same accesses for all types
    for (const Extra& extra : kExtras) {
      for (const bool transform : {false, true}) {
        for (const Reduction op : all_reductions()) {
          Arithmetic arithmetic = {.type = type, .op = op, .scale_a = extra.scale_a, .scale_b = extra.scale_b};
          arithmetic.divide = extra.divisor != 0;
          arithmetic.divisor = extra.divisor;
          store_element(type, arithmetic.scalar, element_of(type, seed % 2 == 0 ? -3 : 5));
          const Case c = make_case(arithmetic, transform, seed++);
          size_t turn = seed;
          for (const size_t count : kLengths) {
            for (const Layout& layout : kLayouts) {
              (turn % 3 == 0 ? slot : moved).run(*queue, c, count, layout, kKinds[turn % std::size(kKinds)]);
              ++turn;
              if (HasFatalFailure()) return;
            }
          }
          if (transform) break;  // the operation does not matter
        }
      }
    }
  }
  EXPECT_TRUE(quick.take_violations().empty());
}

TEST_P(Accelerator, Copies) {
  RandomElements random(DataType::kUint8, 7);
  Case c = {.arithmetic = {.type = DataType::kUint8}, .transform = true, .a = random.take(kLong), .b = random.take(kLong), .expected = {}};
  c.expected = c.a;
  QueueBench bench(device_, false);
  const std::unique_ptr<DeviceQueue> queue = queue_of(device_);
  for (const Kind& kind : kKinds) {
    for (const size_t count : kLengths) bench.run(*queue, c, count, kLayouts[1], kind);
    if (HasFatalFailure()) return;
  }
}

TEST_P(Accelerator, SaysWhatItIs) {
  EXPECT_EQ(device_.immediate(), nullptr);
  EXPECT_TRUE(has(device_, kDeviceQueues));
  EXPECT_FALSE(has(device_, kDeviceHostTouches));
  EXPECT_NE(std::string(device_.vendor()), other(GetParam()).vendor());
  void* const memory = device_.allocate(100);
  ASSERT_NE(memory, nullptr);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % kDeviceAlignment, 0U);
  EXPECT_TRUE(device_.holds(memory));
  EXPECT_FALSE(other(GetParam()).holds(memory));
  EXPECT_FALSE(host_device().holds(memory));
  int on_stack = 0;
  EXPECT_FALSE(device_.holds(&on_stack));
  device_.free(memory);
  device_.free(nullptr);
  EXPECT_EQ(device_.allocate(size_t{1} << 40), nullptr);
}

// Calls return at once; the state says when.
TEST_P(Accelerator, IsAsynchronous) {
  DeviceBuffer from(std::vector<std::byte>(100, std::byte{1}), &device_), to(std::vector<std::byte>(100), &device_);
  const std::unique_ptr<DeviceQueue> queue = queue_of(device_);
  EXPECT_EQ(queue->state(), QueueState::kFinished);
  device_.hold();
  queue->copy({.first = to.data()}, from.data(), 100);
  EXPECT_EQ(queue->state(), QueueState::kBusy);
  EXPECT_EQ(wait_for(*queue, device_, 0.01).code(), Code::kTimeout);
  device_.go_on();
  ASSERT_NO_FATAL_FAILURE(finish(*queue));
  EXPECT_EQ(queue->state(), QueueState::kFinished);
  EXPECT_EQ(to.contents(), from.contents());
}

// Each copy reads what the one before it wrote; the queues beside it, which do the same elsewhere, do not matter.
TEST_P(Accelerator, KeepsTheOrderOfAQueue) {
  constexpr size_t kQueues = 4, kPlaces = 40;
  std::vector<std::unique_ptr<DeviceQueue>> queues;
  std::vector<DeviceBuffer> chains;
  for (size_t q = 0; q < kQueues; ++q) {
    queues.push_back(queue_of(device_));
    std::vector<std::byte> bytes(kPlaces);
    bytes[0] = static_cast<std::byte>(q + 1);
    chains.emplace_back(bytes, &device_);
  }
  for (size_t place = 1; place < kPlaces; ++place) {
    for (size_t q = 0; q < kQueues; ++q) queues[q]->copy({.first = chains[q].data() + place}, chains[q].data() + place - 1, 1);
  }
  for (size_t q = 0; q < kQueues; ++q) {
    ASSERT_NO_FATAL_FAILURE(finish(*queues[q]));
    EXPECT_EQ(chains[q].contents(), std::vector<std::byte>(kPlaces, static_cast<std::byte>(q + 1)));
  }
}

TEST_P(Accelerator, FailsForWhatItCannotReach) {
  TestAccelerator& foreign = other(GetParam());
  DeviceBuffer own(std::vector<std::byte>(64), &device_), theirs(std::vector<std::byte>(64), &foreign);
  void* const freed = device_.allocate(64);
  device_.free(freed);
  struct {
    const void* src;
    size_t bytes;
    const char* says;
  } const kWrong[] = {{theirs.data(), 64, "cannot reach"}, {freed, 64, "not allocated"}, {own.data(), 65, "not allocated"}};
  for (const auto& wrong : kWrong) {
    const std::unique_ptr<DeviceQueue> queue = queue_of(device_);
    std::vector<std::byte> to(65, std::byte{9});
    queue->copy({.first = to.data()}, wrong.src, wrong.bytes);
    queue->copy({.first = to.data()}, own.data(), 64);  // behind a failure nothing runs
    ASSERT_NO_FATAL_FAILURE(finish(*queue));
    EXPECT_EQ(queue->state(), QueueState::kFailed);
    EXPECT_NE(queue->failure().find(wrong.says), std::string::npos) << queue->failure();
    EXPECT_EQ(to, std::vector<std::byte>(65, std::byte{9}));
    EXPECT_EQ(device_.take_violations().size(), 1U);
    const Status status = copy_and_wait(device_, to.data(), wrong.src, wrong.bytes, kTestPatience_s);
    EXPECT_EQ(status.code(), Code::kSystem);
    EXPECT_EQ(device_.take_violations().size(), 1U);
  }
}

TEST_P(Accelerator, NoticesMemoryFreedTooEarly) {
  void* const memory = device_.allocate(64);
  std::byte to[64];
  const std::unique_ptr<DeviceQueue> queue = queue_of(device_);
  device_.hold();
  queue->copy({.first = to}, memory, 64);
  device_.free(memory);
  EXPECT_EQ(device_.take_violations().size(), 1U);
  device_.go_on();
  ASSERT_NO_FATAL_FAILURE(finish(*queue));
  device_.free(memory);
}

// The host that touches its memory faults.
TEST_P(Accelerator, IsProtectedFromTheHost) {
  if (kUnderThreadSanitizer) GTEST_SKIP() << "forks: not under ThreadSanitizer";
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // the accelerator has threads
  auto* const memory = static_cast<volatile char*>(device_.allocate(64));
  const auto touch = [&](bool write) {
    std::signal(SIGSEGV, SIG_DFL);  // a sanitizer's report would only be in the way
    if (write) memory[0] = 1;
    static_cast<void>(memory[0]);
  };
  EXPECT_EXIT(touch(false), testing::KilledBySignal(SIGSEGV), "");
  EXPECT_EXIT(touch(true), testing::KilledBySignal(SIGSEGV), "");
  device_.free(const_cast<char*>(memory));
}

INSTANTIATE_TEST_SUITE_P(Vendors, Accelerator, testing::Values(Vendor::kA, Vendor::kB),
                         [](const auto& vendor) { return vendor.param == Vendor::kA ? "test_a" : "test_b"; });

TEST(HostDevice, IsADeviceAsTheOthers) {
  SynchronousDevice& host = host_device();
  EXPECT_NE(host.immediate(), nullptr);
  EXPECT_FALSE(has(host, kDeviceQueues));
  EXPECT_TRUE(has(host, kDeviceHostTouches));
  Result<std::unique_ptr<DeviceQueue>> queue = host.make_queue();
  ASSERT_TRUE(queue.ok());
  EXPECT_EQ(*queue, nullptr);
  auto* const memory = static_cast<std::byte*>(host.allocate(100));
  ASSERT_NE(memory, nullptr);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % kDeviceAlignment, 0U);
  const std::byte from[100] = {std::byte{5}};
  EXPECT_TRUE(copy_and_wait(host, memory, from, 100, 1).ok());
  EXPECT_EQ(memory[0], std::byte{5});
  host.free(memory);
}

TEST(Devices, AreFoundByName) {
  EXPECT_EQ(find_device("host").value(), &host_device());
  EXPECT_EQ(device_names(), "host");
  ASSERT_TRUE(add_device(test_accelerator_a()).ok());
  EXPECT_EQ(add_device(test_accelerator_a()).code(), Code::kInvalidArgument);
  EXPECT_EQ(find_device("test_a").value(), &test_accelerator_a());
  const Status unknown = find_device("test_b").status();
  EXPECT_EQ(unknown.code(), Code::kInvalidArgument);
  EXPECT_NE(unknown.message().find("host, test_a"), std::string::npos) << unknown.message();
  remove_device(test_accelerator_a());
  EXPECT_FALSE(find_device("test_a").ok());
}

}  // namespace
}  // namespace tutti
