// Kernels of rows: norms, activations, look-ups, conversions.
//
// Each is written once for N neighbouring values a thread and access, and runs with N = 4 or 8 where the
// sizes allow it and with N = 1 where not. Pointers are aligned to 16 bytes.

template <typename T, int N> struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) Pack { T at[N]; };

template <int N> static __device__ __forceinline__ void load(const float *from, float (&v)[N]) {
    const Pack<float, N> pack = *(const Pack<float, N> *)from;
#pragma unroll
    for (int i = 0; i < N; i++) v[i] = pack.at[i];
}
template <int N> static __device__ __forceinline__ void load(const u16 *from, float (&v)[N]) {
    if constexpr (N == 1) {
        v[0] = widen(*from);
    } else {
        const Pack<u32, N / 2> pack = *(const Pack<u32, N / 2> *)from;
#pragma unroll
        for (int i = 0; i < N / 2; i++) {
            v[2 * i] = widen_low(pack.at[i]);
            v[2 * i + 1] = widen_high(pack.at[i]);
        }
    }
}
template <int N> static __device__ __forceinline__ void store(float *to, const float (&v)[N]) {
    Pack<float, N> pack;
#pragma unroll
    for (int i = 0; i < N; i++) pack.at[i] = v[i];
    *(Pack<float, N> *)to = pack;
}
template <int N> static __device__ __forceinline__ void store(u16 *to, const float (&v)[N]) {
    if constexpr (N == 1) {
        *to = narrow(v[0]);
    } else {
        Pack<u32, N / 2> pack;
#pragma unroll
        for (int i = 0; i < N / 2; i++) pack.at[i] = narrow(v[2 * i], v[2 * i + 1]);
        *(Pack<u32, N / 2> *)to = pack;
    }
}

// MARK: Norms

// What a thread keeps of a row in registers: a block of B threads takes rows of at most 16 · B columns.
enum { VALUES = 16 };

// out[r, c] = (x[r, c] − m) / √(mean_c (x[r, c] − m)² + ε) · weight[c] + bias[c]
//
// m is the mean of row r where CENTRED; else it is zero and there is no bias. What is in out is added where ADDS,
// which CENTRED excludes. x is [rows, columns]. Weights wait in registers from before the predecessor's end; where
// N = 1 there are none left for them.
template <int N, bool CENTRED, bool ADDS = false, typename T>
static __device__ __forceinline__ void norm(const float *x, const float *weight, const float *bias, T *out,
                                            int rows, int columns, float epsilon) {
    __shared__ float scratch[33];
    const int first = threadIdx.x * N, step = blockDim.x * N;
    float w[VALUES / N][N], v[VALUES / N][N];
    if constexpr (N > 1) {
#pragma unroll
        for (int i = 0; i < VALUES / N; i++)
            if (first + i * step < columns) load(weight + first + i * step, w[i]);
    }
    previous_done();
    for (u64 row = blockIdx.x; row < rows; row += gridDim.x) {
        const float *from = x + row * columns;
        float mean = 0.0f, squares = 0.0f;
#pragma unroll
        for (int i = 0; i < VALUES / N; i++)
            if (first + i * step < columns) load(from + first + i * step, v[i]);
        if constexpr (CENTRED) {
            float sum = 0.0f;
#pragma unroll
            for (int i = 0; i < VALUES / N; i++)
                if (first + i * step < columns)
                    for (int j = 0; j < N; j++) sum += v[i][j];
            mean = sum_of_block(sum, scratch) / columns;
        }
#pragma unroll
        for (int i = 0; i < VALUES / N; i++)
            if (first + i * step < columns)
                for (int j = 0; j < N; j++) squares += (v[i][j] - mean) * (v[i][j] - mean);
        const float factor = 1.0f / sqrtf(sum_of_block(squares, scratch) / columns + epsilon);
#pragma unroll
        for (int i = 0; i < VALUES / N; i++) {
            const int c = first + i * step;
            if (c >= columns) continue;
            float b[N] = {}, y[N];
            if constexpr (N == 1) load(weight + c, w[i]);
            if constexpr (CENTRED) load(bias + c, b);
            if constexpr (ADDS) load(out + row * columns + c, b);
            for (int j = 0; j < N; j++) y[j] = (v[i][j] - mean) * factor * w[i][j] + b[j];
            store(out + row * columns + c, y);
        }
    }
}

// x f32 [rows, columns], weight f32 [columns], out bf16 [rows, columns]
KERNEL __launch_bounds__(1024)
rms_norm(const float *x, const float *weight, u16 *out, int rows, int columns, float epsilon) {
    let_next_begin();
    if (columns % 4 == 0) norm<4, false>(x, weight, nullptr, out, rows, columns, epsilon);
    else norm<1, false>(x, weight, nullptr, out, rows, columns, epsilon);
}

// out[r, c] ← out[r, c] + the norm of x; x and out f32 [rows, columns], weight f32 [columns]
KERNEL __launch_bounds__(1024)
add_norm(const float *x, const float *weight, float *out, int rows, int columns, float epsilon) {
    let_next_begin();
    if (columns % 4 == 0) norm<4, false, true>(x, weight, nullptr, out, rows, columns, epsilon);
    else norm<1, false, true>(x, weight, nullptr, out, rows, columns, epsilon);
}

// x f32 [rows, columns], weight and bias f32 [columns], out bf16 [rows, columns]
KERNEL __launch_bounds__(1024)
layer_norm(const float *x, const float *weight, const float *bias, u16 *out, int rows, int columns,
           float epsilon) {
    let_next_begin();
    if (columns % 4 == 0) norm<4, true>(x, weight, bias, out, rows, columns, epsilon);
    else norm<1, true>(x, weight, bias, out, rows, columns, epsilon);
}

// The same, out f32 [rows, columns]
KERNEL __launch_bounds__(1024)
layer_norm_wide(const float *x, const float *weight, const float *bias, float *out, int rows, int columns,
                float epsilon) {
    let_next_begin();
    if (columns % 4 == 0) norm<4, true>(x, weight, bias, out, rows, columns, epsilon);
    else norm<1, true>(x, weight, bias, out, rows, columns, epsilon);
}

template <int N>
static __device__ __forceinline__ void norm_columns(u16 *x, const float *weight, int rows, int stride,
                                                    int first, int columns, float epsilon) {
    __shared__ float scratch[33];
    const int begin = threadIdx.x * N, step = blockDim.x * N;
    float v[VALUES / N][N];
    previous_done();
    for (u64 row = blockIdx.x; row < rows; row += gridDim.x) {
        u16 *here = x + row * stride + first;
        float squares = 0.0f;
#pragma unroll
        for (int i = 0; i < VALUES / N; i++)
            if (begin + i * step < columns) load(here + begin + i * step, v[i]);
#pragma unroll
        for (int i = 0; i < VALUES / N; i++)
            if (begin + i * step < columns)
                for (int j = 0; j < N; j++) squares += v[i][j] * v[i][j];
        const float factor = 1.0f / sqrtf(sum_of_block(squares, scratch) / columns + epsilon);
#pragma unroll
        for (int i = 0; i < VALUES / N; i++) {
            const int c = begin + i * step;
            if (c >= columns) continue;
            float w[N];
            load(weight + c, w);
            for (int j = 0; j < N; j++) v[i][j] *= factor * w[j];
            store(here + c, v[i]);
        }
    }
}

// x[r, first + c] ← x[r, first + c] / √(mean_c x[r, first + c]² + ε) · weight[c] for c < columns;
// x is bf16 [rows, stride]
KERNEL __launch_bounds__(1024)
rms_norm_columns(u16 *x, const float *weight, int rows, int stride, int first, int columns, float epsilon) {
    let_next_begin();
    if ((stride | first | columns) % 8 == 0)
        norm_columns<8>(x, weight, rows, stride, first, columns, epsilon);
    else
        norm_columns<1>(x, weight, rows, stride, first, columns, epsilon);
}

// out[r, k] = Σ_c x[r, first + c]²; x is bf16 [rows, stride], out f32 [rows, width]; one block of whole warps a row
KERNEL sum_squares(const u16 *x, float *out, int stride, int first, int columns, int width, int k) {
    __shared__ float scratch[33];
    let_next_begin();
    previous_done();
    const u16 *row = x + (u64)blockIdx.x * stride + first;
    float sum = 0;
    for (int c = threadIdx.x; c < columns; c += blockDim.x) {
        const float v = widen(row[c]);
        sum += v * v;
    }
    sum = sum_of_block(sum, scratch);
    if (threadIdx.x == 0) out[(u64)blockIdx.x * width + k] = sum;
}

// x[r, first + c] ← x[r, first + c] / √(squares[r, k] / count + ε) · weight[c]; x is bf16 [rows, stride], squares f32
// [rows, width]; one block a row
KERNEL scale_columns(u16 *x, const float *weight, const float *squares, int stride, int first, int columns, int width, int k,
                     int count, float epsilon) {
    let_next_begin();
    previous_done();
    u16 *row = x + (u64)blockIdx.x * stride + first;
    const float scale = rsqrtf(squares[(u64)blockIdx.x * width + k] / count + epsilon);
    for (int c = threadIdx.x; c < columns; c += blockDim.x) row[c] = narrow(widen(row[c]) * scale * weight[c]);
}

// MARK: Activations

enum { GELU_EXACT = 0, GELU_TANH = 1, GELU_LOGISTIC = 2 };

static __device__ __forceinline__ float gelu_of(float v, int kind) {
    if (kind == GELU_EXACT) return 0.5f * v * (1.0f + erff(v * 0.70710678f));
    // 1 + tanh(u) = 2 / (1 + exp(−2u))
    const float u = kind == GELU_TANH ? 1.5957691f * (v + 0.044715f * v * v * v) : 1.702f * v;
    return v / (1.0f + __expf(-u));
}

static __device__ __forceinline__ float silu_of(float v) { return __fdividef(v, 1.0f + __expf(-v)); }

// Whether the gate goes through a GELU (by a tanh) or a SiLU.
template <int N, bool GELU>
static __device__ __forceinline__ void gate_rows(const u16 *x, u16 *out, int rows, int columns) {
    const u64 c = ((u64)blockIdx.x * blockDim.x + threadIdx.x) * N;
    if (c >= columns) return;
    for (u64 row = blockIdx.y; row < rows; row += gridDim.y) {
        float gate[N], up[N];
        load(x + row * 2 * columns + c, gate);
        load(x + (row * 2 + 1) * columns + c, up);
#pragma unroll
        for (int i = 0; i < N; i++) gate[i] = (GELU ? gelu_of(gate[i], GELU_TANH) : silu_of(gate[i])) * up[i];
        store(out + row * columns + c, gate);
    }
}

// out[r, c] = g / (1 + exp(−g)) · x[r, columns + c] with g = x[r, c]; x is bf16 [rows, 2 · columns], out
// [rows, columns]
KERNEL silu_multiply(const u16 *x, u16 *out, int rows, int columns) {
    let_next_begin();
    previous_done();
    if (columns % 8 == 0) gate_rows<8, false>(x, out, rows, columns);
    else gate_rows<1, false>(x, out, rows, columns);
}

// out[r, c] = gelu(x[r, c]) · x[r, columns + c] by a tanh; x is bf16 [rows, 2 · columns], out [rows, columns]
KERNEL gelu_multiply(const u16 *x, u16 *out, int rows, int columns) {
    let_next_begin();
    previous_done();
    if (columns % 8 == 0) gate_rows<8, true>(x, out, rows, columns);
    else gate_rows<1, true>(x, out, rows, columns);
}

template <int N> static __device__ __forceinline__ void gelu_pack(u16 *x, int kind) {
    float v[N];
    load(x, v);
#pragma unroll
    for (int i = 0; i < N; i++) v[i] = gelu_of(v[i], kind);
    store(x, v);
}

// x[i] ← gelu(x[i]) of that kind; x is bf16
KERNEL gelu(u16 *x, u64 count, int kind) {
    let_next_begin();
    previous_done();
    const u64 index = (u64)blockIdx.x * blockDim.x + threadIdx.x, step = (u64)gridDim.x * blockDim.x;
    for (u64 i = index; i < count / 8; i += step) gelu_pack<8>(x + i * 8, kind);
    for (u64 i = count / 8 * 8 + index; i < count; i += step) gelu_pack<1>(x + i, kind);
}

// MARK: Look-ups

template <int N, typename T>
static __device__ __forceinline__ void gather(const float *x, const int *rows, T *out, int count,
                                              int columns, int rowCount) {
    for (u64 r = blockIdx.x; r < count; r += gridDim.x) {
        const int row = rows[r];
        for (int c = threadIdx.x * N; c < columns; c += blockDim.x * N) {
            float v[N] = {};
            if (row >= 0 && row < rowCount) load(x + (u64)row * columns + c, v);
            store(out + r * columns + c, v);
        }
    }
}

// out[r] = x[rows[r]], zeros where there is no such row; x is f32 [rowCount, columns],
// out f32 [count, columns]
KERNEL gather_rows(const float *x, const int *rows, float *out, int count, int columns, int rowCount) {
    let_next_begin();
    previous_done();
    if (columns % 4 == 0) gather<4>(x, rows, out, count, columns, rowCount);
    else gather<1>(x, rows, out, count, columns, rowCount);
}

// The same, out bf16 [count, columns]
KERNEL gather_rows_narrow(const float *x, const int *rows, u16 *out, int count, int columns, int rowCount) {
    let_next_begin();
    previous_done();
    if (columns % 4 == 0) gather<4>(x, rows, out, count, columns, rowCount);
    else gather<1>(x, rows, out, count, columns, rowCount);
}

template <int N>
static __device__ __forceinline__ void add(const float *table, const int *rows, const float *weights, float *out,
                                           int count, int terms, int columns, int rowCount) {
    for (u64 t = blockIdx.x; t < count; t += gridDim.x) {
        for (int c = threadIdx.x * N; c < columns; c += blockDim.x * N) {
            float sum[N];
            load(out + t * columns + c, sum);
            for (u64 j = t * terms; j < (t + 1) * terms; j++) {
                const int row = rows[j];
                if (row < 0 || row >= rowCount) continue;
                const float weight = weights ? weights[j] : 1.0f;
                float v[N];
                load(table + (u64)row * columns + c, v);
#pragma unroll
                for (int i = 0; i < N; i++) sum[i] += weight * v[i];
            }
            store(out + t * columns + c, sum);
        }
    }
}

// out[t] ← out[t] + Σ_j weights[t, j] · table[rows[t, j]] over rows that are there; table is f32 [rowCount, columns],
// rows [count, terms], weights f32 [count, terms] or null for ones, out f32 [count, columns]
KERNEL add_rows(const float *table, const int *rows, const float *weights, float *out, int count, int terms,
                int columns, int rowCount) {
    let_next_begin();
    previous_done();
    if (columns % 4 == 0) add<4>(table, rows, weights, out, count, terms, columns, rowCount);
    else add<1>(table, rows, weights, out, count, terms, columns, rowCount);
}

template <int N>
static __device__ __forceinline__ void embed_rows(const int *ids, const int *previous, const int *imageRows,
                                                  const u16 *table, const float *images, float *out,
                                                  int tokens, int columns, int vocabulary, int imageCount,
                                                  int previousCount, int firstID, float scale) {
    for (u64 t = blockIdx.x; t < tokens; t += gridDim.x) {
        const int image = imageRows[t];
        int id = ids[t];
        if (id < 0) id = -1 - id < previousCount ? previous[-1 - id] : -1;
        const bool known = id >= firstID && id - firstID < vocabulary;
        for (int c = threadIdx.x * N; c < columns; c += blockDim.x * N) {
            float v[N] = {};
            if (image >= 0 && image < imageCount) load(images + (u64)image * columns + c, v);
            else if (image < 0 && known) {
                load(table + (u64)(id - firstID) * columns + c, v);
#pragma unroll
                for (int i = 0; i < N; i++) v[i] *= scale;
            }
            store(out + t * columns + c, v);
        }
    }
}

// out[t] = images[imageRows[t]] for a row that is not negative, else scale · table[id − firstID] with id = ids[t], or previous[−1 −
// ids[t]] for a negative one; zeros where there is no such row.
//
// ids and imageRows are [tokens], previous [previousCount], table bf16 [vocabulary, columns], images f32
// [imageCount, columns], out f32 [tokens, columns].
KERNEL embed(const int *ids, const int *previous, const int *imageRows, const u16 *table, const float *images,
             float *out, int tokens, int columns, int vocabulary, int imageCount, int previousCount, int firstID,
             float scale) {
    let_next_begin();
    previous_done();
    if (columns % 4 == 0)
        embed_rows<4>(ids, previous, imageRows, table, images, out, tokens, columns, vocabulary, imageCount,
                      previousCount, firstID, scale);
    else
        embed_rows<1>(ids, previous, imageRows, table, images, out, tokens, columns, vocabulary, imageCount,
                      previousCount, firstID, scale);
}

// out[r, first + c] = x[r, c]; x is f32 [rows, columns], out f32 [rows, width]
KERNEL place_columns(const float *x, float *out, int rows, int columns, int width, int first) {
    let_next_begin();
    previous_done();
    for (u64 r = blockIdx.y; r < rows; r += gridDim.y) {
        for (int c = blockIdx.x * blockDim.x + threadIdx.x; c < columns; c += gridDim.x * blockDim.x)
            out[r * width + first + c] = x[r * columns + c];
    }
}

// MARK: Values one by one

enum { TYPE_F32 = 0, TYPE_BF16 = 1, TYPE_F16 = 2 };

static __device__ __forceinline__ float widen_half(u16 v) {
    float out;
    asm("cvt.f32.f16 %0, %1;" : "=f"(out) : "h"(v));
    return out;
}
static __device__ __forceinline__ u16 narrow_half(float v) {
    u16 out;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(out) : "f"(v));
    return out;
}

// target[i] = source[i] · rowScale[i / columns], without the factor where rowScale is null; i < count
KERNEL convert(const void *source, int fromType, void *target, int toType, const float *rowScale, u64 count,
               u64 columns) {
    let_next_begin();
    previous_done();
    const u64 step = (u64)gridDim.x * blockDim.x;
    for (u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) {
        float v;
        if (fromType == TYPE_F32) v = ((const float *)source)[i];
        else if (fromType == TYPE_BF16) v = widen(((const u16 *)source)[i]);
        else v = widen_half(((const u16 *)source)[i]);
        if (rowScale) v *= rowScale[i / columns];
        if (toType == TYPE_F32) ((float *)target)[i] = v;
        else ((u16 *)target)[i] = toType == TYPE_BF16 ? narrow(v) : narrow_half(v);
    }
}

// *flag = 1 if one of x[0 ..< count] is not finite, else left as it is
KERNEL check_finite(const float *x, u64 count, int *flag) {
    let_next_begin();
    previous_done();
    const u64 index = (u64)blockIdx.x * blockDim.x + threadIdx.x, step = (u64)gridDim.x * blockDim.x;
    bool finite = true;
    for (u64 i = index; i < count / 4; i += step) {
        float v[4];
        load(x + i * 4, v);
        for (int j = 0; j < 4; j++) finite &= isfinite(v[j]);
    }
    for (u64 i = count / 4 * 4 + index; i < count; i += step) finite &= isfinite(x[i]);
    if (!finite) *flag = 1;
}

// out[i] = bf16 of (s + ½) · scale, cut off, where s is the signed 16 bits at place i mod 4 of number i / 4
// of the splitmix64 stream of `seed`.
KERNEL fill_random(u16 *out, u64 count, u64 seed, float scale) {
    let_next_begin();
    previous_done();
    const u64 step = (u64)gridDim.x * blockDim.x;
    for (u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x; i < (count + 3) / 4; i += step) {
        u64 bits = seed + (i + 1) * 0x9e3779b97f4a7c15ull;
        bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9ull;
        bits = (bits ^ bits >> 27) * 0x94d049bb133111ebull;
        bits ^= bits >> 31;
        Pack<u16, 4> pack;
#pragma unroll
        for (int j = 0; j < 4; j++)
            pack.at[j] = __float_as_uint(((float)(short)(bits >> 16 * j) + 0.5f) * scale) >> 16;
        if (i * 4 + 4 <= count) *(Pack<u16, 4> *)(out + i * 4) = pack;
        else
#pragma unroll
            for (int j = 0; j < 3; j++)
                if (i * 4 + j < count) out[i * 4 + j] = pack.at[j];
    }
}
