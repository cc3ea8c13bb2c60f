// The host's loops. Each family of types is a file (kernels_integer.cc, _float.cc, _half.cc, _float8.cc) that Highway compiles once for each
// instruction set; kernels_baseline.cc is plain C++ for every CPU. All sets give the same bits. The best that this CPU runs is chosen once.
// Threading: pure functions.
#pragma once

#include <cstddef>
#include <span>

#include "device/device.h"

namespace tutti {

// Plain operation: nothing scaled, nothing divided.
using ReduceKernel = void (*)(const Destination& to, const void* a, const void* b, size_t count);
// Everything that an Arithmetic says. `b` null: transform.
using ArithmeticKernel = void (*)(const Destination& to, const void* a, const void* b, size_t count, const Arithmetic& arithmetic);

struct HostKernels {
  const char* name = "";  // of the instruction set: "avx512", "avx2", "static" (what the compiler was told to build for), "baseline"
  void (*copy)(const Destination& to, const void* src, size_t bytes) = nullptr;
  ReduceKernel reduce[kDataTypes][kReductions] = {};
  ArithmeticKernel arithmetic[kDataTypes] = {};

  ReduceKernel& plain(DataType type, Reduction op) { return reduce[static_cast<int>(type)][static_cast<int>(op)]; }
  ArithmeticKernel& full(DataType type) { return arithmetic[static_cast<int>(type)]; }
};

enum class InstructionSet : uint8_t { kBaseline, kStatic, kAvx2, kAvx512 };

// Every family's part of the table, for a set that was compiled. kBaseline comes whole.
void add_baseline_kernels(HostKernels& table);
void add_integer_kernels(InstructionSet set, HostKernels& table);
void add_float_kernels(InstructionSet set, HostKernels& table);  // and copy
void add_half_kernels(InstructionSet set, HostKernels& table);
void add_float8_kernels(InstructionSet set, HostKernels& table);

// The scalar of a 16- or 8-bit float as float32, exactly.
float widened_scalar(const Arithmetic& arithmetic);

// What this CPU runs, best first, "baseline" last. Never empty.
std::span<const HostKernels> host_kernels();

}  // namespace tutti
