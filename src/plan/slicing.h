// How the elements of a request are cut: into slices, and each slice's part of a block by a region's ends. The executor launches by it and
// the simulator computes by it, so that both see the same messages.
//
// Slices. The elements are cut into slices of `slice_elems` (the last may be shorter), so that every message of a slice fits its slot. The
// program runs once per slice on that part of every block. How the slices fall follows from what all ranks agree on: count, type, slot,
// the program's largest message. Coordinate b/den of a slice of L elements is element floor(L b / den), computed without overflow.
//
// Threading: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>

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

// The part of a slice that a region covers: elements [begin, end) of the slice's part of the block.
struct Part {
  size_t begin = 0;
  size_t end = 0;
};
Part part_of(const Region& region, size_t slice_elems);

// The most elements of a block that one slice may have, so that no message is over `capacity_elems` >= 1.
size_t most_slice_elems(uint32_t largest_num, uint32_t largest_den, size_t capacity_elems);

}  // namespace tutti
