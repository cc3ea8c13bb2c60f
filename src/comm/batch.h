// Operations of one or several communicators that one thread drives side by side, so that no order among them can block: what a group is,
// and what a stream runs. Each communicator's collectives run in their order. Threading: filled by one thread, then run by one thread.
#pragma once

#include <deque>
#include <vector>

#include "comm/communicator.h"

namespace tutti {

class Batch {
 public:
  bool empty() const { return operations_.empty(); }

  // Takes what the request's spans point to along.
  void add(Communicator& comm, const Request& request, std::vector<Block> inputs = {}, std::vector<Block> outputs = {});
  // All sends and receives of a communicator are one operation, beside its collectives.
  void add(Communicator& comm, const PointToPoint& call);

  // Takes the operations' turns. The communicators must have been entered, and nothing is added any more.
  void take_turns();

  // Runs them to their end. One that fails ends; the others go on, since their peers count on them. Returns the first error.
  Status run();

  // In place of run(), where it cannot be run: fails its communicators, and frees the lanes of its turns. Returns `status`.
  Status call_off(Status status);

  const std::vector<Communicator*>& communicators() const { return communicators_; }
  // Counts them as running on a stream, or as ended there.
  void begin_on_stream();
  void end_on_stream();

  void clear();

 private:
  struct Operation {
    Communicator* comm;
    Request request;
    std::vector<Block> inputs;  // what the request's spans see
    std::vector<Block> outputs;
    std::vector<PointToPoint> calls;
    Turn turn;
  };
  // One communicator's way through its collectives, or through its sends and receives: the two have lanes and numbers of their own, and
  // ranks may name them in different orders, so neither waits for the other.
  struct Walker {
    Communicator* comm;
    bool point_to_point;
    size_t next = 0;
    Lane* running = nullptr;
    bool finished = false;

    bool takes(const Operation& operation) const;
  };

  Result<bool> advance(Walker& walker);

  // Their capacity is kept by clear(): a repeated group allocates nothing.
  std::vector<Operation> operations_;
  std::vector<Communicator*> communicators_;
  std::vector<Walker> walkers_;
};

}  // namespace tutti
