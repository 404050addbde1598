// AVX2 with FMA.
#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "half.h"
#include "kernels.h"
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#define LANES 8
#define BLOCK_ROWS 6
#define HAS_FMA 1
#define HAS_DOT 0
#define HAS_VNNI 0
#define TABLE vireo_kernels_avx2
#include "templates/level.h"
#pragma clang attribute pop
#endif
