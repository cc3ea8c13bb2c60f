// The table of collectives that tutti-perf can run. A new one is a row in collective.cc, with its layout (layout.h), and nothing elsewhere.
//
// Sizes follow nccl-tests: `bytes` is what the size column and the bandwidths count, `count` the argument of the call.
// Invariant: rows are constant and live forever. Threads: any.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "layout.h"
#include "tutti/tutti.h"

namespace perf {

// One size of one collective. The same on all ranks.
struct Shape {
  size_t bytes;
  size_t count;  // counts that differ: their mean
};

// One call's arguments. `send` and `recv` are null where the rank has nothing there.
struct Call {
  const void* send;
  void* recv;
  size_t count;
  tuttiDataType_t type;
  tuttiRedOp_t op;
  Place place;
  bool in_place;
  Layout layout;
  tuttiComm_t comm;
};

enum class Sizing {
  kNothing,  // no data; one row
  kCount,    // bytes = count elements
  kBlocks,   // bytes = a block of count elements for each rank
};

struct Collective {
  std::string_view name;
  std::optional<tuttiCollective_t> id;  // tuttiCommExplain knows it by this; nothing: it does not
  bool reduces;
  bool rooted;
  bool in_place;  // an in-place form exists
  Sizing sizing;
  double (*busbw_factor)(int ranks);
  Layout (*layout)(size_t count, const Place& place);
  tuttiResult_t (*call)(const Call& call);

  // The largest shape of at most `bytes`.
  Shape shape(size_t bytes, size_t elem_bytes, int ranks) const;
};

std::span<const Collective> collectives();

}  // namespace perf
