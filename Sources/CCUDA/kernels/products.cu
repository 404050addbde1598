// The products of a decode step: out[M, N] = end(x[M, K] · W[N, K]ᵀ + bias[N]) for 1 ≤ M ≤ 4 rows of x.
// They take as long as reading W once takes. Tensor cores multiply 16 rows of W (operand A) by 8 rows of x
// (operand B). K is a multiple of 8; W and x are aligned to 16 bytes.
//
// The order of K within a product is free as long as W and x agree on it. So lane 4g + t takes 16 bytes at
// column 8t of every 32, from rows g and g + 8 of W and from row g of x: as they stand these are its operands
// of two products m16n8k16. A step is 64 columns. Of W each lane copies to shared memory, some stages ahead,
// what it will read itself, so that needs no barrier.

constexpr int STEP = 64;
constexpr int ROWS = 4;  // of x at most
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

// Waits until no more than `left` ≥ 1 stages, nor more than MOST, are on their way.
template <int MOST = 6> static __device__ __forceinline__ void await_stage(int left) {
    if constexpr (MOST > 1) {
        if (left < MOST) return await_stage<MOST - 1>(left);
    }
    asm volatile("cp.async.wait_group %0;" ::"n"(MOST) : "memory");
}

// The row of W that is row g, or g + 8 if lower, of a tile; beyond the last one the last one.
template <int END> static __device__ __forceinline__ int row_of(int tile, int g, bool lower, int N) {
    const int n = tile * WIDTH<END> + g;
    return END == GATED_BF16 ? min(n, N - 1) + lower * N : min(n + lower * 8, N - 1);
}

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

template <int END> static __device__ __forceinline__ void put(void *out, int m, int n, int N, float v) {
    if (n >= N) return;
    const long long at = (long long)m * N + n;
    if (END == STORE_BF16) ((u16 *)out)[at] = narrow(v);
    if (END == STORE_F32) ((float *)out)[at] = v;
    if (END == ADD_F32) atomicAdd((float *)out + at, v);  // the only one to come here; nobody waits for it
    if (END == GELU_BF16) ((u16 *)out)[at] = narrow(0.5f * v * (1.0f + erff(v * 0.70710678f)));
}

// Ends the sums of row m of x with rows g and g + 8 of a tile of W.
template <int END>
static __device__ __forceinline__ void end(void *out, int m, int tile, int g, int M, int N, float upper,
                                           float lower) {
    if (m >= M) return;
    const int n = tile * WIDTH<END> + g;
    if (END != GATED_BF16) {
        put<END>(out, m, n, N, upper);
        put<END>(out, m, n + 8, N, lower);
    } else if (n < N) {
        ((u16 *)out)[(long long)m * N + n] = narrow(upper / (1.0f + expf(-upper)) * lower);
    }
}

// Copies `count` times 16 bytes of x to shared memory; all loads of a batch are on their way at once.
static __device__ __forceinline__ void take_rows(uint4 *to, const uint4 *x, int count) {
    constexpr int BATCH = 10;
    for (int first = threadIdx.x; first < count; first += BATCH * THREADS) {
        uint4 v[BATCH];
#pragma unroll
        for (int j = 0; j < BATCH; j++) {
            if (first + j * THREADS >= count) break;
            v[j] = __ldcg(x + first + j * THREADS);
        }
#pragma unroll
        for (int j = 0; j < BATCH; j++) {
            if (first + j * THREADS >= count) break;
            to[first + j * THREADS] = v[j];
        }
    }
}

// to[m, k] = x[m, k] / √(mean of x[m]² + epsilon) · scale[k] in bf16, in the same order for every M. Up to
// K = PART a thread keeps its columns 4 · THREADS · i + 4 · threadIdx.x + 0…3 in registers; beyond it reads
// them twice.
static __device__ __forceinline__ void norm_rows(u16 *to, const float *x, const float *scale, float epsilon,
                                                 int M, int K) {
    constexpr int PART = 4 * 4 * THREADS;
    __shared__ float squares[ROWS][WARPS];
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    float4 v[ROWS][4], s[4];
    float sum[ROWS] = {};
    const auto load_scale = [&](int k) {
#pragma unroll
        for (int i = 0; i < 4; i++, k += 4 * THREADS) {
            if (k < K) s[i] = *(const float4 *)(scale + k);
        }
    };
    const auto load = [&](int k) {
#pragma unroll
        for (int i = 0; i < 4; i++, k += 4 * THREADS) {
#pragma unroll
            for (int m = 0; m < ROWS; m++) {
                v[m][i] = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
                if (m < M && k < K) v[m][i] = __ldcg((const float4 *)(x + m * K + k));
            }
        }
    };
    const int first = threadIdx.x * 4;
    const float share = 1.0f / K;
    load_scale(first);
    previous_done();
    for (int k = first; k < K; k += PART) {
        load(k);
#pragma unroll
        for (int i = 0; i < 4; i++) {
#pragma unroll
            for (int m = 0; m < ROWS; m++) {
                const float4 a = v[m][i];
                sum[m] += a.x * a.x + a.y * a.y + a.z * a.z + a.w * a.w;
            }
        }
    }
#pragma unroll
    for (int m = 0; m < ROWS; m++) {
        if (m >= M) break;
        const float of_warp = sum_of_warp(sum[m]);
        if (lane == 0) squares[m][warp] = of_warp;
    }
    __syncthreads();
    float shrink[ROWS];
#pragma unroll
    for (int m = 0; m < ROWS; m++) {
        if (m >= M) break;
        float all = 0.0f;
#pragma unroll
        for (int i = 0; i < WARPS; i++) all += squares[m][i];
        shrink[m] = rsqrtf(all * share + epsilon);
    }
    for (int part = first; part < K; part += PART) {
        if (K > PART) load(part), load_scale(part);
        int k = part;
#pragma unroll
        for (int i = 0; i < 4; i++, k += 4 * THREADS) {
            if (k >= K) break;
#pragma unroll
            for (int m = 0; m < ROWS; m++) {
                if (m >= M) break;
                const float4 a = v[m][i], b = s[i];
                const u32 low = narrow(a.x * shrink[m] * b.x, a.y * shrink[m] * b.y);
                const u32 high = narrow(a.z * shrink[m] * b.z, a.w * shrink[m] * b.w);
                *(uint2 *)(to + m * K + k) = make_uint2(low, high);
            }
        }
    }
}

// A block takes tiles of 16 rows of W in turn; its warps take the steps of K in turn, and their sums meet in
// shared memory at the end of a tile, while W of the next one is on its way. `stages` ≥ 3 steps of W are on
// their way at a time, one more than that. x lies in shared memory, normed or as it is, or, where it does not
// fit (`held` is false), comes through the first cache.
template <int END, bool NORM>
static __device__ __forceinline__ void product(const u16 *w, const float *bias, const void *x,
                                               const float *scale, float epsilon, void *out, int M, int N,
                                               int K, int stages, bool held) {
    __shared__ float4 sums[2][WARPS][8][ROWS / 2];
    extern __shared__ uint4 room[];  // of W: [stages, WARPS, 4, 32]; of x: [M, K] of bf16
    constexpr int STAGE = WARPS * 128;
    let_next_begin();
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    const int tiles = (N + WIDTH<END> - 1) / WIDTH<END>;
    uint4 *const place = room + warp * 128 + lane, *const room_of_x = room + stages * STAGE;
    const u16 *const rows = held ? (const u16 *)room_of_x : (const u16 *)x;
    const int first_k = warp * STEP + t * 8, stride = WARPS * STEP;
    M = min(M, ROWS);

    // Copies the next step of this warp, if any, to a stage; columns from K on are zeros.
    int next_tile = blockIdx.x, next_k = first_k;
    const u16 *upper, *lower;
    const auto find_rows = [&] {
        upper = w + (long long)row_of<END>(next_tile, g, false, N) * K;
        lower = w + (long long)row_of<END>(next_tile, g, true, N) * K;
    };
    const auto copy_next = [&](int stage) {
        if (next_tile < tiles) {
            uint4 *const to = place + stage * STAGE;
            const int k = next_k;
            copy(to, upper + k, k < K);
            copy(to + 32, lower + k, k < K);
            copy(to + 64, upper + k + 32, k + 32 < K);
            copy(to + 96, lower + k + 32, k + 32 < K);
        }
        next_k += stride;
        if (next_k - t * 8 >= K) {
            next_k = first_k;
            next_tile += gridDim.x;
            find_rows();
        }
        end_stage();
    };
    const auto operand = [&](uint4 *v, int k) {
#pragma unroll
        for (int j = 0; j < 2; j++, k += 32) {
            v[j] = make_uint4(0, 0, 0, 0);
            if (g < M && k < K) v[j] = *(const uint4 *)(rows + g * K + k);
        }
    };

    find_rows();
    for (int i = 0; i < stages - 1; i++) copy_next(i);
    if (NORM) {
        norm_rows((u16 *)room_of_x, (const float *)x, scale, epsilon, M, K);
    } else {
        previous_done();
        if (held) take_rows(room_of_x, (const uint4 *)x, M * (K / 8));
    }
    __syncthreads();

    int stage = 0, turn = 0;
    uint4 b[2], next_b[2];
    operand(b, first_k);
    for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x, turn = (turn + 1) % WARPS) {
        // One warp ends the tile, another one each time.
        const bool ends = warp == turn && t < ROWS / 2;
        float upper_bias = 0.0f, lower_bias = 0.0f;
        if (bias && ends) {
            upper_bias = bias[row_of<END>(tile, g, false, N)];
            lower_bias = bias[row_of<END>(tile, g, true, N)];
        }
        float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        for (int k = first_k; k - t * 8 < K; k += stride) {
            operand(next_b, k - t * 8 + stride < K ? k + stride : first_k);
            await_stage(stages - 2);
            const uint4 *a = place + stage * STAGE;
            multiply(sum, a[0], a[32], b[0]);
            multiply(sum, a[64], a[96], b[1]);
            copy_next(stage ? stage - 1 : stages - 1);
            stage = stage + 1 == stages ? 0 : stage + 1;
            b[0] = next_b[0], b[1] = next_b[1];
        }
        // Lane 4g + t has rows g and g + 8 of W, each with rows 2t and 2t + 1 of x.
        if (t < ROWS / 2) sums[turn % 2][warp][g][t] = sum;
        __syncthreads();
        if (ends) {
            float4 all = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
#pragma unroll
            for (int i = 0; i < WARPS; i++) {
                const float4 v = sums[turn % 2][i][g][t];
                all.x += v.x, all.y += v.y, all.z += v.z, all.w += v.w;
            }
            end<END>(out, t * 2, tile, g, M, N, all.x + upper_bias, all.z + lower_bias);
            end<END>(out, t * 2 + 1, tile, g, M, N, all.y + upper_bias, all.w + lower_bias);
        }
    }
}

#define PRODUCTS(NAME, END)                                                                                \
    KERNEL __launch_bounds__(THREADS, 2)                                                                   \
        product_few_##NAME(const u16 *w, const float *bias, const u16 *x, void *out, int M, int N, int K,  \
                           int stages, int held) {                                                         \
        product<END, false>(w, bias, x, nullptr, 0.0f, out, M, N, K, stages, held);                        \
    }                                                                                                      \
    KERNEL __launch_bounds__(THREADS, 2)                                                                   \
        product_norm_##NAME(const u16 *w, const float *bias, const float *x, const float *scale,           \
                            float epsilon, void *out, int M, int N, int K, int stages) {                   \
        product<END, true>(w, bias, x, scale, epsilon, out, M, N, K, stages, true);                        \
    }

PRODUCTS(bf16, STORE_BF16)
PRODUCTS(f32, STORE_F32)
PRODUCTS(add, ADD_F32)
PRODUCTS(gelu, GELU_BF16)
PRODUCTS(gated, GATED_BF16)
