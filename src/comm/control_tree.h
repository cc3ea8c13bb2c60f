// The control tree: one persistent tree of authenticated TCP connections between the ranks of a communicator, served by the control thread
// and never on the data path. It carries the table of the bootstrap up and down, and afterwards short messages from rank to rank or to all:
// news of failures, questions, answers (health.h gives them their meaning).
//
// A rank listens for its children before it joins the rendezvous, learns its place there (rendezvous.h), connects to its parent, and sends
// its subtree's data up once it has it; the root sends the whole table down. So a rank sends and receives at most kTreeArity + 1 tables.
// Each edge proves the key both ways first (reception.h); once the children have come, nobody listens any more.
//
// A message goes along the only path between two ranks; one to all goes over every edge once. Messages of one rank to another keep their
// order. A rank that has died cuts the tree: each of its neighbours notices, so every part hears of it. A rank whose communicator ends in
// good order says goodbye and goes on forwarding, on the control thread alone, until no neighbour needs it: each edge is given up once
// everything beyond it has ended (kDone).
//
// Several communicators may share one tree: messages carry a context, 0 being the communicator for which the tree was made; each context
// has its own listener. Ranks here are always the tree's.
//
// The kernel finds hosts that vanish (Connection::detect_lost_host): a heartbeat of our own could only add processes that are stopped, and
// those are nobody's failure before an operation's timeout. Threading: every method from any thread. Listeners are called on the control
// thread, and must not block.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "comm/rendezvous.h"

namespace tutti {

class TreeNode;

inline constexpr size_t kMaxJoinBytes = 4096;          // what a rank may bring to the table
inline constexpr size_t kMaxTreePayloadBytes = 16384;  // of a message

class TreeListener {
 public:
  virtual ~TreeListener() = default;
  virtual void on_message(int from, uint16_t kind, std::span<const std::byte> payload) = 0;
  // `rank` has ended without a goodbye; `how` goes on from "rank 3 (host h) ".
  virtual void on_died(int rank, const std::string& how) = 0;
};

class ControlTree {
 public:
  struct Joined {
    std::vector<Bytes> table;  // by rank
    std::shared_ptr<ControlTree> tree;
  };
  // Blocks until all have come and everybody's bytes are here. `of_node`: what one rank of each node, the lowest, adds to its bytes; called
  // on that one alone, in this thread, while others wait; what would go over kMaxJoinBytes with it is left out. Errors: those of
  // join_rendezvous(); kInvalidUsage (`mine` is over kMaxJoinBytes).
  static Result<Joined> join(const RendezvousId& id, const Joining& joining, std::span<const std::byte> mine,
                             const std::function<Bytes()>& of_node = {});

  // Says goodbye, and waits a moment until it is said: the process may end now.
  ~ControlTree();
  ControlTree(const ControlTree&) = delete;
  ControlTree& operator=(const ControlTree&) = delete;

  // What came for the context before is delivered first, up to a bound. shared_ptr: a call may be under way when it is detached.
  void attach(uint32_t context, std::shared_ptr<TreeListener> listener);
  void detach(uint32_t context);

  // For who must not keep the tree's end waiting.
  std::shared_ptr<TreeNode> node() const { return node_; }

  // Lost where the path is cut. To oneself is legal.
  void send(uint32_t context, int to, uint16_t kind, Bytes payload);
  // To all others.
  void flood(uint32_t context, uint16_t kind, Bytes payload);

 private:
  explicit ControlTree(std::shared_ptr<TreeNode> node) : node_(std::move(node)) {}
  std::shared_ptr<TreeNode> node_;  // shared with the control thread, which keeps it while it forwards
};

}  // namespace tutti
