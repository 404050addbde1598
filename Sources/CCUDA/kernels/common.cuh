// What all kernels share. Compiled by NVRTC without any header of the toolkit.

typedef unsigned char u8;
typedef unsigned short u16;  // holds bf16 where a line says so
typedef unsigned int u32;
typedef unsigned long long u64;

#define KERNEL extern "C" __global__ void

// Programmatic dependent launch (sm_90): a kernel may begin while its predecessor ends. Before `previous_done` it may
// read weights only; nothing that a kernel of the same step writes. Where the launch did not ask for it both do nothing.
static __device__ __forceinline__ void let_next_begin() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;");
#endif
}
static __device__ __forceinline__ void previous_done() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// bf16 to f32.
static __device__ __forceinline__ float widen(u16 v) { return __uint_as_float((u32)v << 16); }
static __device__ __forceinline__ float widen_low(u32 pair) { return __uint_as_float(pair << 16); }
static __device__ __forceinline__ float widen_high(u32 pair) { return __uint_as_float(pair & 0xffff0000u); }
// Two f32 to a pair of bf16, rounded to nearest even; `low` comes first in memory.
static __device__ __forceinline__ u32 narrow(float low, float high) {
    u32 pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}
static __device__ __forceinline__ u16 narrow(float v) {
    u16 out;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(out) : "f"(v));
    return out;
}

static __device__ __forceinline__ float sum_of_warp(float v) {
#pragma unroll
    for (int step = 16; step > 0; step >>= 1) v += __shfl_xor_sync(0xffffffffu, v, step);
    return v;
}
static __device__ __forceinline__ float max_of_warp(float v) {
#pragma unroll
    for (int step = 16; step > 0; step >>= 1) v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, step));
    return v;
}

// The sum over a block of at most 32 whole warps, in every thread; `scratch` has room for 33 floats of shared memory.
static __device__ __forceinline__ float sum_of_block(float v, float *scratch) {
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    v = sum_of_warp(v);
    __syncthreads();
    if (lane == 0) scratch[warp] = v;
    __syncthreads();
    if (warp == 0) {
        v = sum_of_warp(lane < (int)(blockDim.x / 32) ? scratch[lane] : 0.0f);
        if (lane == 0) scratch[32] = v;
    }
    __syncthreads();
    return scratch[32];
}

// Weights are read once: past the first cache.
static __device__ __forceinline__ uint4 load_once(const void *address) {
    uint4 v;
    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(address));
    return v;
}
