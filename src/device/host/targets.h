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
