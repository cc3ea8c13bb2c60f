#include "comm/batch.h"

#include <algorithm>

#include "executor/wait.h"

namespace tutti {

void Batch::add(Communicator& comm, const Request& request, std::vector<Block> inputs, std::vector<Block> outputs) {
  operations_.push_back({.comm = &comm, .request = request, .inputs = std::move(inputs), .outputs = std::move(outputs)});
  if (std::find(communicators_.begin(), communicators_.end(), &comm) == communicators_.end()) communicators_.push_back(&comm);
}

void Batch::add(Communicator& comm, const PointToPoint& call) {
  const auto found = std::find_if(operations_.begin(), operations_.end(), [&](const Operation& operation) {
    return operation.comm == &comm && operation.request.collective == Collective::kSendRecv;
  });
  if (found == operations_.end()) {
    add(comm, Request{.collective = Collective::kSendRecv});
    operations_.back().calls.push_back(call);
  } else {
    found->calls.push_back(call);
  }
}

void Batch::take_turns() {
  walkers_.reserve(operations_.size());  // nothing may fail between a turn and its run
  for (Operation& operation : operations_) {
    operation.turn = operation.comm->take_turn(operation.request.collective);
    // The vectors have come to rest.
    operation.request.input_blocks = operation.inputs;
    operation.request.output_blocks = operation.outputs;
    operation.request.calls = operation.calls;
  }
}

Status Batch::call_off(Status status) {
  for (Communicator* comm : communicators_) comm->fail(status);
  static_cast<void>(run());
  return status;
}

void Batch::begin_on_stream() {
  for (const Operation& operation : operations_) operation.comm->stream_operation_begins();
}

void Batch::end_on_stream() {
  for (const Operation& operation : operations_) operation.comm->stream_operation_ends();
}

void Batch::clear() {
  operations_.clear();
  communicators_.clear();
  walkers_.clear();
}

bool Batch::Walker::takes(const Operation& operation) const {
  return operation.comm == comm && (operation.request.collective == Collective::kSendRecv) == point_to_point;
}

// Takes the walker's communicator as far as it goes. True if anything moved.
Result<bool> Batch::advance(Walker& walker) {
  bool moved = false;
  for (;;) {
    if (walker.running == nullptr) {
      while (walker.next < operations_.size() && !walker.takes(operations_[walker.next])) ++walker.next;
      if (walker.next == operations_.size()) {
        walker.finished = true;
        return moved;
      }
      const Operation& operation = operations_[walker.next];
      Lane& lane = *operation.turn.lane;
      if (lane.busy_for(operation.turn.number)) return moved;
      ++walker.next;
      moved = true;
      if (Status status = lane.begin(operation.request, operation.turn.number); !status.ok()) return status;
      walker.running = &lane;
    }
    const Result<Lane::Progress> progress = walker.running->advance();
    if (!progress.ok()) {
      walker.running = nullptr;
      return progress.status();
    }
    if (progress.value() == Lane::Progress::kBlocked) return moved;
    moved = true;
    if (progress.value() == Lane::Progress::kDone) walker.running = nullptr;
  }
}

Status Batch::run() {
  walkers_.clear();
  for (const Operation& operation : operations_) {
    const auto takes_it = [&](const Walker& walker) { return walker.takes(operation); };
    if (std::any_of(walkers_.begin(), walkers_.end(), takes_it)) continue;
    walkers_.push_back({.comm = operation.comm, .point_to_point = operation.request.collective == Collective::kSendRecv});
  }
  if (walkers_.empty()) return {};
  Status first_error;
  // A communicator that failed is poisoned: its later operations are begun, fail at once and free their lanes, and are not reported again.
  const auto note = [&](const Status& status) {
    if (first_error.ok()) first_error = status;
  };
  Waiter waiter(walkers_.front().comm->wait_policy());
  for (size_t left = walkers_.size(); left != 0;) {
    bool moved = false;
    left = 0;
    for (Walker& walker : walkers_) {
      if (walker.finished) continue;
      const Result<bool> advanced = advance(walker);
      if (!advanced.ok()) note(advanced.status());
      moved = moved || !advanced.ok() || advanced.value();
      if (!walker.finished) ++left;
    }
    if (moved) {
      waiter.reset();
    } else if (left != 0 && waiter.pause()) {
      for (Walker& walker : walkers_) {
        if (walker.finished || walker.running == nullptr) continue;
        if (const Status status = walker.running->look(waiter.waited_s()); !status.ok()) {
          walker.running = nullptr;
          note(status);
        }
      }
    }
  }
  return first_error;
}

}  // namespace tutti
