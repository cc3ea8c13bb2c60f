// A device for tests: an accelerator whose memory the host may not touch, and whose work is done by threads of its own, late.
//
// Memory: an arena, mapped twice. The addresses that everybody sees allow no access, so that a stray one faults; only the accelerator's
// threads use the other mapping. An address is not handed out again before the arena has been used up, so late work on freed memory is
// seen. Order: within a queue that of the calls; between queues as the seed has it, after seeded delays, some of them at once. Work whose
// pointers lie outside a live allocation, in another accelerator's memory, or nowhere it may, is not done: it fails its queue, and counts
// as a violation; so does freeing memory that unfinished work uses. All else is taken for host memory. Numbers are the host kernels'.
// Threading: as Device; what is beyond it, from any thread. It must outlive its queues, and those to its like be destroyed before it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "device/device.h"

namespace tutti {

class TestAccelerator final : public Device {
 public:
  // `name` is also the vendor. `most_delay_us`: of a piece of work; every other one has none. It must not change while there is work.
  TestAccelerator(const char* name, uint64_t seed, int most_delay_us);
  ~TestAccelerator() override;

  const char* name() const override { return name_; }
  const char* vendor() const override { return name_; }
  uint32_t abilities() const override { return kDeviceQueues; }
  Result<std::unique_ptr<DeviceQueue>> make_queue() override;
  void* allocate(size_t bytes) override;
  void free(void* memory) override;
  bool holds(const void* p) const override;

  // Between the two nothing issued is begun. hold() waits until what was begun has ended.
  void hold();
  void go_on();

  // Whether anything is issued and not done.
  bool busy() const;
  // Pieces of work done; and what was wrong with others, since the last call.
  uint64_t done() const;
  std::vector<std::string> take_violations();
  // Live allocations.
  size_t allocations() const;

 private:
  class Queue;
  using Clock = std::chrono::steady_clock;
  enum class Kind : uint8_t { kCopy, kReduce, kTransform };
  struct Work {
    Kind kind;
    Destination to;
    const void* a;
    const void* b;
    size_t count;  // bytes of a copy
    Arithmetic arithmetic;
    Clock::time_point due;
  };
  // What a queue and its device share.
  struct Lane {
    std::deque<Work> work;  // the first may be running
    bool running = false;
    // Changed under mutex_. Release, and acquire by who asks: what the work wrote is seen.
    std::atomic<QueueState> state{QueueState::kFinished};
    std::string failure;
  };

  void issue(const std::shared_ptr<Lane>& lane, Work work);
  void remove(const std::shared_ptr<Lane>& lane);
  void serve();
  std::shared_ptr<Lane> next_lane(Clock::time_point now, Clock::time_point& next_due);
  bool used_by_work(const std::byte* memory, size_t bytes) const;
  // Replaces the pointers by those that this thread may use. "" or what is wrong.
  std::string translate(Work& work) const;
  std::string translate(const void*& p, size_t bytes) const;
  static void run(const Work& work);

  const char* const name_;
  const int most_delay_us_;
  std::byte* shown_ = nullptr;  // PROT_NONE
  std::byte* alias_ = nullptr;  // of the accelerator's threads
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  std::mt19937_64 random_;
  std::map<size_t, size_t> allocations_;  // offset -> bytes
  size_t next_offset_ = 0;
  std::vector<std::shared_ptr<Lane>> lanes_;
  int running_ = 0;
  bool held_ = false;
  bool ending_ = false;
  uint64_t done_ = 0;
  std::vector<std::string> violations_;
  std::vector<std::thread> threads_;
};

// The two vendors: "test_a" and "test_b". Made at the first call, never destroyed; add_device() is the caller's.
TestAccelerator& test_accelerator_a();
TestAccelerator& test_accelerator_b();

}  // namespace tutti
