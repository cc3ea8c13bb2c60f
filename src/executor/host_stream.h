// A stream of a host: tasks that a thread of its own runs in their order.
// Threading: any thread.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "base/status.h"

namespace tutti {

class HostStream {
 public:
  // A live stream's handle and back. find() of anything else gives nullptr.
  static Result<HostStream*> create();
  static HostStream* find(void* handle);
  // Waits for its tasks, then ends it.
  static void destroy(HostStream* stream);

  void enqueue(std::function<Status()> task);
  // Waits until all that was enqueued before has run. Returns the first error since the last call.
  Status synchronize();
  // Whether all has run: then the first error since the last synchronize(), which stays.
  bool idle();

  ~HostStream();

 private:
  HostStream() = default;
  void serve();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<Status()>> tasks_;  // guarded by mutex_, as all below
  bool running_ = false;
  bool ending_ = false;
  Status error_;
  std::thread thread_;
};

}  // namespace tutti
