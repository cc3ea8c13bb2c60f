// Packed trees: the block is divided among trees that together fill the links that bind, whatever the graph: broadcast down the trees of
// the root, reduce up them, all-gather and reduce-scatter along trees of every rank, all-reduce up to the roots of some trees and from
// there down. topology/packing.h has how the trees come about and what rate they reach; it is the tightest cut's where routes allow it.
//
// Steps: the depth of the trees (all-reduce: up and down), pipelined over slices. Bytes: on each link at most the packing's share of its
// rate; a rank sends as many as its place in the trees asks for. Any graph, up to kMostPackedRanks ranks; commutative reductions;
// all-gather takes uneven blocks. Every element is reduced along one tree and copied from its root: the same bits everywhere.
// A choice has one channel; its `parameter` is the most FIFOs between two ranks, 0: kMostShares. With enough of them every tree has its
// own; where trees are too many, messages are put on FIFOs by their distance from the start, so that what is early does not wait behind
// what is late.
//
// Edmonds: "Edge-disjoint branchings", 1973; Zhao et al.: "ForestColl: Throughput-optimal collective communications on heterogeneous
// network fabrics", arXiv 2402.06787.
#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "algorithms/algorithm.h"
#include "algorithms/weave.h"

namespace tutti {
namespace {

int max_channels(const PlanRequest& request, const Topology& topology) {
  if (request.nranks > kMostPackedRanks || topology.nranks() != request.nranks || request.rank_ordered) return 0;
  switch (request.collective) {
    case Collective::kBroadcast:
    case Collective::kReduce:
    case Collective::kAllGather:
    case Collective::kAllReduce: return 1;
    case Collective::kReduceScatter: return request.uneven ? 0 : 1;  // partial results are in scratch
    default: return 0;
  }
}

PackingKind kind_of(Collective collective) {
  switch (collective) {
    case Collective::kBroadcast: return PackingKind::kBroadcast;
    case Collective::kReduce: return PackingKind::kReduce;
    case Collective::kAllGather: return PackingKind::kAllGather;
    case Collective::kReduceScatter: return PackingKind::kReduceScatter;
    default: return PackingKind::kAllReduce;
  }
}

// One hop of a tree. All of one level may be under way at once; each needs only such as have a lower one.
struct Message {
  int level = 0;
  int tree = 0;
  int from = 0;
  int to = 0;
  bool up = false;
  int fifo = 0;
};

std::vector<int> depths(const std::vector<int>& parent) {
  std::vector<int> depth(parent.size(), -1);
  for (size_t rank = 0; rank < parent.size(); ++rank) {
    std::vector<size_t> way;
    for (size_t at = rank; depth[at] < 0; at = static_cast<size_t>(parent[at])) {
      way.push_back(at);
      if (parent[at] < 0) break;
    }
    for (auto at = way.rbegin(); at != way.rend(); ++at) depth[*at] = parent[*at] < 0 ? 0 : depth[static_cast<size_t>(parent[*at])] + 1;
  }
  return depth;
}

// All messages, in an order in which each comes after those that it needs.
class Timetable {
 public:
  Timetable(const TreePacking& packing, int nranks, int fifos) : packing_(packing), nranks_(nranks) {
    add_messages();
    if (!fifo_by_tree(fifos)) {
      for (Message& message : messages_) message.fifo = message.level * fifos / levels_;
    }
    sort_by_level();
  }

  const std::vector<Message>& messages() const { return messages_; }

  // The most channels that a Weave of any rank has.
  int channels() const {
    std::vector<uint8_t> used(hops(), 0);  // of each hop: the FIFOs, as bits
    std::vector<int> count(static_cast<size_t>(nranks_), 0);
    for (const Message& message : messages_) {
      uint8_t& bits = used[hop(message)];
      if ((bits >> message.fifo & 1) != 0) continue;
      bits = static_cast<uint8_t>(bits | 1 << message.fifo);
      ++count[static_cast<size_t>(message.from)];
      ++count[static_cast<size_t>(message.to)];
    }
    return *std::max_element(count.begin(), count.end());
  }

 private:
  static_assert(kMostShares <= 8, "a byte holds a bit for each FIFO between two ranks");
  size_t hops() const { return static_cast<size_t>(nranks_) * static_cast<size_t>(nranks_); }
  size_t hop(const Message& message) const { return static_cast<size_t>(message.from * nranks_ + message.to); }

  // Tree by tree, first the way up.
  void add_messages() {
    int deepest_up = 0;
    std::vector<std::vector<int>> up_depths;
    for (const PackedTree& tree : packing_.trees) {
      up_depths.push_back(depths(tree.up));
      for (const int depth : up_depths.back()) deepest_up = std::max(deepest_up, depth);
    }
    for (size_t t = 0; t < packing_.trees.size(); ++t) {
      const PackedTree& tree = packing_.trees[t];
      const std::vector<int> down_depth = depths(tree.down);
      for (int rank = 0; rank < nranks_ && !tree.up.empty(); ++rank) {
        const auto r = static_cast<size_t>(rank);
        if (rank != tree.root) add(deepest_up - up_depths[t][r], t, rank, tree.up[r], true);
      }
      for (int rank = 0; rank < nranks_ && !tree.down.empty(); ++rank) {
        const auto r = static_cast<size_t>(rank);
        if (rank != tree.root) add(deepest_up + down_depth[r] - 1, t, tree.down[r], rank, false);
      }
    }
  }

  void add(int level, size_t tree, int from, int to, bool up) {
    messages_.push_back({.level = level, .tree = static_cast<int>(tree), .from = from, .to = to, .up = up});
    levels_ = std::max(levels_, level + 1);
  }

  // Whether the FIFOs are enough for each tree to have its own wherever it goes, up and down apart: what goes up in the next slice must not
  // wait behind what comes down in this one.
  bool fifo_by_tree(int fifos) {
    std::vector<uint8_t> taken(hops(), 0);
    for (auto begin = messages_.begin(); begin != messages_.end();) {
      const auto end = std::find_if(begin, messages_.end(),
                                    [&](const Message& message) { return message.tree != begin->tree || message.up != begin->up; });
      uint8_t clashes = 0;
      for (auto message = begin; message != end; ++message) clashes |= taken[hop(*message)];
      int fifo = 0;
      while (fifo < fifos && (clashes >> fifo & 1) != 0) ++fifo;
      if (fifo == fifos) return false;
      for (; begin != end; ++begin) {
        begin->fifo = fifo;
        taken[hop(*begin)] = static_cast<uint8_t>(taken[hop(*begin)] | 1 << fifo);
      }
    }
    return true;
  }

  void sort_by_level() {
    std::vector<size_t> next(static_cast<size_t>(levels_) + 1, 0);
    for (const Message& message : messages_) ++next[static_cast<size_t>(message.level) + 1];
    for (size_t level = 1; level < next.size(); ++level) next[level] += next[level - 1];
    std::vector<Message> sorted(messages_.size());
    for (const Message& message : messages_) sorted[next[static_cast<size_t>(message.level)]++] = message;
    messages_ = std::move(sorted);
  }

  const TreePacking& packing_;
  const int nranks_;
  std::vector<Message> messages_;
  int levels_ = 1;
};

// One rank's program.
class Gardener {
 public:
  Gardener(const PlanRequest& request, const PlanChoice& choice, const TreePacking& packing, int rank)
      : collective_(request.collective), packing_(packing), rank_(rank), weave_(request, choice, rank), states_(packing.trees.size()) {
    uint32_t largest = 1;
    for (size_t t = 0; t < packing.trees.size(); ++t) {
      const PackedTree& tree = packing.trees[t];
      largest = std::max(largest, tree.end - tree.begin);
      for (const int parent : tree.up) states_[t].awaited += parent == rank ? 1 : 0;
    }
    weave_.builder().largest_message(largest, packing.den);
  }

  Program follow(const Timetable& timetable) {
    for (const Message& message : timetable.messages()) {
      if (message.from == rank_) message.up ? send_up(message) : send_down(message);
      if (message.to == rank_) message.up ? receive_up(message) : receive_down(message);
    }
    weave_.builder().use_scratch(static_cast<uint32_t>(scratch_of_root_.size()));
    return weave_.take(timetable.channels());
  }

 private:
  struct State {
    int awaited = 0;   // sums that are still to come from below
    StepDone summed;   // the last sum; none: what is held is the input
    StepDone sent;     // up
    StepDone arrived;  // from above, or at the root the first send
  };

  const PackedTree& tree_of(const Message& message) const { return packing_.trees[static_cast<size_t>(message.tree)]; }
  State& state_of(const Message& message) { return states_[static_cast<size_t>(message.tree)]; }
  Region part(const PackedTree& tree, Buffer buffer, int block) const {
    const uint32_t base = static_cast<uint32_t>(block) * packing_.den;
    return {buffer, base + tree.begin, base + tree.end, packing_.den};
  }
  Region in(const PackedTree& tree) const { return part(tree, Buffer::kInput, collective_ == Collective::kReduceScatter ? tree.root : 0); }
  Region out(const PackedTree& tree) const { return part(tree, Buffer::kOutput, collective_ == Collective::kAllGather ? tree.root : 0); }
  Region partial(const PackedTree& tree) {
    if (tree.root == rank_ || collective_ == Collective::kAllReduce) return out(tree);
    const int next = static_cast<int>(scratch_of_root_.size());
    return part(tree, Buffer::kScratch, scratch_of_root_.emplace(tree.root, next).first->second);
  }

  void send_up(const Message& message) {
    State& state = state_of(message);
    const PackedTree& tree = tree_of(message);
    state.sent = weave_.send(message.to, message.fifo, state.summed.none() ? in(tree) : partial(tree), state.summed);
  }

  void receive_up(const Message& message) {
    State& state = state_of(message);
    const PackedTree& tree = tree_of(message);
    const Region held = state.summed.none() ? in(tree) : partial(tree);
    const bool last = --state.awaited == 0;
    state.summed = weave_.recv_reduce(message.from, message.fifo, held, partial(tree), last && rank_ == tree.root, state.summed);
  }

  void send_down(const Message& message) {
    State& state = state_of(message);
    const PackedTree& tree = tree_of(message);
    if (rank_ == tree.root && tree.up.empty() && state.arrived.none()) {
      state.arrived = weave_.add({.send_peer = message.to, .src = in(tree), .dst = out(tree)}, message.fifo);
      return;
    }
    weave_.send(message.to, message.fifo, out(tree), rank_ == tree.root && !tree.up.empty() ? state.summed : state.arrived);
  }

  // In place, what goes up lies where the result will.
  void receive_down(const Message& message) {
    State& state = state_of(message);
    state.arrived = weave_.recv(message.from, message.fifo, out(tree_of(message)), state.sent);
  }

  const Collective collective_;
  const TreePacking& packing_;
  const int rank_;
  Weave weave_;
  std::vector<State> states_;           // of each tree
  std::map<int, int> scratch_of_root_;  // the block of scratch where this rank sums what goes to a root
};

Program generate(const PlanRequest& request, const PlanChoice& choice, const Topology& topology, int rank) {
  if (request.nranks == 1) return copy_alone(request, choice);
  const TreePacking& packing = topology.trees(kind_of(request.collective), has_root(request.collective) ? request.root : 0);
  const int fifos = choice.parameter == 0 ? kMostShares : std::clamp(choice.parameter, 1, kMostShares);
  return Gardener(request, choice, packing, rank).follow(Timetable(packing, request.nranks, fifos));
}

}  // namespace

extern const Algorithm packed_trees_algorithm = {
    "packed_trees", "along trees that together fill the tightest cut of any graph, pipelined: as many steps as they are deep", max_channels,
    generate, {}, true};

}  // namespace tutti
