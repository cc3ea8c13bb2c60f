// From the API's arguments to a Request, or to a sentence why not. Every check names the argument.
// Threading: pure functions.
#pragma once

#include <cstring>
#include <span>
#include <vector>

#include "api/handle.h"

namespace tutti {

// What the caller passed for an enumeration. C may pass any number; read as the enumeration itself, one without a name would be undefined
// here.
template <class Enum>
int number_of(const Enum& value) {
  int number = 0;
  static_assert(sizeof number == sizeof value);
  std::memcpy(&number, &value, sizeof number);
  return number;
}

// Of numbers that number_of() gave.
Result<DataType> check_type(int datatype);
// Fills a default `call` in place: a copy of what was written field by field a moment ago stalls the loads (15 ns of an 8-byte call).
Status check_reduction(int op, int datatype, Communicator& comm, ReductionCall& call);
Status check_root(int root, const Communicator& comm);

// A buffer of a call: `elems` elements of `type` at `data`. `used`: this rank reads or writes it at all.
struct CallBuffer {
  const char* name;
  const void* data;
  size_t elems;
  bool used = true;
};
// Null, alignment and size of each, and that the two are apart or exactly in place: the input `input_at` elements into the output, or the
// output `output_at` elements into the input.
struct InPlace {
  bool allowed = true;
  size_t input_at = 0;
  size_t output_at = 0;
};
Status check_buffers(const CallBuffer& input, const CallBuffer& output, DataType type, const InPlace& in_place);

// Blocks of counts[i] elements at displs[i] (nullptr: one after another) of a buffer. Errors name `counts_name`.
struct BlockList {
  std::vector<Block> blocks;
  size_t elems = 0;   // of all together
  size_t extent = 0;  // elements from the buffer's start to the end of the last
  size_t longest = 0;
};
Result<BlockList> make_blocks(void* data, const size_t* counts, const size_t* displs, int nblocks, DataType type, const char* counts_name);

}  // namespace tutti
