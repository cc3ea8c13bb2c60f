#include "api/group.h"

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <new>
#include <span>
#include <thread>

namespace tutti {

Status make_communicator(const PendingInit& init) {
  Result<std::unique_ptr<Communicator>> comm = Communicator::join(init.id, init.joining, init.config);
  if (!comm.ok()) return comm.status();
  *init.handle = make_handle(std::move(*comm));
  return {};
}

// Where memory runs out, sentences are made after the threads have given theirs back.
Status make_communicators(const std::vector<PendingInit>& inits) {
  std::vector<Status> results(inits.size());
  std::vector<char> out_of_memory(inits.size());
  std::vector<std::thread> threads;
  threads.reserve(inits.size());
  int no_thread = 0;  // an errno
  for (size_t i = 0; i < inits.size() && no_thread == 0; ++i) {
    try {
      threads.emplace_back([&, i] {
        try {
          results[i] = make_communicator(inits[i]);
        } catch (const std::bad_alloc&) {
          out_of_memory[i] = 1;
        } catch (const std::exception& error) {
          results[i] = {Code::kSystem, error.what()};
        }
      });
    } catch (const std::system_error& error) {  // those that were started wait for this one until the init timeout
      no_thread = error.code().value();
    } catch (const std::bad_alloc&) {
      no_thread = ENOMEM;
    }
  }
  const size_t started = threads.size();
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < started; ++i) {
    if (out_of_memory[i] != 0) results[i] = {Code::kSystem, "rank " + std::to_string(inits[i].joining.rank) + ": out of memory"};
  }
  if (no_thread != 0) results[0] = system_error("start a thread for rank " + std::to_string(inits[started].joining.rank), no_thread);
  const auto failed = std::find_if(results.begin(), results.end(), [](const Status& status) { return !status.ok(); });
  if (failed == results.end()) return {};
  for (const PendingInit& init : inits) {
    delete *init.handle;
    *init.handle = nullptr;
  }
  return *failed;
}

thread_local int Group::depth_ = 0;

Group& Group::of_this_thread() {
  thread_local Group group;
  return group;
}

void Group::on(HostStream* stream) {
  if (stream == nullptr) {
    completes_ = true;
  } else if (std::find(streams_.begin(), streams_.end(), stream) == streams_.end()) {
    streams_.push_back(stream);
  }
}

void Group::add(HostStream* stream, Communicator& comm, const Request& request, std::vector<Block> inputs, std::vector<Block> outputs) {
  on(stream);
  batch_.add(comm, request, std::move(inputs), std::move(outputs));
}

void Group::add(HostStream* stream, Communicator& comm, const PointToPoint& call) {
  on(stream);
  batch_.add(comm, call);
}

Status Group::end() {
  if (depth_ == 0) return {Code::kInvalidUsage, "no group is open on this thread: call tuttiGroupStart first"};
  if (--depth_ > 0) return {};
  Status status = std::move(refused_);
  if (status.ok() && !inits_.empty()) status = make_communicators(inits_);
  if (status.ok()) status = run_operations();
  clear();
  return status;
}

void Group::clear() {
  refused_ = {};
  batch_.clear();
  completes_ = false;
  streams_.clear();
  inits_.clear();
}

namespace {

// Enters all of some communicators, or none. Borrows them.
class Entered {
 public:
  Status enter(const std::vector<Communicator*>& communicators) {
    communicators_ = &communicators;
    for (Communicator* comm : communicators) {
      if (Status status = comm->enter(); !status.ok()) return status;
      ++entered_;
    }
    return {};
  }
  ~Entered() {
    for (size_t i = 0; i < entered_; ++i) (*communicators_)[i]->leave();
  }

 private:
  const std::vector<Communicator*>* communicators_ = nullptr;
  size_t entered_ = 0;
};

// Where the streams of a group wait for each other, and then for the group's operations.
class Meeting {
 public:
  explicit Meeting(size_t streams) : missing_(streams) {}

  // A stream's part. Returns when finish() was called, with its status.
  Status attend() {
    std::unique_lock lock(mutex_);
    --missing_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return finished_; });
    return status_;
  }
  // Bounded: what the streams hold before is.
  void await_all() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return missing_ == 0; });
  }
  void finish(const Status& status) {
    std::lock_guard lock(mutex_);
    status_ = status;
    finished_ = true;
    changed_.notify_all();
  }
  // Some will never come: lets those go that do.
  Status call_off() {
    Status status(Code::kSystem, "out of memory while a group was put on its streams");
    finish(status);
    return status;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t missing_;  // guarded by mutex_, as both below
  bool finished_ = false;
  Status status_;
};

// Has the streams attend: all of them, or none for long. Errors: kSystem (out of memory).
Status invite(std::span<HostStream* const> streams, const std::shared_ptr<Meeting>& meeting) {
  try {
    for (HostStream* stream : streams) stream->enqueue([meeting] { return meeting->attend(); });
  } catch (const std::bad_alloc&) {
    return meeting->call_off();
  }
  return {};
}

// Groups that have several streams in common must lie in all of them in the same order.
std::mutex enqueue_mutex;

Status run_on_streams(const std::vector<HostStream*>& streams, Batch batch) {
  // shared_ptr: std::function wants copyable tasks.
  const auto shared = std::make_shared<Batch>(std::move(batch));
  const auto meeting = std::make_shared<Meeting>(streams.size() - 1);
  Entered entered;
  if (Status status = entered.enter(shared->communicators()); !status.ok()) return status;
  shared->take_turns();
  shared->begin_on_stream();
  const auto run = [shared] {
    Status status = shared->run();
    shared->end_on_stream();
    return status;
  };
  const auto call_off = [&](Status status) {
    status = shared->call_off(std::move(status));
    shared->end_on_stream();
    return status;
  };
  if (streams.size() == 1) {
    try {
      streams.front()->enqueue(run);
    } catch (const std::bad_alloc&) {
      return call_off({Code::kSystem, "out of memory while an operation was put on its stream"});
    }
    return {};
  }
  std::lock_guard lock(enqueue_mutex);
  // First those that only attend: if memory ends midway, they are let go.
  if (Status status = invite(std::span(streams).subspan(1), meeting); !status.ok()) return call_off(status);
  try {
    streams.front()->enqueue([meeting, run] {
      meeting->await_all();
      Status status = run();
      meeting->finish(status);
      return status;
    });
  } catch (const std::bad_alloc&) {
    return call_off(meeting->call_off());
  }
  return {};
}

}  // namespace

Status run_inline(Batch& batch) {
  Entered entered;
  if (Status status = entered.enter(batch.communicators()); !status.ok()) return status;
  for (Communicator* comm : batch.communicators()) comm->wait_for_streams();
  batch.take_turns();
  return batch.run();
}

Status run_on_stream(HostStream& stream, Batch batch) {
  return run_on_streams({&stream}, std::move(batch));
}

Status Group::run_operations() {
  if (batch_.empty()) return {};
  if (streams_.empty()) return run_inline(batch_);
  return completes_ ? run_beside_streams() : run_on_streams(streams_, std::move(batch_));
}

// By this thread, while the streams wait. A NULL stream's operation follows all that was submitted to its communicator before.
Status Group::run_beside_streams() {
  Entered entered;
  if (Status status = entered.enter(batch_.communicators()); !status.ok()) return status;
  std::vector<Communicator::Submitted> before;
  for (const Communicator* comm : batch_.communicators()) before.push_back(comm->submitted());
  const auto meeting = std::make_shared<Meeting>(streams_.size());
  batch_.take_turns();
  {
    std::lock_guard lock(enqueue_mutex);
    if (Status status = invite(streams_, meeting); !status.ok()) return batch_.call_off(std::move(status));
  }
  meeting->await_all();
  for (size_t i = 0; i < before.size(); ++i) batch_.communicators()[i]->wait_for(before[i]);
  Status status = batch_.run();
  meeting->finish(status);
  return status;
}

}  // namespace tutti
