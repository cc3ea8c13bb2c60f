#include "tests/support/test_accelerator.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace tutti {
namespace {

constexpr size_t kArenaBytes = size_t{256} << 20;
constexpr size_t kPageBytes = 4096;
constexpr int kThreads = 2;

// All accelerators of the process: whose memory an address is.
struct Accelerators {
  std::mutex mutex;
  std::vector<const TestAccelerator*> list;  // guarded by mutex
};

Accelerators& accelerators() {
  static auto* const instance = new Accelerators;
  return *instance;
}

std::byte* map_or_die(int fd, int protection) {
  void* const p = mmap(nullptr, kArenaBytes, protection, MAP_SHARED | MAP_NORESERVE, fd, 0);
  if (p == MAP_FAILED) {
    std::perror("the test accelerator's memory");
    std::abort();
  }
  return static_cast<std::byte*>(p);
}

}  // namespace

class TestAccelerator::Queue final : public DeviceQueue {
 public:
  Queue(TestAccelerator& device, std::shared_ptr<Lane> lane) : device_(device), lane_(std::move(lane)) {}
  ~Queue() override { device_.remove(lane_); }

  void copy(const Destination& to, const void* src, size_t bytes) override {
    device_.issue(lane_, {.kind = Kind::kCopy, .to = to, .a = src, .b = nullptr, .count = bytes, .arithmetic = {}, .due = {}});
  }
  void reduce(const Destination& to, const void* a, const void* b, size_t count, const Arithmetic& arithmetic) override {
    device_.issue(lane_, {.kind = Kind::kReduce, .to = to, .a = a, .b = b, .count = count, .arithmetic = arithmetic, .due = {}});
  }
  void transform(const Destination& to, const void* src, size_t count, const Arithmetic& arithmetic) override {
    device_.issue(lane_, {.kind = Kind::kTransform, .to = to, .a = src, .b = nullptr, .count = count, .arithmetic = arithmetic, .due = {}});
  }
  QueueState state() override { return lane_->state.load(std::memory_order_acquire); }
  std::string failure() const override {
    std::lock_guard lock(device_.mutex_);
    return lane_->failure;
  }

 private:
  TestAccelerator& device_;
  std::shared_ptr<Lane> lane_;
};

TestAccelerator::TestAccelerator(const char* name, uint64_t seed, int most_delay_us)
    : name_(name), most_delay_us_(most_delay_us), random_(seed) {
  const int fd = memfd_create(name, MFD_CLOEXEC);
  if (fd < 0 || ftruncate(fd, kArenaBytes) != 0) {
    std::perror("the test accelerator's memory");
    std::abort();
  }
  shown_ = map_or_die(fd, PROT_NONE);
  alias_ = map_or_die(fd, PROT_READ | PROT_WRITE);
  close(fd);
  {
    std::lock_guard lock(accelerators().mutex);
    accelerators().list.push_back(this);
  }
  for (int i = 0; i < kThreads; ++i) threads_.emplace_back([this] { serve(); });
}

TestAccelerator::~TestAccelerator() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  {
    std::lock_guard lock(accelerators().mutex);
    std::erase(accelerators().list, this);
  }
  munmap(shown_, kArenaBytes);
  munmap(alias_, kArenaBytes);
}

Result<std::unique_ptr<DeviceQueue>> TestAccelerator::make_queue() {
  auto lane = std::make_shared<Lane>();
  std::lock_guard lock(mutex_);
  lanes_.push_back(lane);
  return std::unique_ptr<DeviceQueue>(std::make_unique<Queue>(*this, std::move(lane)));
}

// The first place behind the last one that is free, a page between any two.
void* TestAccelerator::allocate(size_t bytes) {
  const size_t room = (bytes + kPageBytes - 1) / kPageBytes * kPageBytes + kPageBytes;
  std::lock_guard lock(mutex_);
  for (const size_t from : {next_offset_, size_t{0}}) {
    size_t at = from;
    for (const auto& [offset, size] : allocations_) {
      if (offset + size <= at) continue;
      if (at + room <= offset) break;
      at = (offset + size + 2 * kPageBytes - 1) / kPageBytes * kPageBytes;
    }
    if (at + room > kArenaBytes) continue;
    allocations_[at] = bytes;
    next_offset_ = at + room;
    return shown_ + at;
  }
  return nullptr;
}

// Called with mutex_ held.
bool TestAccelerator::used_by_work(const std::byte* memory, size_t bytes) const {
  const auto inside = [&](const void* p) { return p >= memory && p < memory + bytes; };
  for (const std::shared_ptr<Lane>& lane : lanes_) {
    for (const Work& work : lane->work) {
      if (inside(work.to.first) || inside(work.to.second) || inside(work.a) || inside(work.b)) return true;
    }
  }
  return false;
}

void TestAccelerator::free(void* memory) {
  if (memory == nullptr) return;
  const auto offset = static_cast<size_t>(static_cast<std::byte*>(memory) - shown_);
  std::lock_guard lock(mutex_);
  const auto found = allocations_.find(offset);
  if (found == allocations_.end()) {
    violations_.push_back(std::string(name_) + ": freed what was not allocated");
    return;
  }
  if (used_by_work(static_cast<std::byte*>(memory), found->second)) {
    violations_.push_back(std::string(name_) + ": freed what unfinished work uses");
    return;
  }
  const size_t pages = (found->second + kPageBytes - 1) / kPageBytes * kPageBytes;
  if (pages != 0) madvise(alias_ + offset, pages, MADV_REMOVE);
  allocations_.erase(found);
}

bool TestAccelerator::holds(const void* p) const {
  const auto* const at = static_cast<const std::byte*>(p);
  return at >= shown_ && at < shown_ + kArenaBytes;
}

void TestAccelerator::hold() {
  std::unique_lock lock(mutex_);
  held_ = true;
  changed_.wait(lock, [&] { return running_ == 0; });
}

void TestAccelerator::go_on() {
  {
    std::lock_guard lock(mutex_);
    held_ = false;
  }
  changed_.notify_all();
}

bool TestAccelerator::busy() const {
  std::lock_guard lock(mutex_);
  return std::any_of(lanes_.begin(), lanes_.end(), [](const auto& lane) { return !lane->work.empty(); });
}

uint64_t TestAccelerator::done() const {
  std::lock_guard lock(mutex_);
  return done_;
}

std::vector<std::string> TestAccelerator::take_violations() {
  std::lock_guard lock(mutex_);
  return std::exchange(violations_, {});
}

size_t TestAccelerator::allocations() const {
  std::lock_guard lock(mutex_);
  return allocations_.size();
}

void TestAccelerator::issue(const std::shared_ptr<Lane>& lane, Work work) {
  {
    std::lock_guard lock(mutex_);
    const bool delayed = most_delay_us_ > 0 && random_() % 2 == 0;
    const uint64_t delay_us = delayed ? random_() % static_cast<uint64_t>(most_delay_us_) : 0;
    work.due = Clock::now() + std::chrono::microseconds(delay_us);
    if (lane->state.load(std::memory_order_relaxed) == QueueState::kFailed) return;
    lane->work.push_back(work);
    lane->state.store(QueueState::kBusy, std::memory_order_relaxed);
  }
  changed_.notify_all();
}

void TestAccelerator::remove(const std::shared_ptr<Lane>& lane) {
  std::lock_guard lock(mutex_);
  if (!lane->work.empty()) violations_.push_back(std::string(name_) + ": a busy queue was destroyed");
  std::erase(lanes_, lane);
}

// A lane whose first piece of work is due; else nullptr, and when the next one will be.
std::shared_ptr<TestAccelerator::Lane> TestAccelerator::next_lane(Clock::time_point now, Clock::time_point& next_due) {
  next_due = Clock::time_point::max();
  if (held_) return nullptr;
  std::vector<std::shared_ptr<Lane>> ready;
  for (const std::shared_ptr<Lane>& lane : lanes_) {
    if (lane->running || lane->work.empty()) continue;
    if (lane->work.front().due <= now) {
      ready.push_back(lane);
    } else {
      next_due = std::min(next_due, lane->work.front().due);
    }
  }
  return ready.empty() ? nullptr : ready[random_() % ready.size()];
}

void TestAccelerator::serve() {
  std::unique_lock lock(mutex_);
  while (!ending_) {
    Clock::time_point next_due;
    const std::shared_ptr<Lane> lane = next_lane(Clock::now(), next_due);
    if (lane == nullptr) {
      next_due == Clock::time_point::max() ? changed_.wait(lock) : static_cast<void>(changed_.wait_until(lock, next_due));
      continue;
    }
    Work work = lane->work.front();
    std::string wrong = translate(work);
    if (wrong.empty()) {
      lane->running = true;
      ++running_;
      lock.unlock();
      run(work);
      lock.lock();
      --running_;
      lane->running = false;
      lane->work.pop_front();
      ++done_;
      if (lane->work.empty()) lane->state.store(QueueState::kFinished, std::memory_order_release);
    } else {
      lane->failure = wrong;
      lane->work.clear();
      lane->state.store(QueueState::kFailed, std::memory_order_release);
      violations_.push_back(std::string(name_) + ": " + std::move(wrong));
    }
    changed_.notify_all();
  }
}

// Called with mutex_ held.
std::string TestAccelerator::translate(const void*& p, size_t bytes) const {
  if (p == nullptr || bytes == 0) return {};
  if (holds(p)) {
    const auto offset = static_cast<size_t>(static_cast<const std::byte*>(p) - shown_);
    const auto behind = allocations_.upper_bound(offset);
    if (behind == allocations_.begin()) return "work on memory that is not allocated";
    const auto& [start, size] = *std::prev(behind);
    if (offset + bytes > start + size) return "work on memory that is not allocated, or no longer";
    p = alias_ + offset;
    return {};
  }
  std::lock_guard lock(accelerators().mutex);
  for (const TestAccelerator* other : accelerators().list) {
    if (other->holds(p)) return std::string("work on memory of ") + other->name() + ", which it cannot reach";
  }
  return {};
}

std::string TestAccelerator::translate(Work& work) const {
  const size_t bytes = work.kind == Kind::kCopy ? work.count : work.count * type_bytes(work.arithmetic.type);
  const void* first = work.to.first;
  const void* second = work.to.second;
  for (const void** each : {&first, &second, &work.a, &work.b}) {
    if (std::string wrong = translate(*each, bytes); !wrong.empty()) return wrong;
  }
  work.to.first = const_cast<void*>(first);
  work.to.second = const_cast<void*>(second);
  return {};
}

void TestAccelerator::run(const Work& work) {
  if (work.count == 0) return;  // the pointers may be null
  switch (work.kind) {
    case Kind::kCopy: return host_device().copy(work.to, work.a, work.count);
    case Kind::kReduce: return host_device().reduce(work.to, work.a, work.b, work.count, work.arithmetic);
    case Kind::kTransform: return host_device().transform(work.to, work.a, work.count, work.arithmetic);
  }
}

TestAccelerator& test_accelerator_a() {
  static auto* const accelerator = new TestAccelerator("test_a", 1, 100);
  return *accelerator;
}

TestAccelerator& test_accelerator_b() {
  static auto* const accelerator = new TestAccelerator("test_b", 2, 100);
  return *accelerator;
}

}  // namespace tutti
