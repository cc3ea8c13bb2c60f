// Named systems: machines whose structure is public, as graphs with nominal rates. A name is a family, after it an optional shape or count
// and options; `+` composes islands, of different vendors too, which their NICs join through one non-blocking network:
//
//   dgx-h100   dgx-h100:32   tpu-v5e:4x8,wrap=10   fat-tree:256,k=32,oversubscription=2   dgx-h100:2+mi300x:2
//
// Ranks are numbered in the order of the names; the ranks of a torus in row-major order.
// Threading: any thread; a value is returned, nothing is kept.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "topology/graph.h"

namespace tutti {

// Errors: kInvalidArgument, with the part of the name that is wrong and what would be right.
Result<Graph> named_system(std::string_view name);

// For people: what `tutti-topo systems` lists.
struct SystemFamily {
  std::string name;
  std::string structure;   // "8 on NVSwitch, 18 x 25 GB/s each"
  std::string unit;        // of the name alone: "8 chips", "8x8x8 chips"
  std::string count;       // what a number after the colon counts: "nodes", "hosts"; empty: there is only one
  std::string options;     // "wrap=", separated by commas
  std::string confidence;  // in the rates: "high", "medium", "low"
};

// In the order of the table (systems_table.cc).
std::span<const SystemFamily> system_families();

}  // namespace tutti
