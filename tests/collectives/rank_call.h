// One rank's side of one call: its buffers, laid out as a caller might, the call itself, and what must be in the buffers afterwards, byte
// for byte: the results, and around and between them what was there before.
// Threading: a RankCall belongs to its rank's thread; the library may use its buffers until the call is complete.
#pragma once

#include <memory>

#include "oracle.h"
#include "team.h"
#include "tests/support/device_buffer.h"

namespace tutti::test {

// What a rank decides alone.
struct Layout {
  bool in_place = false;      // where this rank can
  bool null_unused = false;   // NULL for buffers and counts that the rank does not use, and for empty buffers
  uint64_t scatter_seed = 0;  // of the v-forms: blocks in any order, with holes between them; 0: displs NULL
  size_t lead = 0;            // elements before the buffer's first: aligned to the element only
};

Layout random_layout(uint64_t seed);

class RankCall {
 public:
  RankCall(std::shared_ptr<const Oracle> oracle, int rank, const Layout& layout);

  // Makes the call, its buffers on the member's device. The counts and displacements that it names are gone when it returns.
  tuttiResult_t issue(const Member& member, tuttiStream_t stream);

  // To be called when the operation is complete.
  Finding check() const;

  // issue() with a NULL stream, and check().
  Finding run(const Member& member);

 private:
  // The input or the output: its blocks, and where they lie in their buffer, in elements.
  struct Side {
    std::vector<size_t> counts;
    std::vector<size_t> displs;
    bool scattered = false;
    size_t extent = 0;
  };

  Side make_side(std::vector<size_t> counts, uint64_t seed) const;
  bool can_be_in_place() const;
  // Untouched, for `side`.
  Bytes make_buffer(const Side& side) const;
  void write(Bytes& buffer, const Side& side, const Bytes& packed) const;
  void* pointer(DeviceBuffer& buffer, const Side& side, size_t at) const;
  Finding compare(const DeviceBuffer& placed, const Bytes& wanted, const char* name) const;
  tuttiResult_t issue_even(const Member& member, const void* send, void* recv, tuttiStream_t stream) const;
  tuttiResult_t issue_uneven(const Member& member, const void* send, void* recv, tuttiStream_t stream) const;

  std::shared_ptr<const Oracle> oracle_;
  int rank_;
  Layout layout_;
  size_t elem_bytes_;
  bool in_place_;
  Side input_;
  Side output_;
  DeviceBuffer send_;  // in place: the one buffer
  DeviceBuffer recv_;
};

}  // namespace tutti::test
