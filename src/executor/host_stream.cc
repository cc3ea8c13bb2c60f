#include "executor/host_stream.h"

#include <pthread.h>
#include <signal.h>

#include <set>
#include <system_error>

namespace tutti {
namespace {

struct Registry {
  std::mutex mutex;
  std::set<void*> streams;
};

Registry& registry() {
  static auto* const instance = new Registry;  // never destroyed: a stream may outlive every static
  return *instance;
}

}  // namespace

Result<HostStream*> HostStream::create() {
  std::unique_ptr<HostStream> stream(new HostStream);
  // The thread takes no signals: they are the program's.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  Status status;
  try {
    stream->thread_ = std::thread([s = stream.get()] { s->serve(); });
  } catch (const std::system_error& error) {
    status = system_error("start a stream's thread", error.code().value());
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (!status.ok()) return status;
  std::lock_guard lock(registry().mutex);
  registry().streams.insert(stream.get());
  return stream.release();
}

HostStream* HostStream::find(void* handle) {
  std::lock_guard lock(registry().mutex);
  return registry().streams.contains(handle) ? static_cast<HostStream*>(handle) : nullptr;
}

void HostStream::destroy(HostStream* stream) {
  {
    std::lock_guard lock(registry().mutex);
    registry().streams.erase(stream);
  }
  delete stream;
}

HostStream::~HostStream() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void HostStream::enqueue(std::function<Status()> task) {
  {
    std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  changed_.notify_all();
}

Status HostStream::synchronize() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return tasks_.empty() && !running_; });
  return std::exchange(error_, Status());
}

bool HostStream::idle() {
  std::lock_guard lock(mutex_);
  return tasks_.empty() && !running_;
}

void HostStream::serve() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return !tasks_.empty() || ending_; });
    if (tasks_.empty()) return;
    std::function<Status()> task = std::move(tasks_.front());
    tasks_.pop_front();
    running_ = true;
    lock.unlock();
    Status status;
    try {
      status = task();
      task = nullptr;  // what it holds is released before it counts as run
    } catch (const std::exception& error) {
      status = {Code::kSystem, std::string("a task on a stream: ") + error.what()};
    }
    lock.lock();
    running_ = false;
    if (error_.ok() && !status.ok()) error_ = std::move(status);
    changed_.notify_all();
  }
}

}  // namespace tutti
