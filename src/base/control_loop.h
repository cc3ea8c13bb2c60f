// The process's one control thread: it sleeps in epoll and serves rendezvous, connection requests and liveness. It is never on the data
// path. Handlers run on it, one at a time, and must not block.
//
// Invariant: once remove(watch) has returned, its handler does not run and will not (but for a handler that removes itself); the same
// holds for cancel(timer) and its task.
// Threading: every method may be called from any thread, handlers included. The loop starts with its first user and lives to the end
// of the process (a detached thread owning nothing that needs a destructor). When the process exits, it rests before what handlers may use
// (statics, libcrypto) is taken down.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "base/fd.h"
#include "base/status.h"

namespace tutti {

class ControlLoop {
 public:
  using Clock = std::chrono::steady_clock;
  using Handler = std::function<void(uint32_t epoll_events)>;

  // Errors: kSystem (descriptors or threads exhausted), and in a child that was forked after the loop had started.
  static Result<ControlLoop*> instance();

  // Names one add(). Never reused, so a late remove() hits nobody else.
  using Watch = uint64_t;

  // `fd` stays its owner's, who calls remove() before closing it. The handler may be called when there is nothing to do.
  Result<Watch> add(int fd, uint32_t epoll_events, Handler handler);
  void modify(Watch watch, uint32_t epoll_events);
  void remove(Watch watch);

  // Runs `task` once, at `when` or soon after. Once cancel() has returned, the task does not run and will not (but for a task that cancels
  // itself). cancel() on an id that has run, and on 0, is legal.
  uint64_t at(Clock::time_point when, std::function<void()> task);
  void cancel(uint64_t timer);
  // Runs `task` soon; tasks of one thread run in its order.
  void post(std::function<void()> task) { at(Clock::now(), std::move(task)); }

  // Whether the caller is a handler or a task.
  bool on_thread() const { return std::this_thread::get_id() == thread_; }

 private:
  ControlLoop() = default;
  Status start();
  void rest();
  void serve();
  int timeout_ms();
  void run_due_timers();
  void wake();

  struct Entry {
    int fd = -1;
    Handler handler;
  };

  Fd epoll_;
  Fd wake_;
  int owner_pid_ = 0;
  std::thread::id thread_;
  std::mutex mutex_;
  std::condition_variable idle_;
  bool resting_ = false;  // for good: nothing more runs
  uint64_t running_ = 0;  // the watch whose handler, or the timer whose task, runs right now; their ids never meet
  // shared_ptr: a handler may remove itself while it runs.
  std::map<Watch, std::shared_ptr<Entry>> entries_;
  std::map<std::pair<Clock::time_point, uint64_t>, std::function<void()>> timers_;
  uint64_t next_id_ = 1;  // of watches and timers; 0 is the wake-up's
};

}  // namespace tutti
