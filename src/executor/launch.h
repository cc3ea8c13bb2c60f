// A program made concrete: bound to a communicator's FIFOs (once) and to a count and type (memoised: a repeated call finds it done).
//
// Slices of an uneven request fall block by block: slice s of a block is its elements from s * slice_elems on, and a short block has
// nothing in the later slices. Both ends of a message know the block's count, so both know which messages there are.
//
// How a count falls into slices: plan/slicing.h.
//
// Threading: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "device/device.h"
#include "executor/fifo.h"
#include "plan/program.h"
#include "plan/slicing.h"

namespace tutti {

// What an instruction touches in a slice: byte offsets from the buffer's start for slice 0, and elements. Slice s adds s * slice bytes.
struct Extent {
  size_t src = 0;
  size_t dst = 0;
  size_t elems = 0;
};

// An instruction bound to its FIFO ends. Plain data for the interpreter's loop.
struct Step {
  FifoSender* send = nullptr;
  FifoReceiver* recv = nullptr;
  const Instruction* instruction = nullptr;
  Buffer src = Buffer::kNone;
  Buffer dst = Buffer::kNone;
  bool reduce = false;
  bool src_first = false;
  bool completes = false;
  int after_channel = -1;
  int after_index = -1;
  Extent full;  // in all slices but the last
  Extent last;  // in the last
};

struct Launch {
  const Program* program = nullptr;
  uint32_t message_bytes = 0;  // the most that one message carries
  std::vector<std::vector<Step>> channels;

  // The memo: what `channels`' extents are for.
  size_t count = 0;
  size_t elem_bytes = 0;
  Slicing slicing;

  // Sets the extents for `count` elements of `elem_bytes`; does nothing if they are set already. Allocates nothing.
  void resolve(size_t new_count, size_t new_elem_bytes);
};

}  // namespace tutti
