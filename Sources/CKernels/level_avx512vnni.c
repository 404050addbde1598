// AVX-512 with the dot product of fours of bytes.
#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "half.h"
#include "kernels.h"
#pragma clang attribute push(                                                                                \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma"))), apply_to = function)
#define LANES 16
#define BLOCK_ROWS 12
#define HAS_FMA 1
#define HAS_DOT 0
#define HAS_VNNI 1
#define TABLE vireo_kernels_avx512vnni
#include "templates/level.h"
#pragma clang attribute pop
#endif
