// What the device tests compare with: one element at a time, written for obviousness. Integers compute in 128 bits; 16- and 8-bit floats
// come from a list of all their values, and a float32 is rounded by looking for its neighbours there.
#pragma once

#include <cstddef>
#include <cstdint>

#include "device/device.h"

namespace tutti {

bool is_float(DataType type);

// An element's bits, in the low type_bytes(type) bytes.
uint64_t load_element(DataType type, const void* p);
void store_element(DataType type, void* p, uint64_t bits);

// The bits of what Device::reduce writes.
uint64_t oracle_reduce(const Arithmetic& arithmetic, uint64_t a, uint64_t b);

// The bits of what Device::transform writes.
uint64_t oracle_transform(const Arithmetic& arithmetic, uint64_t src);

// The type's only NaN among results.
uint64_t canonical_nan(DataType type);
bool is_nan(DataType type, uint64_t bits);

// The element nearest to a small integer.
uint64_t element_of(DataType type, int value);

}  // namespace tutti
