// A program made concrete: bound to a communicator's FIFOs (once) and to a count and type (memoised: a repeated call finds it done).
//
// Slices of an uneven request fall block by block: slice s of a block is its elements from s * slice_elems on, and a short block has
// nothing in the later slices. Both ends of a message know the block's count, so both know which messages there are.
//
// Slices. The elements are cut into slices of `slice_elems` (the last may be shorter), so that every message of a slice fits its slot. The
// program runs once per slice on that part of every block. How the slices fall follows from what all ranks agree on: count, type, slot,
// the program's largest message. Coordinate b/den of a slice of L elements is element floor(L b / den), computed without overflow.
//
// Threading: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "device/device.h"
#include "executor/fifo.h"
#include "plan/program.h"

namespace tutti {

// How `count` elements fall into slices.
struct Slicing {
  size_t slice_elems = 0;  // of all but the last
  size_t last_elems = 0;   // of the last
  size_t slices = 0;       // 0 where count is 0
};

// `capacity_elems` >= 1: the most elements of one message.
Slicing make_slicing(size_t count, uint32_t largest_num, uint32_t largest_den, size_t capacity_elems);

// floor(elems * num / den), exact for any size_t and num <= den.
size_t scale(size_t elems, uint32_t num, uint32_t den);

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

// The part of a slice that a region covers: elements [begin, end) of the slice's part of the block.
struct Part {
  size_t begin = 0;
  size_t end = 0;
};
Part part_of(const Region& region, size_t slice_elems);

// The most elements of a block that one slice may have, so that no message is over `capacity_elems` >= 1.
size_t most_slice_elems(uint32_t largest_num, uint32_t largest_den, size_t capacity_elems);

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
