// Mixtures of experts: which experts a token's row goes to, and the products with their weights.
//
// A pair is a token with one of its experts. Pairs are put into places by expert, and by token within one; a run is
// some places of one expert that a product takes together. How many there are only the device knows: a launch has
// blocks for the most there can be, and those without a run end at once.

constexpr int MOST_EXPERTS = 512;
constexpr int MOST_TOP = 16;
constexpr int MOST_FEW = 4096;  // pairs of route_few
constexpr u32 ALL = 0xffffffffu;

struct alignas(16) Run {
    int expert;
    int first, count;  // places
    int unused;
};

// MARK: Routing

// A number that grows with v; what is no number comes last, zeros are equal, and nothing is 0.
static __device__ __forceinline__ u32 order_of(float v) {
    if (v != v) return 0xffffffffu;
    const u32 bits = __float_as_uint(v + 0.0f);
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}
static __device__ __forceinline__ float value_of(u32 order) {
    return __uint_as_float(order >> 31 ? order & 0x7fffffffu : ~order);
}

// Chooses the experts of the `top` largest logits of a token, by one warp: lane j gets the j-th and its share, softmax of
// all logits or, if `normalizes`, of those chosen. Of equal ones the first counts. A logit that is no number is chosen
// first and makes the shares no numbers.
static __device__ __forceinline__ int choose(const float *logits, int experts, int top, bool normalizes,
                                             float &share) {
    constexpr int EACH = MOST_EXPERTS / 32;
    const int lane = threadIdx.x % 32;
    u32 order[EACH], best = 0;  // of the logits lane, lane + 32, …; zero for those chosen already
#pragma unroll
    for (int i = 0; i < EACH; i++) {
        const int expert = i * 32 + lane;
        order[i] = expert < experts ? order_of(logits[expert]) : 0;
        best = max(best, order[i]);
    }
    const float largest = value_of(__reduce_max_sync(ALL, best));
    float total = 0.0f;
#pragma unroll
    for (int i = 0; i < EACH; i++)
        if (order[i]) total += expf(value_of(order[i]) - largest);
    total = sum_of_warp(total);
    int chosen = 0;
    float power = 0.0f;
    for (int j = 0; j < top; j++) {
        u32 own = 0, place = MOST_EXPERTS;
#pragma unroll
        for (int i = 0; i < EACH; i++)
            if (order[i] > own) own = order[i], place = i * 32 + lane;
        const u32 most = __reduce_max_sync(ALL, own);
        const u32 expert = __reduce_min_sync(ALL, own == most ? place : (u32)MOST_EXPERTS);
#pragma unroll
        for (int i = 0; i < EACH; i++)
            if (expert == i * 32 + lane) order[i] = 0;
        if (lane == j) chosen = expert, power = expf(value_of(most) - largest);
    }
    if (normalizes) total = sum_of_warp(power);
    share = power / total;
    return chosen;
}

// Where the places of each expert begin, and its runs of up to `most` places, by the first warp: starts and runs are
// [MOST_EXPERTS] of shared memory, counts [experts]. Lane 31 gets the number of all runs.
static __device__ __forceinline__ int begin_experts(const int *counts, int experts, int most, int *starts,
                                                    int *runs) {
    constexpr int EACH = MOST_EXPERTS / 32;
    const int lane = threadIdx.x % 32;
    int places = 0, pieces = 0;
    for (int i = 0; i < EACH; i++) {
        const int expert = lane * EACH + i, count = expert < experts ? counts[expert] : 0;
        places += count;
        pieces += (count + most - 1) / most;
    }
    int place = places, piece = pieces;
#pragma unroll
    for (int step = 1; step < 32; step <<= 1) {
        const int a = __shfl_up_sync(ALL, place, step), b = __shfl_up_sync(ALL, piece, step);
        if (lane >= step) place += a, piece += b;
    }
    const int all = piece;
    place -= places;
    piece -= pieces;
    for (int i = 0; i < EACH; i++) {
        const int expert = lane * EACH + i, count = expert < experts ? counts[expert] : 0;
        starts[expert] = place;
        runs[expert] = piece;
        place += count;
        piece += (count + most - 1) / most;
    }
    return all;
}

// Gives the pairs of `expert` among chosen[first ..< end] the places from `place` on, by one warp: the place of each pair,
// the token of each place.
static __device__ __forceinline__ void place_pairs(const u16 *chosen, int first, int end, int expert, int place,
                                                   int top, int *places, int *tokens) {
    const int lane = threadIdx.x % 32;
    for (int next = first; next < end; next += 32) {
        const int pair = next + lane;
        const bool mine = pair < end && chosen[pair] == expert;
        const u32 all = __ballot_sync(ALL, mine);
        if (mine) {
            const int own = place + __popc(all & ((1u << lane) - 1));
            places[pair] = own;
            tokens[own] = pair / top;
        }
        place += __popc(all);
    }
}

// Writes the runs of an expert with `count` places from `start` on, by `threads` threads.
static __device__ __forceinline__ void write_runs(Run *to, int expert, int start, int count, int most, int thread,
                                                  int threads) {
    for (int i = thread; i * most < count; i += threads)
        to[i] = Run{expert, start + i * most, min(most, count - i * most), 0};
}

// All of it for up to MOST_FEW pairs, in one block of whole warps. logits is f32 [rows, experts]; places and shares are
// [rows, top]; tokens is [pairs].
KERNEL __launch_bounds__(1024, 1)
route_few(const float *logits, float *shares, int *places, int *tokens, Run *runs, int *runCount, int rows, int experts,
          int top, int normalizes, int most) {
    __shared__ u16 chosen[MOST_FEW];
    __shared__ int counts[MOST_EXPERTS], starts[MOST_EXPERTS], firstRuns[MOST_EXPERTS];
    let_next_begin();
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = blockDim.x / 32;
    const int pairs = min(rows * top, MOST_FEW);
    for (int i = threadIdx.x; i < MOST_EXPERTS; i += blockDim.x) counts[i] = 0;
    previous_done();
    for (int row = warp; row * top < pairs; row += warps) {
        float share;
        const int expert = choose(logits + row * experts, experts, top, normalizes, share);
        if (lane < top) chosen[row * top + lane] = expert, shares[row * top + lane] = share;
    }
    __syncthreads();
    for (int pair = threadIdx.x; pair < pairs; pair += blockDim.x) atomicAdd(&counts[chosen[pair]], 1);
    __syncthreads();
    if (warp == 0) {
        const int all = begin_experts(counts, experts, most, starts, firstRuns);
        if (lane == 31) *runCount = all;
    }
    __syncthreads();
    for (int expert = warp; expert < experts; expert += warps) {
        const int count = counts[expert], start = starts[expert];
        if (count == 0) continue;
        place_pairs(chosen, 0, pairs, expert, start, top, places, tokens);
        write_runs(runs + firstRuns[expert], expert, start, count, most, lane, 32);
    }
}

// The experts of each row, by a warp each: chosen and shares are [rows, top]; counts [experts], zero before.
KERNEL __launch_bounds__(256)
choose_experts(const float *logits, u16 *chosen, float *shares, int *counts, int rows, int experts, int top,
               int normalizes) {
    let_next_begin();
    previous_done();
    const int row = blockIdx.x * 8 + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    float share;
    const int expert = choose(logits + (long long)row * experts, experts, top, normalizes, share);
    if (lane < top) {
        chosen[(long long)row * top + lane] = expert;
        shares[(long long)row * top + lane] = share;
        atomicAdd(counts + expert, 1);
    }
}

// The places of each expert's pairs and its runs, by a block of 256 threads each.
KERNEL __launch_bounds__(256)
place_experts(const u16 *chosen, const int *counts, int *places, int *tokens, Run *runs, int *runCount, int pairs,
              int experts, int top, int most) {
    __shared__ int starts[MOST_EXPERTS], firstRuns[MOST_EXPERTS], found[8];
    let_next_begin();
    previous_done();
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, expert = blockIdx.x;
    if (warp == 0) {
        const int all = begin_experts(counts, experts, most, starts, firstRuns);
        if (lane == 31 && expert == 0) *runCount = all;
    }
    const int count = counts[expert];
    if (count == 0) return;
    const int part = (pairs + 255) / 256 * 32, first = min(warp * part, pairs), end = min(first + part, pairs);
    int own = 0;
    for (int next = first; next < end; next += 32)
        own += __popc(__ballot_sync(ALL, next + lane < end && chosen[next + lane] == expert));
    if (lane == 0) found[warp] = own;
    __syncthreads();
    int place = starts[expert];
    for (int i = 0; i < warp; i++) place += found[i];
    place_pairs(chosen, first, end, expert, place, top, places, tokens);
    write_runs(runs + firstRuns[expert], expert, starts[expert], count, most, threadIdx.x, 256);
}

// stream[t] += Σⱼ shares[t, j] · out[places[t, j]]; out is f32 [pairs, columns], stream f32 [rows, columns]; columns are a
// multiple of 4.
KERNEL __launch_bounds__(128)
add_experts(const float *out, const int *places, const float *shares, float *stream, int rows, int columns, int top) {
    constexpr int BATCH = 8;
    let_next_begin();
    previous_done();
    const int column = (blockIdx.x * 128 + threadIdx.x) * 4;
    if (column >= columns) return;
    for (long long row = blockIdx.y; row < rows; row += gridDim.y) {
        float4 *const at = (float4 *)(stream + row * columns + column);
        float4 sum = *at;
        for (int first = 0; first < top; first += BATCH) {
            float4 v[BATCH];
            float share[BATCH];
#pragma unroll
            for (int j = 0; j < BATCH; j++) {
                if (first + j >= top) break;
                const long long place = places[row * top + first + j];
                share[j] = shares[row * top + first + j];
                v[j] = __ldcg((const float4 *)(out + place * columns + column));
            }
#pragma unroll
            for (int j = 0; j < BATCH; j++) {
                if (first + j >= top) break;
                sum.x += share[j] * v[j].x, sum.y += share[j] * v[j].y;
                sum.z += share[j] * v[j].z, sum.w += share[j] * v[j].w;
            }
        }
        *at = sum;
    }
}

// MARK: Products
//
// out[p, n] = Σₖ x[p, k] · W[n, k] for the places p of each run, W being its expert's. GATED: W is [2 · N, K], gates before
// values, and out = silu(gate) · value in bf16; x[p] is then the row of the place's token. Else W is [N, K], x [places, K]
// and out f32. N and K are multiples of 8.

constexpr int WARPS = 4, THREADS = WARPS * 32;

static __device__ __forceinline__ u32 shared_address(const void *pointer) {
    return (u32)__cvta_generic_to_shared(pointer);
}
// Copies 16 bytes into shared memory in the background, or zeros.
static __device__ __forceinline__ void copy_16(u32 to, const u16 *from, bool exists) {
    asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(to),
                 "l"(__cvta_generic_to_global(from)), "r"(exists ? 16 : 0)
                 : "memory");
}
static __device__ __forceinline__ void commit_copies() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}
template <int PENDING> static __device__ __forceinline__ void wait_for_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

// Four 8×8 matrices; lane l gives the address of row l % 8 of matrix l / 8.
static __device__ __forceinline__ void load_matrices(u32 (&to)[4], u32 address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(address));
}
// c [16, 8] += a [16, 16] · b [16, 8]. Lane l holds rows l / 4 and l / 4 + 8 of c, columns l % 4 · 2 and + 1.
static __device__ __forceinline__ void multiply_add(float (&c)[4], u32 a0, u32 a1, u32 a2, u32 a3, u32 b0,
                                                    u32 b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

static __device__ __forceinline__ float gated(float gate, float value) {
    return gate / (1.0f + expf(-gate)) * value;
}

// MARK: Products of few rows
//
// They take as long as reading the weights takes. Each warp takes tiles of 16 rows of W in turn, as operand a, with 8 rows
// of x as operand b, as products.cu has it: lane 4g + t takes 16 bytes at column 8t of every 32, from rows g and g + 8 of W
// and from row g of x. A step is 64 columns. Of W each lane copies to shared memory, some stages ahead and over the ends of
// tiles, what it will read itself, so that needs no barrier; x comes through the first cache.

constexpr int STEP = 64;
constexpr int STAGES = 6;
constexpr int MOST_GROUPS = 4;  // of 8 rows of x: places of a run at most

// Outputs of a tile of 16 rows of W. A gated one has 8 gates, then their 8 values.
template <bool GATED> constexpr int WIDTH = GATED ? 8 : 16;

// A tile of W with up to GROUPS · 8 places. `arrive` waits for the next step of W and says where it is, `leave` gives its
// place away.
template <bool GATED, int GROUPS, class Arrive, class Leave>
static __device__ __forceinline__ void multiply_few(const Run &run, int tile, const u16 *x, const int *tokens,
                                                    void *out, int N, int K, Arrive arrive, Leave leave) {
    const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    const u16 *rows[GROUPS];
#pragma unroll
    for (int j = 0; j < GROUPS; j++) {
        // Beyond the last one the last one.
        const int place = run.first + min(j * 8 + g, run.count - 1);
        rows[j] = x + (long long)(GATED ? tokens[place] : place) * K;
    }
    uint4 b[GROUPS][2], next_b[GROUPS][2];
    const auto operands = [&](uint4(&v)[GROUPS][2], int k) {
#pragma unroll
        for (int j = 0; j < GROUPS; j++)
#pragma unroll
            for (int i = 0; i < 2; i++) {
                v[j][i] = make_uint4(0, 0, 0, 0);
                if (k + i * 32 < K) v[j][i] = *(const uint4 *)(rows[j] + k + i * 32);
            }
    };
    float sums[GROUPS][4] = {};
    operands(b, t * 8);
    for (int first = 0; first < K; first += STEP) {
        operands(next_b, first + STEP + t * 8);
        const uint4 *const a = arrive();
        const uint4 upper = a[0], lower = a[32], more_upper = a[64], more_lower = a[96];
#pragma unroll
        for (int j = 0; j < GROUPS; j++) {
            multiply_add(sums[j], upper.x, lower.x, upper.y, lower.y, b[j][0].x, b[j][0].y);
            multiply_add(sums[j], upper.z, lower.z, upper.w, lower.w, b[j][0].z, b[j][0].w);
            multiply_add(sums[j], more_upper.x, more_lower.x, more_upper.y, more_lower.y, b[j][1].x, b[j][1].y);
            multiply_add(sums[j], more_upper.z, more_lower.z, more_upper.w, more_lower.w, b[j][1].z, b[j][1].w);
        }
        leave();
#pragma unroll
        for (int j = 0; j < GROUPS; j++) b[j][0] = next_b[j][0], b[j][1] = next_b[j][1];
    }
    // Rows g and g + 8 of W, each with rows 2t and 2t + 1 of x.
    const int n = tile * WIDTH<GATED> + g;
#pragma unroll
    for (int j = 0; j < GROUPS; j++)
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const int m = j * 8 + t * 2 + i;
            if (m >= run.count) continue;
            const long long row = (long long)(run.first + m) * N;
            if (GATED) {
                if (n < N) ((u16 *)out)[row + n] = narrow(gated(sums[j][i], sums[j][2 + i]));
            } else {
                if (n < N) ((float *)out)[row + n] = sums[j][i];
                if (n + 8 < N) ((float *)out)[row + n + 8] = sums[j][2 + i];
            }
        }
}

template <bool GATED>
static __device__ __forceinline__ void product_few(const u16 *w, const u16 *x, const int *tokens, const Run *runs,
                                                   const int *runCount, void *out, int N, int K) {
    extern __shared__ uint4 room[];  // [WARPS, STAGES, 4, 32]
    let_next_begin();
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    const int tiles = (N + WIDTH<GATED> - 1) / WIDTH<GATED>, step = gridDim.x * WARPS;
    uint4 *const place = room + warp * STAGES * 128 + lane;
    previous_done();
    const int units = *runCount * tiles;

    // Copies the next step of this warp, if any, to a stage; columns from K on are zeros.
    int next = blockIdx.x * WARPS + warp, next_first = 0;
    const u16 *upper = w, *lower = w;
    const auto find_rows = [&] {
        if (next >= units) return;
        const u16 *const own = w + (long long)runs[next / tiles].expert * (GATED ? 2 : 1) * N * K + t * 8;
        const int n = next % tiles * WIDTH<GATED> + g;
        upper = own + (long long)min(n, N - 1) * K;
        lower = own + (long long)(GATED ? N + min(n, N - 1) : min(n + 8, N - 1)) * K;
    };
    const auto copy_next = [&](int stage) {
        if (next < units) {
            const u32 to = shared_address(place + stage * 128);
            const int k = next_first + t * 8;
            copy_16(to, upper + next_first, k < K);
            copy_16(to + 512, lower + next_first, k < K);
            copy_16(to + 1024, upper + next_first + 32, k + 32 < K);
            copy_16(to + 1536, lower + next_first + 32, k + 32 < K);
            next_first += STEP;
            if (next_first >= K) {
                next_first = 0;
                next += step;
                find_rows();
            }
        }
        commit_copies();
    };
    find_rows();
#pragma unroll
    for (int i = 0; i < STAGES - 1; i++) copy_next(i);

    int stage = 0;
    const auto arrive = [&] {
        wait_for_copies<STAGES - 2>();
        return (const uint4 *)(place + stage * 128);
    };
    const auto leave = [&] {
        copy_next(stage ? stage - 1 : STAGES - 1);
        stage = stage + 1 == STAGES ? 0 : stage + 1;
    };
    for (int unit = blockIdx.x * WARPS + warp; unit < units; unit += step) {
        const Run run = runs[unit / tiles];
        const int tile = unit % tiles;
        if (run.count <= 8) multiply_few<GATED, 1>(run, tile, x, tokens, out, N, K, arrive, leave);
        else if (run.count <= 16) multiply_few<GATED, 2>(run, tile, x, tokens, out, N, K, arrive, leave);
        else multiply_few<GATED, MOST_GROUPS>(run, tile, x, tokens, out, N, K, arrive, leave);
    }
}

// w is bf16 [experts, 2 · N, K], x bf16 [rows, K], out bf16 [pairs, N]
KERNEL __launch_bounds__(THREADS, 4)
experts_few_gated(const u16 *w, const u16 *x, const int *tokens, const Run *runs, const int *runCount, u16 *out,
                  int N, int K) {
    product_few<true>(w, x, tokens, runs, runCount, out, N, K);
}

// w is bf16 [experts, N, K], x bf16 [pairs, K], out f32 [pairs, N]
KERNEL __launch_bounds__(THREADS, 4)
experts_few_down(const u16 *w, const u16 *x, const int *tokens, const Run *runs, const int *runCount, float *out,
                 int N, int K) {
    product_few<false>(w, x, tokens, runs, runCount, out, N, K);
}

// MARK: Products of many rows
//
// A block takes a run of up to TILES · 32 places with SIDES · 64 rows of W, in steps of 32 columns that pass through
// shared memory, DEPTH of them at a time; a warp has half of the places and 64 of the rows of W: gated 32 gates, then
// their values. The larger a block's part, the less often are x and W read from the second cache, whose rate is the bound.

constexpr int COLUMNS = 32;
constexpr int PITCH = COLUMNS + 8;  // row of shared memory: eight rows touch all banks once

template <bool GATED, int TILES, int SIDES, int DEPTH>
static __device__ __forceinline__ void product_many(const u16 *w, const u16 *x, const int *tokens, const Run *runs,
                                                    const int *runCount, void *out, int N, int K) {
    constexpr int MOST = TILES * 32, STAGE = (MOST + SIDES * 64) * PITCH;
    constexpr int AT_ONCE = SIDES * 16;  // rows that all threads copy 16 bytes of each, by fours
    constexpr int TURNS = MOST / AT_ONCE, TURNS_OF_W = SIDES * 64 / AT_ONCE;
    extern __shared__ uint4 room[];  // of bf16: [DEPTH, MOST + SIDES · 64, PITCH]
    let_next_begin();
    previous_done();
    if ((int)blockIdx.y >= *runCount) return;
    const Run run = runs[blockIdx.y];
    const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;

    // Beyond the last row the last row.
    const u16 *from[TURNS + TURNS_OF_W];
#pragma unroll
    for (int i = 0; i < TURNS; i++) {
        const int place = run.first + min(i * AT_ONCE + thread / 4, run.count - 1);
        from[i] = x + (long long)(GATED ? tokens[place] : place) * K + thread % 4 * 8;
    }
    const u16 *const own = w + (long long)run.expert * (GATED ? 2 : 1) * N * K + thread % 4 * 8;
#pragma unroll
    for (int i = 0; i < TURNS_OF_W; i++) {
        const int row = i * AT_ONCE + thread / 4;
        const int n = GATED ? (blockIdx.x * SIDES + row / 64) * 32 + row % 32 : blockIdx.x * SIDES * 64 + row;
        from[TURNS + i] = own + (long long)(min(n, N - 1) + (GATED ? row % 64 / 32 * N : 0)) * K;
    }
    const u32 shared = shared_address(room);
    const u32 target = shared + (thread / 4 * PITCH + thread % 4 * 8) * 2;
    const int steps = (K + COLUMNS - 1) / COLUMNS;
    const auto copy_step = [&](int step) {
        if (step < steps) {
            const u32 to = target + step % DEPTH * STAGE * 2;
            const bool inside = step * COLUMNS + thread % 4 * 8 < K;
#pragma unroll
            for (int i = 0; i < TURNS + TURNS_OF_W; i++)
                copy_16(to + i * AT_ONCE * PITCH * 2, from[i] + step * COLUMNS, inside);
        }
        commit_copies();
    };
#pragma unroll
    for (int i = 0; i < DEPTH - 1; i++) copy_step(i);

    float sums[TILES][8][4] = {};
    const int half = warp / SIDES, side = warp % SIDES;
    // Matrices of operand a down, then across; of operand b across, then down.
    const u32 rows_of_x = shared + ((half * TILES * 16 + lane % 16) * PITCH + lane / 16 * 8) * 2;
    const u32 rows_of_w =
        shared + ((MOST + side * 64 + lane % 8 + lane / 16 * 8) * PITCH + lane / 8 % 2 * 8) * 2;
    for (int step = 0; step < steps; step++) {
        wait_for_copies<DEPTH - 2>();
        __syncthreads();
        copy_step(step + DEPTH - 1);
        const u32 stage = step % DEPTH * STAGE * 2;
#pragma unroll
        for (int k = 0; k < COLUMNS / 16; k++) {
            u32 a[TILES][4], b[4][4];
#pragma unroll
            for (int m = 0; m < TILES; m++)
                load_matrices(a[m], rows_of_x + stage + m * 16 * PITCH * 2 + k * 32);
#pragma unroll
            for (int j = 0; j < 4; j++)
                load_matrices(b[j], rows_of_w + stage + j * 16 * PITCH * 2 + k * 32);
#pragma unroll
            for (int m = 0; m < TILES; m++)
#pragma unroll
                for (int j = 0; j < 8; j++)
                    multiply_add(sums[m][j], a[m][0], a[m][1], a[m][2], a[m][3], b[j / 2][j % 2 * 2],
                                 b[j / 2][j % 2 * 2 + 1]);
        }
    }
#pragma unroll
    for (int m = 0; m < TILES; m++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            const int row = (half * TILES + m) * 16 + h * 8 + lane / 4;
            if (row >= run.count) continue;
            const long long at = (long long)(run.first + row) * N;
            if (GATED) {
#pragma unroll
                for (int j = 0; j < 4; j++) {
                    const int n = (blockIdx.x * SIDES + side) * 32 + j * 8 + lane % 4 * 2;
                    const float *const gates = &sums[m][j][2 * h], *const values = &sums[m][j + 4][2 * h];
                    if (n < N)
                        *(u32 *)((u16 *)out + at + n) =
                            narrow(gated(gates[0], values[0]), gated(gates[1], values[1]));
                }
            } else {
#pragma unroll
                for (int j = 0; j < 8; j++) {
                    const int n = (blockIdx.x * SIDES + side) * 64 + j * 8 + lane % 4 * 2;
                    if (n < N)
                        *(float2 *)((float *)out + at + n) = make_float2(sums[m][j][2 * h], sums[m][j][2 * h + 1]);
                }
            }
        }
}

// The shapes of experts_few_gated and experts_few_down; runs of up to 64 places with 128 rows of W, and of up to 128 with 256.
// Grid: (⌈rows of W / those of a block⌉, runs).
KERNEL __launch_bounds__(128, 3)
experts_64_gated(const u16 *w, const u16 *x, const int *tokens, const Run *runs, const int *runCount, u16 *out,
                 int N, int K) {
    product_many<true, 2, 2, 4>(w, x, tokens, runs, runCount, out, N, K);
}
KERNEL __launch_bounds__(128, 3)
experts_64_down(const u16 *w, const u16 *x, const int *tokens, const Run *runs, const int *runCount, float *out,
                int N, int K) {
    product_many<false, 2, 2, 4>(w, x, tokens, runs, runCount, out, N, K);
}
KERNEL __launch_bounds__(256, 1)
experts_128_gated(const u16 *w, const u16 *x, const int *tokens, const Run *runs, const int *runCount, u16 *out,
                  int N, int K) {
    product_many<true, 4, 4, 3>(w, x, tokens, runs, runCount, out, N, K);
}
KERNEL __launch_bounds__(256, 1)
experts_128_down(const u16 *w, const u16 *x, const int *tokens, const Run *runs, const int *runCount, float *out,
                 int N, int K) {
    product_many<false, 4, 4, 3>(w, x, tokens, runs, runCount, out, N, K);
}
