// Whether a machine looks the same from every rank, and how. Ranks are written as digits of a mixed radix (the axes of a torus; a node and
// a place in it; bits), and a shift adds to the digits, each modulo its radix. If every shift maps the network onto itself, what rank 0
// sees of a plan that shifts likewise is what all see: the simulator then follows one rank in place of thousands.
//
// Edges fall into classes, the sets that shifts carry into each other. A message of rank 0 that crosses m edges of a class stands for n
// messages, which load each of the class's edges with n m / (edges of the class) of its size.
// Threading: immutable once found.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "topology/network.h"
#include "topology/topology.h"

namespace tutti {

class Symmetry {
 public:
  // nullopt: shifts with these radices are no symmetry of the network. Precondition: the radices' product is the number of ranks.
  static std::optional<Symmetry> find(const Network& network, std::vector<int> radices);

  // The numbering alone, with no edges: for shifted() and inverse().
  static Symmetry numbering(int nranks, std::vector<int> radices);

  // The numberings that machines of this shape suggest, those that fit most plans first: the axes, islands and places in them, all ranks
  // around one circle, bits.
  static std::vector<std::vector<int>> likely_radices(const Topology& topology);

  int nranks() const { return nranks_; }
  // The rank whose digits are the sums of both's; and the rank that, added to this one, is rank 0.
  int shifted(int rank, int by) const;
  int inverse(int rank) const;

  int classes() const { return static_cast<int>(edges_in_class_.size()); }
  uint32_t class_of(uint32_t edge) const { return class_of_[edge]; }
  int edges_in_class(uint32_t edge_class) const { return edges_in_class_[edge_class]; }
  // Any edge of a class: all have its rate and latency.
  uint32_t edge_of_class(uint32_t edge_class) const { return edge_of_class_[edge_class]; }

 private:
  int nranks_ = 0;
  std::vector<int> radices_;
  std::vector<uint32_t> class_of_;
  std::vector<int> edges_in_class_;
  std::vector<uint32_t> edge_of_class_;
};

}  // namespace tutti
