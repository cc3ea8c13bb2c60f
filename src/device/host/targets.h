// Which of Highway's targets a kernels_*.cc is compiled for; include it before foreach_target.h. AVX2 and AVX-512 (AVX3 is Highway's name)
// are worth their code; the sets between are not. What the compiler was told to build for (HWY_STATIC_TARGET) counts too where it has
// vectors: NEON, or x86 with -march. A scalar static target is Highway's one-lane emulation, in whose place stands kernels_baseline.cc.
#pragma once

#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#include <hwy/detect_targets.h>

#define TUTTI_HAS_AVX512 ((HWY_TARGETS & HWY_AVX3) != 0)
#define TUTTI_HAS_AVX2 ((HWY_TARGETS & HWY_AVX2) != 0)
#define TUTTI_HAS_STATIC ((HWY_STATIC_TARGET & (HWY_SCALAR | HWY_EMU128)) == 0)

// In a switch over an InstructionSet: calls the `function` that was compiled for it, for every set that there is. Macros, because the sets
// are namespaces, and which of them there are only the preprocessor knows.
#if TUTTI_HAS_AVX512
#define TUTTI_CASE_AVX512(function, ...) \
  case InstructionSet::kAvx512:          \
    return N_AVX3::function(__VA_ARGS__);
#else
#define TUTTI_CASE_AVX512(function, ...)
#endif
#if TUTTI_HAS_AVX2
#define TUTTI_CASE_AVX2(function, ...) \
  case InstructionSet::kAvx2:          \
    return N_AVX2::function(__VA_ARGS__);
#else
#define TUTTI_CASE_AVX2(function, ...)
#endif
#if TUTTI_HAS_STATIC
#define TUTTI_CASE_STATIC(function, ...) \
  case InstructionSet::kStatic:          \
    return HWY_STATIC_DISPATCH(function)(__VA_ARGS__);
#else
#define TUTTI_CASE_STATIC(function, ...)
#endif
#define TUTTI_CASE_EACH_SET(function, ...) \
  TUTTI_CASE_AVX512(function, __VA_ARGS__) \
  TUTTI_CASE_AVX2(function, __VA_ARGS__)   \
  TUTTI_CASE_STATIC(function, __VA_ARGS__)
