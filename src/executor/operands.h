// One call's data, as the executor needs it.
// Threading: value types; spans are borrowed for the operation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "device/device.h"
#include "tutti/tutti.h"

namespace tutti {

// One block of an uneven request's input or output.
struct Block {
  void* data = nullptr;
  size_t elems = 0;
  uint16_t signature = 0;  // of what both ends of the block's messages must agree on
};

// A reduction made by the user: result[i] = left[i] op right[i], 0 <= i < count; result may be left or right itself.
struct UserReduction {
  tuttiReduceFunction_t function = nullptr;
  tuttiDataType_t datatype = tuttiInt8;  // what the function is told
  void* context = nullptr;
};

struct Operands {
  // Every block of the input is `count` elements, one after another from `input` on; the output likewise.
  const void* input = nullptr;
  void* output = nullptr;
  size_t count = 0;
  // Uneven requests: the blocks of the input and of the output, in place of the three above. Scratch blocks hold `count` elements.
  bool uneven = false;
  std::span<const Block> input_blocks;
  std::span<const Block> output_blocks;

  // How to reduce; its flags are the executor's to set, from these two: `scale` multiplies this rank's own input, where it is read;
  // `divide` divides a result, where it is completed.
  Arithmetic arithmetic;
  bool scale = false;
  bool divide = false;
  const UserReduction* user = nullptr;  // in place of arithmetic.op
  uint16_t signature = 0;               // of what all ranks must agree on; compared with that of every message
};

}  // namespace tutti
