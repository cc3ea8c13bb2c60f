#include "executor/launch.h"

namespace tutti {
namespace {

Extent extent(const Instruction& instruction, size_t count, size_t slice_elems, size_t elem_bytes) {
  const auto offset = [&](const Region& region) {
    return (region.begin / region.den * count + part_of(region, slice_elems).begin) * elem_bytes;
  };
  const Region& sized = instruction.src.none() ? instruction.dst : instruction.src;
  Extent result;
  if (sized.none()) return result;
  const Part part = part_of(sized, slice_elems);
  result.elems = part.end - part.begin;
  if (!instruction.src.none()) result.src = offset(instruction.src);
  if (!instruction.dst.none()) result.dst = offset(instruction.dst);
  return result;
}

}  // namespace

void Launch::resolve(size_t new_count, size_t new_elem_bytes) {
  if (new_count == count && new_elem_bytes == elem_bytes) return;
  count = new_count;
  elem_bytes = new_elem_bytes;
  slicing = make_slicing(count, program->largest_num, program->largest_den, message_bytes / elem_bytes);
  for (size_t c = 0; c < channels.size(); ++c) {
    for (size_t i = 0; i < channels[c].size(); ++i) {
      const Instruction& instruction = program->channels[c][i];
      channels[c][i].full = extent(instruction, count, slicing.slice_elems, elem_bytes);
      channels[c][i].last = extent(instruction, count, slicing.last_elems, elem_bytes);
    }
  }
}

}  // namespace tutti
