#include "plan/slicing.h"

#include <algorithm>

namespace tutti {
namespace {

// Slices start on whole cache lines of elements where the program's chunks allow it.
constexpr size_t kSliceAlignElems = 16;

}  // namespace

size_t scale(size_t elems, uint32_t num, uint32_t den) {
  // elems = q den + r, so floor(elems num / den) = q num + floor(r num / den), and r num < 2^64.
  return elems / den * num + elems % den * num / den;
}

Part part_of(const Region& region, size_t slice_elems) {
  return {.begin = scale(slice_elems, region.begin % region.den, region.den),
          .end = scale(slice_elems, (region.end - 1) % region.den + 1, region.den)};
}

// A slice of a multiple of largest_den elements has no message over capacity; where not even one multiple fits, leave room for one
// element of rounding.
size_t most_slice_elems(uint32_t largest_num, uint32_t largest_den, size_t capacity_elems) {
  const size_t most = capacity_elems / largest_num * largest_den;
  return most != 0 ? most : std::max<size_t>(1, (capacity_elems - 1) * largest_den / largest_num);
}

Slicing make_slicing(size_t count, uint32_t largest_num, uint32_t largest_den, size_t capacity_elems) {
  if (count == 0) return {};
  const size_t most = most_slice_elems(largest_num, largest_den, capacity_elems);
  const size_t unit = most % largest_den == 0 ? largest_den : 1;
  const size_t slices = (count - 1) / most + 1;
  if (slices == 1) return {.slice_elems = count, .last_elems = count, .slices = 1};
  // Equal slices, rounded up to the unit and, where that still fits, to lines.
  const auto round_up = [](size_t value, size_t to) { return (value + to - 1) / to * to; };
  const size_t even = (count - 1) / slices + 1;
  size_t slice = round_up(even, unit * kSliceAlignElems);
  if (slice > most) slice = std::min(most, round_up(even, unit));
  const size_t number = (count - 1) / slice + 1;
  return {.slice_elems = slice, .last_elems = count - (number - 1) * slice, .slices = number};
}

}  // namespace tutti
