// Chooses and assembles the kernels. Not by HWY_DYNAMIC_DISPATCH: that calls into libhwy, of which Debian has no static build, and libtutti
// may not need the shared one.
#include "device/host/kernels.h"

#include <cstring>
#include <vector>

#include "device/host/float_formats.h"
#include "device/host/targets.h"

namespace tutti {
namespace {

HostKernels kernels_of(const char* name, InstructionSet set) {
  HostKernels table;
  table.name = name;
  if (set == InstructionSet::kBaseline) {
    add_baseline_kernels(table);
  } else {
    add_integer_kernels(set, table);
    add_float_kernels(set, table);
    add_half_kernels(set, table);
    add_float8_kernels(set, table);
  }
  return table;
}

#if TUTTI_HAS_AVX512
bool runs_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

#if TUTTI_HAS_AVX2
// GCC 12's __builtin_cpu_supports does not know f16c, which every CPU with AVX2 has.
bool runs_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
}
#endif

std::vector<HostKernels> all_kernels() {
  std::vector<HostKernels> all;
#if TUTTI_HAS_AVX512
  if (runs_avx512()) all.push_back(kernels_of("avx512", InstructionSet::kAvx512));
#endif
#if TUTTI_HAS_AVX2
  if (runs_avx2()) all.push_back(kernels_of("avx2", InstructionSet::kAvx2));
#endif
#if TUTTI_HAS_STATIC
  all.push_back(kernels_of("static", InstructionSet::kStatic));
#endif
  all.push_back(kernels_of("baseline", InstructionSet::kBaseline));
  return all;
}

template <class Format>
float widened(const Arithmetic& arithmetic) {
  typename Format::Lane lane;
  std::memcpy(&lane, arithmetic.scalar, sizeof lane);
  return Format::widen(lane);
}

}  // namespace

float widened_scalar(const Arithmetic& arithmetic) {
  switch (arithmetic.type) {
    case DataType::kFloat16: return widened<Float16>(arithmetic);
    case DataType::kBfloat16: return widened<Bfloat16>(arithmetic);
    case DataType::kFloat8E4m3: return widened<Float8E4m3>(arithmetic);
    case DataType::kFloat8E5m2: return widened<Float8E5m2>(arithmetic);
    default: return 0;
  }
}

std::span<const HostKernels> host_kernels() {
  static const std::vector<HostKernels> kAll = all_kernels();
  return kAll;
}

}  // namespace tutti
