#include "api/group.h"

#include <algorithm>
#include <thread>

namespace tutti {

Status make_communicator(const PendingInit& init) {
  Result<std::unique_ptr<Communicator>> comm = Communicator::join(init.id, init.joining, init.config);
  if (!comm.ok()) return comm.status();
  *init.handle = make_handle(std::move(*comm));
  return {};
}

Status make_communicators(const std::vector<PendingInit>& inits) {
  std::vector<Status> results(inits.size());
  std::vector<std::thread> threads;
  threads.reserve(inits.size());
  Status no_thread;
  for (size_t i = 0; i < inits.size() && no_thread.ok(); ++i) {
    try {
      threads.emplace_back([&, i] {
        try {
          results[i] = make_communicator(inits[i]);
        } catch (const std::exception& error) {
          results[i] = {Code::kSystem, error.what()};
        }
      });
    } catch (const std::system_error& error) {  // those that were started wait for this one until the init timeout
      no_thread = system_error("start a thread for rank " + std::to_string(inits[i].joining.rank), error.code().value());
    }
  }
  for (std::thread& thread : threads) thread.join();
  if (!no_thread.ok()) results[0] = no_thread;
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

Batch& Group::batch_for(HostStream* stream) {
  if (stream == nullptr) return inline_;
  for (OnStream& each : streams_) {
    if (each.stream == stream) return each.batch;
  }
  return streams_.emplace_back(OnStream{.stream = stream, .batch = {}}).batch;
}

void Group::add(HostStream* stream, Communicator& comm, const Request& request, std::vector<Block> inputs, std::vector<Block> outputs) {
  Batch& batch = batch_for(stream);
  order_.push_back({stream, batch.size()});
  batch.add(comm, request, std::move(inputs), std::move(outputs));
}

void Group::add(HostStream* stream, Communicator& comm, const PointToPoint& call) {
  Batch& batch = batch_for(stream);
  const size_t index = batch.size();
  batch.add(comm, call);
  if (batch.size() != index) order_.push_back({stream, index});  // else it has joined an earlier one
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
  inline_.clear();
  streams_.clear();
  order_.clear();
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

// Precondition: the batch's turns are taken.
void enqueue(HostStream& stream, const std::shared_ptr<Batch>& batch) {
  batch->begin_on_stream();
  stream.enqueue([batch]() -> Status {
    Status status = batch->run();
    batch->end_on_stream();
    return status;
  });
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
  // shared_ptr: std::function wants copyable tasks.
  const auto shared = std::make_shared<Batch>(std::move(batch));
  Entered entered;
  if (Status status = entered.enter(shared->communicators()); !status.ok()) return status;
  shared->take_turns();
  enqueue(stream, shared);
  return {};
}

Status Group::run_operations() {
  if (!streams_.empty()) return run_over_streams();
  return inline_.empty() ? Status() : run_inline(inline_);
}

// Turns are taken in the order of the calls, since the ranks may have spread them over streams differently. Then streams first: an
// operation of a NULL stream waits for all that was submitted before the group, and must not hold up what comes beside it, which its peers
// may wait for.
Status Group::run_over_streams() {
  std::vector<Communicator*> communicators = inline_.communicators();
  for (const OnStream& each : streams_) {
    for (Communicator* comm : each.batch.communicators()) {
      if (std::find(communicators.begin(), communicators.end(), comm) == communicators.end()) communicators.push_back(comm);
    }
  }
  Entered entered;
  if (Status status = entered.enter(communicators); !status.ok()) return status;
  std::vector<Communicator::Submitted> before;
  for (const Communicator* comm : inline_.communicators()) before.push_back(comm->submitted());
  for (const Ordered& operation : order_) batch_for(operation.stream).take_turn(operation.index);
  for (OnStream& each : streams_) enqueue(*each.stream, std::make_shared<Batch>(std::move(each.batch)));
  for (size_t i = 0; i < before.size(); ++i) inline_.communicators()[i]->wait_for(before[i]);
  return inline_.run();
}

}  // namespace tutti
