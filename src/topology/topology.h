// What an algorithm may ask of the machine: a graph with its structure worked out once, from which all ranks' programs are made. All ranks
// hold equal graphs, so whatever is derived here is equal on all ranks.
// Threading: immutable once made, but for what trees() and rings() remember under a lock; share freely.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/status.h"
#include "topology/graph.h"
#include "topology/network.h"
#include "topology/packing.h"

namespace tutti {

// The ranks as the places of a torus or mesh, in row-major order: the last axis is the fastest.
class Torus {
 public:
  explicit Torus(std::vector<Axis> axes) : axes_(std::move(axes)) {}

  const std::vector<Axis>& axes() const { return axes_; }
  int dimensions() const { return static_cast<int>(axes_.size()); }
  int size() const;
  // A rank's place along an axis, and the rank that has another place there and the same elsewhere.
  int place(int rank, int axis) const { return rank / stride(axis) % axes_[static_cast<size_t>(axis)].size; }
  int with_place(int rank, int axis, int place) const { return rank + (place - this->place(rank, axis)) * stride(axis); }

 private:
  int stride(int axis) const;

  std::vector<Axis> axes_;
};

class Topology {
 public:
  // Errors: those of Network::create; kInvalidArgument (axes that are not as many places as there are ranks).
  static Result<std::unique_ptr<const Topology>> create(Graph graph);

  const Graph& graph() const { return graph_; }
  const Network& network() const { return network_; }
  int nranks() const { return network_.nranks(); }

  // nullopt where the ranks form none.
  const std::optional<Torus>& torus() const { return torus_; }

  // Ranks that are joined more closely than the others: a node, a rack. Numbered by their lowest rank; their ranks ascending. A rank
  // without company is an island of one.
  const std::vector<std::vector<int>>& islands() const { return islands_; }
  int island_of(int rank) const { return island_of_[static_cast<size_t>(rank)]; }

  // pack_trees() of the network, made at the first use and kept: every rank's program of a plan asks for the same. Meanwhile others wait.
  // Precondition: that of pack_trees; root 0 where the kind has none.
  const TreePacking& trees(PackingKind kind, int root) const;

 private:
  Topology(Graph graph, Network network);

  Graph graph_;
  Network network_;
  std::optional<Torus> torus_;
  std::vector<std::vector<int>> islands_;
  std::vector<int> island_of_;
  mutable std::mutex packings_mutex_;
  mutable std::map<std::pair<PackingKind, int>, TreePacking> packings_;  // guarded by packings_mutex_; entries stay where they are
};

// Of single_host_graph.
std::unique_ptr<const Topology> single_host_topology(int nranks);

}  // namespace tutti
