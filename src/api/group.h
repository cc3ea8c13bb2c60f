// Groups: what a thread's calls between GroupStart and GroupEnd are collected in, and how they run together.
//
// A group's operations are one batch, whatever streams they name: it starts when every one of these streams has come to it, and all of them
// go on when it is complete. So no order of calls, and no spreading over streams, can block it.
//
// Invariant: nothing starts before the outermost end; if any call inside was refused, nothing starts at all.
// Threading: a group belongs to its thread.
#pragma once

#include <vector>

#include "api/handle.h"
#include "comm/batch.h"
#include "executor/host_stream.h"

namespace tutti {

// A communicator to be made: by tuttiCommInitRank and its like.
struct PendingInit {
  tuttiComm_t* handle = nullptr;
  RendezvousId id;
  Joining joining;
  Config config;
};

Status make_communicator(const PendingInit& init);
// All at once, each on a thread of its own. On failure no handle is set, and the first error is returned.
Status make_communicators(const std::vector<PendingInit>& inits);

class Group {
 public:
  static Group& of_this_thread();

  // Whether the calling thread has a group open.
  static bool any_open() { return depth_ > 0; }
  void start() { ++depth_; }
  // Errors: kInvalidUsage (no group is open), the first refused call's, or the first failed operation's.
  Status end();

  // Takes what the request's spans point to along.
  // On `stream`; nullptr: to be complete when the group ends.
  void add(HostStream* stream, Communicator& comm, const Request& request, std::vector<Block> inputs = {}, std::vector<Block> outputs = {});
  void add(HostStream* stream, Communicator& comm, const PointToPoint& call);
  void add(PendingInit init) { inits_.push_back(std::move(init)); }
  // A call inside was refused.
  void refuse(const Status& status) {
    if (refused_.ok()) refused_ = status;
  }

 private:
  void on(HostStream* stream);
  Status run_operations();
  Status run_beside_streams();
  void clear();

  // Apart from the rest of the group, so that a call outside any group reads one word: no constructor, no call to find it.
  [[gnu::tls_model("initial-exec")]] static thread_local int depth_;
  Status refused_;
  Batch batch_;                       // keeps its capacity: a repeated group allocates nothing
  bool completes_ = false;            // a NULL stream was named: the group's end returns when all is complete
  std::vector<HostStream*> streams_;  // the others that were named, each once
  std::vector<PendingInit> inits_;
};

// Runs operations: those of NULL streams now, the others on their streams. Their communicators are entered for the time of the call.
Status run_inline(Batch& batch);
Status run_on_stream(HostStream& stream, Batch batch);

}  // namespace tutti
