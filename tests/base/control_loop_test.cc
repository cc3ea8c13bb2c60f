// The control thread: handlers are called, and not after remove() has returned; timers run in order; any thread may do anything.
#include "base/control_loop.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "base/crypto.h"
#include "tests/support/eventually.h"
#include "tests/support/sanitizers.h"

namespace tutti {
namespace {

using std::chrono::milliseconds;

// An eventfd: readable once raised, until lowered.
class Event {
 public:
  int fd() const { return fd_.get(); }
  void raise() const {
    const uint64_t one = 1;
    ASSERT_EQ(write(fd(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
  }
  void lower() const {
    uint64_t ignored = 0;
    [[maybe_unused]] const ssize_t got = read(fd(), &ignored, sizeof ignored);
  }

 private:
  Fd fd_{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
};

// Set by one thread, awaited by another; unlike a promise, it may die as soon as it is seen set.
class Flag {
 public:
  void set() { set_.store(true, std::memory_order_release); }
  void wait() const {
    EXPECT_TRUE(eventually([&] { return is_set(); })) << "waited in vain";
  }
  bool is_set() const { return set_.load(std::memory_order_acquire); }

 private:
  std::atomic<bool> set_{false};
};

class ControlLoopTest : public ::testing::Test {
 protected:
  ControlLoop& loop() { return *ControlLoop::instance().value(); }

  ControlLoop::Watch add(const Event& event, ControlLoop::Handler handler) {
    const Result<ControlLoop::Watch> watch = loop().add(event.fd(), EPOLLIN, std::move(handler));
    EXPECT_TRUE(watch.ok()) << watch.status().message();
    return watch.ok() ? watch.value() : 0;
  }

  // Returns once the loop's thread has run a task given now: all that was due before has been handled or is about to be.
  void one_round() {
    Flag ran;
    loop().at(ControlLoop::Clock::now(), [&] { ran.set(); });
    ran.wait();
  }
};

TEST_F(ControlLoopTest, InstanceIsOneForTheProcess) {
  EXPECT_EQ(ControlLoop::instance().value(), ControlLoop::instance().value());
}

TEST_F(ControlLoopTest, AHandlerRunsOnTheControlThread) {
  const Event event;
  std::thread::id where;
  Flag called;
  const ControlLoop::Watch watch = add(event, [&](uint32_t events) {
    EXPECT_NE(events & EPOLLIN, 0U);
    event.lower();
    where = std::this_thread::get_id();
    called.set();
  });
  event.raise();
  called.wait();
  EXPECT_NE(where, std::this_thread::get_id());
  loop().remove(watch);
}

TEST_F(ControlLoopTest, AddRefusesWhatCannotBeWatched) {
  const Result<ControlLoop::Watch> watch = loop().add(-1, EPOLLIN, [](uint32_t) {});
  EXPECT_EQ(watch.status().code(), Code::kSystem);
  EXPECT_NE(watch.status().message().find("watch a descriptor"), std::string::npos);
}

TEST_F(ControlLoopTest, ModifyPausesAndResumes) {
  const Event event;
  std::atomic<int> calls{0};
  const ControlLoop::Watch watch = add(event, [&](uint32_t) {
    event.lower();
    ++calls;
  });
  loop().modify(watch, 0);
  event.raise();
  one_round();
  one_round();
  EXPECT_EQ(calls, 0);
  loop().modify(watch, EPOLLIN);
  EXPECT_TRUE(eventually([&] { return calls == 1; }));
  loop().remove(watch);
  loop().modify(watch, EPOLLIN);  // of one that is gone: nothing
}

TEST_F(ControlLoopTest, AHandlerMayRemoveItself) {
  const Event event;
  std::atomic<int> calls{0};
  ControlLoop::Watch watch = 0;
  Flag known;  // orders `watch` before the handler's use
  auto witness = std::make_shared<int>(0);
  watch = add(event, [&, witness](uint32_t) {
    known.wait();
    loop().remove(watch);
    *witness = ++calls;  // its captures live until it returns
  });
  known.set();
  event.raise();  // and never lowered: a handler that stayed would be called again and again
  EXPECT_TRUE(eventually([&] { return calls == 1; }));
  one_round();
  one_round();
  EXPECT_EQ(calls, 1);
}

TEST_F(ControlLoopTest, AHandlerMayRemoveAnotherAndAddOne) {
  const Event first, second, third;
  std::atomic<int> second_calls{0};
  Flag third_ran;
  const ControlLoop::Watch victim = add(second, [&](uint32_t) { ++second_calls; });
  loop().modify(victim, 0);
  second.raise();
  const ControlLoop::Watch watch = add(first, [&](uint32_t) {
    first.lower();
    loop().remove(victim);
    const Result<ControlLoop::Watch> made = loop().add(third.fd(), EPOLLIN | EPOLLONESHOT, [&](uint32_t) { third_ran.set(); });
    EXPECT_TRUE(made.ok());
    loop().modify(victim, EPOLLIN);
  });
  third.raise();
  first.raise();
  third_ran.wait();
  EXPECT_EQ(second_calls, 0);
  loop().remove(watch);
}

TEST_F(ControlLoopTest, RemoveWaitsForARunningHandler) {
  const Event event;
  Flag entered, leave, left, removing;
  const ControlLoop::Watch watch = add(event, [&](uint32_t) {
    event.lower();
    entered.set();
    leave.wait();
    left.set();
  });
  event.raise();
  entered.wait();
  std::thread remover([&] {
    removing.set();
    loop().remove(watch);
    EXPECT_TRUE(left.is_set());
  });
  removing.wait();
  leave.set();
  remover.join();
}

TEST_F(ControlLoopTest, RemovingTwiceOrNothingReturns) {
  const Event event;
  const ControlLoop::Watch watch = add(event, [](uint32_t) {});
  loop().remove(watch);
  loop().remove(watch);
  loop().remove(0);  // "no watch": what an object that was never watched holds
}

TEST_F(ControlLoopTest, TimersRunInOrder) {
  std::vector<int> order;
  Flag done;
  const auto now = ControlLoop::Clock::now();
  loop().at(now + milliseconds(30), [&] {
    order.push_back(4);
    done.set();
  });
  loop().at(now + milliseconds(20), [&] { order.push_back(2); });
  loop().at(now + milliseconds(20), [&] { order.push_back(3); });  // equal times: in the order of the calls
  loop().at(now + milliseconds(10), [&] { order.push_back(1); });
  done.wait();
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3, 4}));
  EXPECT_GE(ControlLoop::Clock::now(), now + milliseconds(30));
}

TEST_F(ControlLoopTest, ATimerMaySetAnother) {
  Flag done;
  loop().at(ControlLoop::Clock::now(), [&] { loop().at(ControlLoop::Clock::now(), [&] { done.set(); }); });
  done.wait();
}

TEST_F(ControlLoopTest, ACancelledTimerDoesNotRun) {
  Flag ran, after;
  const auto soon = ControlLoop::Clock::now() + milliseconds(20);
  const uint64_t timer = loop().at(soon, [&] { ran.set(); });
  loop().at(soon, [&] { after.set(); });
  loop().cancel(timer);
  after.wait();
  EXPECT_FALSE(ran.is_set());
  loop().cancel(timer);
}

TEST_F(ControlLoopTest, CancelWaitsForARunningTask) {
  Flag entered, leave, left, cancelling;
  const uint64_t timer = loop().at(ControlLoop::Clock::now(), [&] {
    entered.set();
    leave.wait();
    left.set();
  });
  entered.wait();
  std::thread canceller([&] {
    cancelling.set();
    loop().cancel(timer);
    EXPECT_TRUE(left.is_set());
  });
  cancelling.wait();
  leave.set();
  canceller.join();
}

TEST_F(ControlLoopTest, ATaskMayCancelItselfAndNothing) {
  Flag done;
  std::atomic<uint64_t> own{0};
  own = loop().at(ControlLoop::Clock::now() + milliseconds(10), [&] {
    loop().cancel(own);
    loop().cancel(0);
    done.set();
  });
  done.wait();
  loop().cancel(own);  // waits until the task no longer touches this frame
}

TEST_F(ControlLoopTest, PostedTasksOfOneThreadKeepTheirOrder) {
  std::vector<int> order;
  Flag done;
  for (int i = 0; i < 1000; ++i) {
    loop().post([&order, i] { order.push_back(i); });
  }
  loop().post([&] { done.set(); });
  done.wait();
  ASSERT_EQ(order.size(), 1000u);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

// Every thread makes, wakes, drops and closes its own watches and timers, as fast as it can; what handlers touch dies right after remove().
TEST_F(ControlLoopTest, ManyThreadsAtOnce) {
  constexpr int kThreads = 8, kRounds = 400;
  std::atomic<int> handled{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < kRounds; ++round) {
        auto event = std::make_unique<Event>();
        auto calls = std::make_unique<int>(0);  // the control thread's alone, then ours
        std::atomic<bool> called{false};
        const ControlLoop::Watch watch = add(*event, [&, e = event.get(), c = calls.get()](uint32_t) {
          e->lower();
          ++*c;
          called.store(true, std::memory_order_relaxed);
        });
        const auto timer = std::make_shared<std::atomic<bool>>(false);
        const uint64_t id = loop().at(ControlLoop::Clock::now() + std::chrono::microseconds(round % 50), [timer] { *timer = true; });
        event->raise();
        if ((round + t) % 3 == 0) {
          EXPECT_TRUE(eventually([&] { return called.load(std::memory_order_relaxed); }));
        }
        loop().remove(watch);
        handled += *calls;
        calls.reset();
        event.reset();
        loop().cancel(id);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GE(handled, kThreads * kRounds / 3);
  EXPECT_LE(handled, kThreads * kRounds);
}

// A static that handlers use, there before them, and slow to die.
struct Fragile {
  std::atomic<bool> alive{true};
  ~Fragile() {
    alive = false;
    std::this_thread::sleep_for(milliseconds(5));
  }
};
Fragile& fragile() {
  static Fragile it;
  return it;
}

// Keeps the control thread busy with it and with keyed hashes.
void keep_busy(ControlLoop& loop) {
  loop.post([&loop] {
    if (hmac_sha256(Key{}, {}) == Mac{} || !fragile().alive) std::abort();
    keep_busy(loop);
  });
}

[[noreturn]] void exit_while_busy() {
  (void)fragile();
  keep_busy(*ControlLoop::instance().value());
  std::this_thread::sleep_for(milliseconds(2));
  std::exit(0);
}

TEST_F(ControlLoopTest, TheProcessExitsWhileHandlersRun) {
  if (kUnderThreadSanitizer) GTEST_SKIP() << "ThreadSanitizer does not support a fork beside threads";
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  for (int round = 0; round < 5; ++round) EXPECT_EXIT(exit_while_busy(), testing::ExitedWithCode(0), "");
}

TEST_F(ControlLoopTest, AForkedChildIsRefused) {
  if (kUnderThreadSanitizer) GTEST_SKIP() << "ThreadSanitizer does not support a fork beside threads";
  (void)loop();
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) _exit(ControlLoop::instance().status().code() == Code::kInvalidUsage ? 0 : 1);
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace tutti
