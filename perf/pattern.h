// What tutti-perf puts into buffers and expects to find: numbers that change by rank, index and iteration, whose every partial result over
// any ranks in any order the element type holds exactly, and whose total needs no loop over the ranks at each element.
//
// Each index is hashed to one of 256 entries. Every rank has a table of 256 numbers, and what a reduction of them gives is a table too,
// worked out in doubles; so filling and verifying is a hash and a look-up in encoded bits, for every type and operator, and costs the same
// for 2 ranks and for 1000. A number in the wrong place is of another entry, a rank taken twice or left out changes the reduction, a stale
// iteration changes the hash and all tables. A sum's numbers share the integers that the type holds exactly among the ranks (float8_e5m2:
// 8), a product's the powers of two; those of a minimum or a copy range freely.
//
// Threads: immutable after construction.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "types.h"

namespace perf {

inline constexpr size_t kEntries = 256;
using Table = std::array<uint64_t, kEntries>;  // the element type's bits by entry

class Pattern {
 public:
  static constexpr int kReduction = -1;  // as a source

  // `op` is no_reduction() where kReduction is not asked for. `type` and `op` must outlive this.
  Pattern(uint64_t seed, int ranks, const DataType& type, const RedOp& op);

  // Of rank `source`'s input, or of the reduction of all ranks' inputs.
  Table table(int source) const;

  // data[k] = table at index first + k, for k in [0, count). `data` is aligned to the element.
  void fill(const Table& table, std::byte* data, size_t count, size_t first) const;
  // How many elements of data[0, count) differ in any bit from the table at indices first...
  size_t count_wrong(const Table& table, const std::byte* data, size_t count, size_t first) const;

 private:
  void draw_entry(size_t entry);
  double& number(int rank, size_t entry) { return numbers_[static_cast<size_t>(rank) * kEntries + entry]; }
  double number(int rank, size_t entry) const { return numbers_[static_cast<size_t>(rank) * kEntries + entry]; }
  double reduction(size_t entry) const;

  uint64_t seed_;
  int ranks_;
  const DataType& type_;
  const RedOp& op_;
  std::vector<double> numbers_;  // by rank, then entry
};

}  // namespace perf
