#include "base/control_loop.h"

#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>

#include "base/crypto.h"

namespace tutti {

Result<ControlLoop*> ControlLoop::instance() {
  // Never destroyed: the thread may outlive every static.
  static ControlLoop* const loop = new ControlLoop;
  static const Status started = loop->start();
  // Statics die in the reverse order of their making, so this one before all that were there when the thread began.
  struct AtExit {
    ~AtExit() { loop->rest(); }
  };
  static const AtExit at_exit;
  if (!started.ok()) return started;
  if (loop->owner_pid_ != getpid()) {
    return Status(Code::kInvalidUsage,
                  "this process was forked from one that had already used Tutti: fork before the first Tutti call, or exec");
  }
  return loop;
}

Status ControlLoop::start() {
  epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_) return system_error("create an epoll descriptor", errno);
  wake_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_) return system_error("create an eventfd", errno);
  epoll_event event = {.events = EPOLLIN, .data = {.u64 = 0}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) != 0) return system_error("watch an eventfd", errno);
  owner_pid_ = getpid();
  prepare_crypto();
  // The thread takes no signals: they are the program's.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  Status status;
  try {
    std::thread thread([this] { serve(); });
    thread_ = thread.get_id();
    thread.detach();
  } catch (const std::system_error& error) {
    status = system_error("start the control thread", error.code().value());
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return status;
}

// A handler that runs is waited for; none runs long. A forked child has no thread, and maybe a mutex that nobody will unlock.
void ControlLoop::rest() {
  constexpr auto kLongestHandler = std::chrono::seconds(1);
  if (owner_pid_ != getpid() || on_thread()) return;
  std::unique_lock lock(mutex_);
  resting_ = true;
  idle_.wait_for(lock, kLongestHandler, [&] { return running_ == 0; });
}

Result<ControlLoop::Watch> ControlLoop::add(int fd, uint32_t epoll_events, Handler handler) {
  std::lock_guard lock(mutex_);
  const Watch watch = next_id_++;
  entries_[watch] = std::make_shared<Entry>(Entry{fd, std::move(handler)});
  epoll_event event = {.events = epoll_events, .data = {.u64 = watch}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    const int error = errno;
    entries_.erase(watch);
    return system_error("watch a descriptor", error);
  }
  return watch;
}

void ControlLoop::modify(Watch watch, uint32_t epoll_events) {
  std::lock_guard lock(mutex_);
  const auto found = entries_.find(watch);
  if (found == entries_.end()) return;
  epoll_event event = {.events = epoll_events, .data = {.u64 = watch}};
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, found->second->fd, &event);
}

void ControlLoop::remove(Watch watch) {
  std::unique_lock lock(mutex_);
  if (const auto found = entries_.find(watch); found != entries_.end()) {
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, found->second->fd, nullptr);
    entries_.erase(found);
  }
  if (watch == 0 || on_thread()) return;  // 0 names no watch, but is what running_ holds while none runs
  idle_.wait(lock, [&] { return running_ != watch; });
}

uint64_t ControlLoop::at(Clock::time_point when, std::function<void()> task) {
  std::lock_guard lock(mutex_);
  const uint64_t id = next_id_++;
  timers_.emplace(std::make_pair(when, id), std::move(task));
  wake();
  return id;
}

void ControlLoop::cancel(uint64_t timer) {
  std::unique_lock lock(mutex_);
  std::erase_if(timers_, [&](const auto& entry) { return entry.first.second == timer; });
  if (timer == 0 || on_thread()) return;
  idle_.wait(lock, [&] { return running_ != timer; });
}

void ControlLoop::wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof one);  // full means that it is awake anyway
}

int ControlLoop::timeout_ms() {
  std::lock_guard lock(mutex_);
  if (resting_ || timers_.empty()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(timers_.begin()->first.first - Clock::now());
  return static_cast<int>(std::clamp<int64_t>(left.count(), 0, 3'600'000));
}

void ControlLoop::run_due_timers() {
  for (;;) {
    std::function<void()> task;
    {
      std::lock_guard lock(mutex_);
      if (resting_ || timers_.empty() || timers_.begin()->first.first > Clock::now()) return;
      task = std::move(timers_.begin()->second);
      running_ = timers_.begin()->first.second;
      timers_.erase(timers_.begin());
    }
    task();
    task = nullptr;  // what it holds dies before anybody who cancels it goes on
    {
      std::lock_guard lock(mutex_);
      running_ = 0;
    }
    idle_.notify_all();
  }
}

void ControlLoop::serve() {
  for (;;) {
    epoll_event events[64];
    const int count = epoll_wait(epoll_.get(), events, 64, timeout_ms());
    for (int i = 0; i < count; ++i) {
      const Watch watch = events[i].data.u64;
      if (watch == 0) {
        uint64_t ignored = 0;
        [[maybe_unused]] const ssize_t got = read(wake_.get(), &ignored, sizeof ignored);
        continue;
      }
      std::shared_ptr<Entry> entry;
      {
        std::unique_lock lock(mutex_);
        // For good, and without ending the thread: that would run what libcrypto does at a thread's end, after libcrypto's own.
        while (resting_) idle_.wait(lock);
        const auto found = entries_.find(watch);
        if (found == entries_.end()) continue;  // removed by a handler of this round
        entry = found->second;
        running_ = watch;
      }
      entry->handler(events[i].events);
      {
        std::lock_guard lock(mutex_);
        running_ = 0;
      }
      idle_.notify_all();
    }
    run_due_timers();
  }
}

}  // namespace tutti
