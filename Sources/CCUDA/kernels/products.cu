// The products of a decode step: out[M, N] = end(x[M, K] · W[N, K]ᵀ + bias[N]) for 1 ≤ M ≤ 8 rows of x.
// They take as long as reading W once takes. Tensor cores multiply 16 rows of W (operand A) by 8 rows of x
// (operand B). K is a multiple of 8; W and x are aligned to 16 bytes.
//
// The order of K within a product is free as long as W and x agree on it. So lane 4g + t takes 16 bytes at
// column 8t of every 32, from rows g and g + 8 of W and from row g of x: as they stand these are its operands
// of two products m16n8k16. A step is 64 columns. Of W each lane copies to shared memory, some stages ahead,
// what it will read itself, so that needs no barrier.

// Steps of W that are on their way at a time, one more than that.
#ifndef STAGES
#define STAGES 6
#endif

constexpr int STEP = 64;
constexpr int WARPS = 8, THREADS = WARPS * 32;

// What becomes of a sum. GATED: W holds N rows of gates, then N rows of values; out = silu(gate) · value.
enum End { STORE_BF16, STORE_F32, ADD_F32, GELU_BF16, GATED_BF16 };

// Outputs of a tile of 16 rows of W. A gated one has 8 gates, then their 8 values.
template <int END> constexpr int WIDTH = END == GATED_BF16 ? 8 : 16;

// Copies 16 bytes to shared memory in the background, or zeros.
static __device__ __forceinline__ void copy(uint4 *to, const u16 *from, bool inside) {
    const u32 shared = (u32)__cvta_generic_to_shared(to);
    asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(shared),
                 "l"(__cvta_generic_to_global(from)), "r"(inside ? 16 : 0)
                 : "memory");
}
static __device__ __forceinline__ void end_stage() { asm volatile("cp.async.commit_group;" ::: "memory"); }
static __device__ __forceinline__ void await_stage() {
    asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 2) : "memory");
}

// Rows g and g + 8 of a tile of W, beyond the last one the last one.
template <int END> struct Rows {
    const u16 *upper, *lower;

    __device__ __forceinline__ Rows(const u16 *w, int tile, int g, int N, int K) {
        const int n = tile * WIDTH<END> + g;
        const int first = min(n, N - 1), second = END == GATED_BF16 ? N + first : min(n + 8, N - 1);
        upper = w + (long long)first * K;
        lower = w + (long long)second * K;
    }

    // Two times 8 columns of both rows to [4, 32] at the lane's place; columns from K on are zeros.
    __device__ __forceinline__ void copy_step(uint4 *to, int k, int K) const {
        copy(to, upper + k, k < K);
        copy(to + 32, lower + k, k < K);
        copy(to + 64, upper + k + 32, k + 32 < K);
        copy(to + 96, lower + k + 32, k + 32 < K);
    }
};

// sum[16, 8] += w[16, 16] · x[8, 16]ᵀ
static __device__ __forceinline__ void multiply(float4 &sum, u32 a0, u32 a1, u32 a2, u32 a3, u32 b0, u32 b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(sum.x), "+f"(sum.y), "+f"(sum.z), "+f"(sum.w)
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}
static __device__ __forceinline__ void multiply(float4 &sum, uint4 upper, uint4 lower, uint4 x) {
    multiply(sum, upper.x, lower.x, upper.y, lower.y, x.x, x.y);
    multiply(sum, upper.z, lower.z, upper.w, lower.w, x.z, x.w);
}

template <int END>
static __device__ __forceinline__ void put(void *out, const float *bias, int m, int n, int N, float v) {
    if (n >= N) return;
    const long long at = (long long)m * N + n;
    if (bias) v += bias[n];
    if (END == STORE_BF16) ((u16 *)out)[at] = narrow(v);
    if (END == STORE_F32) ((float *)out)[at] = v;
    if (END == ADD_F32) ((float *)out)[at] += v;
    if (END == GELU_BF16) ((u16 *)out)[at] = narrow(0.5f * v * (1.0f + erff(v * 0.70710678f)));
}

// Ends the sums of row m of x with rows g and g + 8 of a tile of W.
template <int END>
static __device__ __forceinline__ void end(void *out, const float *bias, int m, int tile, int g, int M, int N,
                                           float upper, float lower) {
    if (m >= M) return;
    const int n = tile * WIDTH<END> + g;
    if (END != GATED_BF16) {
        put<END>(out, bias, m, n, N, upper);
        put<END>(out, bias, m, n + 8, N, lower);
    } else if (n < N) {
        if (bias) upper += bias[n], lower += bias[N + n];
        ((u16 *)out)[(long long)m * N + n] = narrow(upper / (1.0f + expf(-upper)) * lower);
    }
}

// normed[m, k] = x[m, k] / √(mean of x[m]² + epsilon) · scale[k] in bf16, in the same order for every M.
static __device__ __forceinline__ void norm_rows(u16 *normed, int pitch, const float *x, const float *scale,
                                                 float epsilon, int M, int K) {
    __shared__ float squares[8][WARPS];
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    for (int m = 0; m < M; m++) {
        float sum = 0.0f;
#pragma unroll 4
        for (int k = threadIdx.x * 4; k < K; k += THREADS * 4) {
            const float4 v = *(const float4 *)(x + m * K + k);
            sum += v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
        }
        sum = sum_of_warp(sum);
        if (lane == 0) squares[m][warp] = sum;
    }
    __syncthreads();
    for (int m = 0; m < M; m++) {
        float sum = 0.0f;
#pragma unroll
        for (int i = 0; i < WARPS; i++) sum += squares[m][i];
        const float shrink = 1.0f / sqrtf(sum / K + epsilon);
#pragma unroll 4
        for (int k = threadIdx.x * 4; k < K; k += THREADS * 4) {
            const float4 v = *(const float4 *)(x + m * K + k), s = *(const float4 *)(scale + k);
            const u32 low = narrow(v.x * shrink * s.x, v.y * shrink * s.y);
            const u32 high = narrow(v.z * shrink * s.z, v.w * shrink * s.w);
            *(uint2 *)(normed + m * pitch + k) = make_uint2(low, high);
        }
    }
    __syncthreads();
}

// M ≤ 8. A block takes tiles of 16 rows of W in turn; its warps take the steps of K in turn, and their sums
// meet in shared memory at the end of a tile, while the next one is on its way. x comes through the first
// cache, or, normed, from shared memory.
template <int END, bool NORM>
static __device__ __forceinline__ void few_rows(const u16 *w, const float *bias, const void *x,
                                                const float *scale, float epsilon, void *out, int M, int N,
                                                int K) {
    __shared__ float4 sums[2][WARPS][32];
    extern __shared__ uint4 room[];  // [STAGES, WARPS, 4, 32], then with NORM: [M, pitch] of bf16
    constexpr int STAGE = WARPS * 128;
    let_next_begin();
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    const int tiles = (N + WIDTH<END> - 1) / WIDTH<END>;
    // An odd multiple of 64 bytes, so that rows g and g + 1 lie in different banks.
    const int pitch = NORM ? (K + STEP - 1) / STEP * STEP + STEP / 2 : K;
    u16 *normed = (u16 *)(room + STAGES * STAGE);
    const u16 *rows = NORM ? normed : (const u16 *)x;
    uint4 *const place = room + warp * 128 + lane;
    const int first_k = warp * STEP + t * 8, stride = WARPS * STEP;
    M = min(M, 8);

    // Copies the next step of this warp, if any, to a stage.
    int next_tile = blockIdx.x, next_k = first_k;
    Rows<END> next(w, next_tile, g, N, K);
    const auto copy_next = [&](int stage) {
        if (next_tile < tiles) next.copy_step(place + stage * STAGE, next_k, K);
        next_k += stride;
        if (next_k - t * 8 >= K) {
            next_k = first_k;
            next_tile += gridDim.x;
            next = Rows<END>(w, next_tile, g, N, K);
        }
        end_stage();
    };
    const auto operand = [&](uint4 *v, int k) {
#pragma unroll
        for (int j = 0; j < 2; j++, k += 32) {
            v[j] = make_uint4(0, 0, 0, 0);
            if (g < M && k < K) v[j] = *(const uint4 *)(rows + g * pitch + k);
        }
    };

    for (int i = 0; i < STAGES - 1; i++) copy_next(i);
    previous_done();
    if (NORM) norm_rows(normed, pitch, (const float *)x, scale, epsilon, M, K);

    int stage = 0, turn = 0;
    uint4 b[2], next_b[2];
    operand(b, first_k);
    for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x, turn ^= 1) {
        float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        for (int k = first_k; k - t * 8 < K; k += stride) {
            operand(next_b, k - t * 8 + stride < K ? k + stride : first_k);
            await_stage();
            const uint4 *a = place + stage * STAGE;
            multiply(sum, a[0], a[32], b[0]);
            multiply(sum, a[64], a[96], b[1]);
            copy_next(stage ? stage - 1 : STAGES - 1);
            stage = stage + 1 == STAGES ? 0 : stage + 1;
            b[0] = next_b[0], b[1] = next_b[1];
        }
        sums[turn][warp][lane] = sum;
        __syncthreads();
        if (threadIdx.x < 64) {
            // Lane 4 · row + m / 2 has the sum of row m of x at m % 2, and for row + 8 of W two further on.
            const int row = threadIdx.x % 8, m = threadIdx.x / 8;
            float upper = 0.0f, lower = 0.0f;
#pragma unroll
            for (int i = 0; i < WARPS; i++) {
                const float *of_lane = (const float *)&sums[turn][i][row * 4 + m / 2];
                upper += of_lane[m % 2];
                lower += of_lane[m % 2 + 2];
            }
            end<END>(out, bias, m, tile, row, M, N, upper, lower);
        }
    }
}

#define PRODUCTS(NAME, END)                                                                                \
    KERNEL __launch_bounds__(THREADS, 2)                                                                   \
        product_few_##NAME(const u16 *w, const float *bias, const u16 *x, void *out, int M, int N, int K) {\
        few_rows<END, false>(w, bias, x, nullptr, 0.0f, out, M, N, K);                                     \
    }                                                                                                      \
    KERNEL __launch_bounds__(THREADS, 2)                                                                   \
        product_norm_##NAME(const u16 *w, const float *bias, const float *x, const float *scale,           \
                            float epsilon, void *out, int M, int N, int K) {                               \
        few_rows<END, true>(w, bias, x, scale, epsilon, out, M, N, K);                                     \
    }

PRODUCTS(bf16, STORE_BF16)
PRODUCTS(f32, STORE_F32)
PRODUCTS(add, ADD_F32)
PRODUCTS(gelu, GELU_BF16)
PRODUCTS(gated, GATED_BF16)
