// Attention over the paged cache (decode, prefill) and over plain rows (vision), for one head and page size.
// Products run on mma.sync m16n8k16 with f32 accumulators; the softmax is online and in base two.

#ifndef HEAD_DIM
#define HEAD_DIM 128
#endif
#ifndef PAGE_SIZE
#define PAGE_SIZE 16
#endif
// Keys of a tile of prefill_attention and full_attention.
#ifndef TILE_KEYS
#define TILE_KEYS (HEAD_DIM <= 96 || HEAD_DIM == 128 ? 64 : 32)
#endif
// Blocks of them that one multiprocessor should hold.
#ifndef TILE_BLOCKS
#define TILE_BLOCKS 2
#endif
// Whether their queries stay in registers, not in shared memory.
#ifndef TILE_QUERIES_IN_REGISTERS
#define TILE_QUERIES_IN_REGISTERS (HEAD_DIM <= 64)
#endif
// Depth of the ring of keys and values of decode_attention.
#ifndef DECODE_STAGES
#define DECODE_STAGES 3
#endif

constexpr int DIM = (HEAD_DIM + 15) / 16 * 16;  // head size, padded with zeros
constexpr int PIECES = HEAD_DIM / 8;            // 16-byte pieces of a row
constexpr int PITCH = DIM + 8;                  // row of shared memory: eight rows touch all banks once
constexpr int ROW_BYTES = PITCH * 2;
constexpr int WARPS = 4, THREADS = WARPS * 32;
constexpr int WARP_TILES = DIM <= 128 ? 2 : 1;  // 16-row tiles of a warp of prefill_attention
constexpr int TILE_ROWS = WARPS * WARP_TILES * 16;
constexpr int MAX_SPLITS = 64;
constexpr u32 ALL = 0xffffffffu;
static_assert(TILE_KEYS % PAGE_SIZE == 0 || PAGE_SIZE % TILE_KEYS == 0,
              "a tile of keys is whole pages or lies within one");

static __device__ __forceinline__ float minus_infinity() { return __int_as_float(0xff800000); }

// The thread's index, read again: nothing that follows from it is kept in registers meanwhile.
static __device__ __forceinline__ int thread_anew() {
    u32 out;
    asm volatile("mov.u32 %0, %%tid.x;" : "=r"(out));
    return out % THREADS;
}

static __device__ __forceinline__ float power_of_two(float v) {
    float out;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(out) : "f"(v));
    return out;
}

static __device__ __forceinline__ u32 shared_address(const void *pointer) {
    return (u32)__cvta_generic_to_shared(pointer);
}

// Copies 16 bytes into shared memory in the background, or zeros where there is nothing to read.
static __device__ __forceinline__ void copy_16(u32 to, const void *from, bool exists) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(exists ? 16 : 0));
}
static __device__ __forceinline__ void copy_4(u32 to, const void *from, bool exists) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to), "l"(from), "r"(exists ? 4 : 0));
}
static __device__ __forceinline__ void commit_copies() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}
template <int PENDING> static __device__ __forceinline__ void wait_for_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}
static __device__ __forceinline__ void wait_for_all_copies() {
    asm volatile("cp.async.wait_all;" ::: "memory");
}

// Four 8×8 matrices; lane l gives the address of row l % 8 of matrix l / 8.
static __device__ __forceinline__ void load_matrices(u32 (&to)[4], u32 address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(address));
}
static __device__ __forceinline__ void load_matrices_transposed(u32 (&to)[4], u32 address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(address));
}

// c [16, 8] += a [16, 16] · b [16, 8]. Lane l holds rows l / 4 and l / 4 + 8 of c, columns l % 4 · 2 and + 1.
static __device__ __forceinline__ void multiply_add(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Bytes from a 16×16 tile of shared memory to the row that this lane names to load_matrices: for an operand a
// or values (matrices down, then across), and for keys (across, then down).
static __device__ __forceinline__ u32 lane_offset_down(int lane) {
    return lane % 16 * ROW_BYTES + lane / 16 * 16;
}
static __device__ __forceinline__ u32 lane_offset_across(int lane) {
    return (lane % 8 + lane / 16 * 8) * ROW_BYTES + lane / 8 % 2 * 16;
}

// What a warp knows of TILES · 16 rows: sums of 2^(score − peak) · value and of 2^(score − peak). Lane l
// holds rows l / 4 and l / 4 + 8 of every tile. `sum` is this lane's share until `finish`.
template <int TILES> struct Rows {
    float out[TILES][DIM / 8][4];
    float peak[TILES][2], sum[TILES][2];

    __device__ __forceinline__ Rows() {
#pragma unroll
        for (int m = 0; m < TILES; m++) {
#pragma unroll
            for (int j = 0; j < DIM / 8; j++)
#pragma unroll
                for (int e = 0; e < 4; e++) out[m][j][e] = 0.0f;
#pragma unroll
            for (int h = 0; h < 2; h++) peak[m][h] = minus_infinity(), sum[m][h] = 0.0f;
        }
    }

    // Adds CHUNKS · 16 keys. `keys` and `values` are addresses in shared memory with the lane's offset;
    // load_queries(k, a) gives columns 16k to 16k + 15 of the rows, visible(m, h) up to which of these keys row
    // (m, h) of this lane sees, hidden(m, h) from which on (asked only if `masked`); `scale` includes log2 e.
    template <int CHUNKS, class Queries, class Visible, class Hidden>
    __device__ __forceinline__ void attend(Queries load_queries, u32 keys, u32 values, bool masked,
                                           Visible visible, Hidden hidden, float scale) {
        const int lane = threadIdx.x % 32;
        float p[TILES][2 * CHUNKS][4] = {};
#pragma unroll
        for (int k = 0; k < DIM / 16; k++) {
            u32 a[TILES][4];
            load_queries(k, a);
#pragma unroll
            for (int c = 0; c < CHUNKS; c++) {
                u32 b[4];
                load_matrices(b, keys + c * 16 * ROW_BYTES + k * 32);
#pragma unroll
                for (int m = 0; m < TILES; m++) {
                    multiply_add(p[m][2 * c], a[m], b[0], b[1]);
                    multiply_add(p[m][2 * c + 1], a[m], b[2], b[3]);
                }
            }
        }
        if (masked) {
#pragma unroll
            for (int m = 0; m < TILES; m++)
#pragma unroll
                for (int h = 0; h < 2; h++) {
                    const int count = visible(m, h) - lane % 4 * 2, begin = hidden(m, h) - lane % 4 * 2;
#pragma unroll
                    for (int n = 0; n < 2 * CHUNKS; n++)
#pragma unroll
                        for (int e = 0; e < 2; e++)
                            if (n * 8 + e >= count || n * 8 + e < begin) p[m][n][2 * h + e] = minus_infinity();
                }
        }

        // Peaks follow only when a score passes one by more than 2^8: until then no sum needs to shrink.
        float top[TILES][2];
        bool grew = false;
#pragma unroll
        for (int m = 0; m < TILES; m++)
#pragma unroll
            for (int h = 0; h < 2; h++) {
                float t = fmaxf(p[m][0][2 * h], p[m][0][2 * h + 1]);
#pragma unroll
                for (int n = 1; n < 2 * CHUNKS; n++) t = fmaxf(t, fmaxf(p[m][n][2 * h], p[m][n][2 * h + 1]));
                t = fmaxf(t, __shfl_xor_sync(ALL, t, 1));
                t = fmaxf(t, __shfl_xor_sync(ALL, t, 2));
                top[m][h] = t * scale;
                grew |= top[m][h] > peak[m][h] + 8.0f;
            }
        if (__any_sync(ALL, grew)) {
#pragma unroll
            for (int m = 0; m < TILES; m++)
#pragma unroll
                for (int h = 0; h < 2; h++) {
                    const float next = fmaxf(peak[m][h], top[m][h]);
                    const float shrink = power_of_two(peak[m][h] - base_of(next));
                    peak[m][h] = next;
                    sum[m][h] *= shrink;
#pragma unroll
                    for (int j = 0; j < DIM / 8; j++)
#pragma unroll
                        for (int e = 0; e < 2; e++) out[m][j][2 * h + e] *= shrink;
                }
        }
#pragma unroll
        for (int m = 0; m < TILES; m++)
#pragma unroll
            for (int h = 0; h < 2; h++) {
                const float base = base_of(peak[m][h]);
#pragma unroll
                for (int n = 0; n < 2 * CHUNKS; n++)
#pragma unroll
                    for (int e = 0; e < 2; e++) {
                        float &v = p[m][n][2 * h + e];
                        v = power_of_two(fmaf(v, scale, -base));
                        sum[m][h] += v;
                    }
            }

#pragma unroll
        for (int c = 0; c < CHUNKS; c++) {
            u32 a[TILES][4];
#pragma unroll
            for (int m = 0; m < TILES; m++)
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    const float *pair = &p[m][2 * c + i / 2][i % 2 * 2];
                    a[m][i] = narrow(pair[0], pair[1]);
                }
#pragma unroll
            for (int j = 0; j < DIM / 16; j++) {
                u32 b[4];
                load_matrices_transposed(b, values + c * 16 * ROW_BYTES + j * 32);
#pragma unroll
                for (int m = 0; m < TILES; m++) {
                    multiply_add(out[m][2 * j], a[m], b[0], b[1]);
                    multiply_add(out[m][2 * j + 1], a[m], b[2], b[3]);
                }
            }
        }
    }

    // Adds up the lanes' shares of `sum`.
    __device__ __forceinline__ void finish() {
#pragma unroll
        for (int m = 0; m < TILES; m++)
#pragma unroll
            for (int h = 0; h < 2; h++) {
                sum[m][h] += __shfl_xor_sync(ALL, sum[m][h], 1);
                sum[m][h] += __shfl_xor_sync(ALL, sum[m][h], 2);
            }
    }

    // A row that has seen nothing has no peak to subtract.
    static __device__ __forceinline__ float base_of(float peak) {
        return peak == minus_infinity() ? 0.0f : peak;
    }
};

// Zeros the padding of `count` rows of shared memory.
static __device__ __forceinline__ void clear_padding(u16 *rows, int count, int thread, int threads) {
    if (HEAD_DIM < DIM)
        for (int r = thread; r < count; r += threads)
            *(uint4 *)(rows + r * PITCH + HEAD_DIM) = uint4{0, 0, 0, 0};
}

// A tile of TILE_ROWS rows: row r is head r % group, of those that share a kv head, of query r / group.
struct Tile {
    const u16 *queries;                // query 0, first head of the group
    u16 *out;                          // likewise
    int queryStride, outStride;        // elements from query to query
    int group, firstRow, rows;         // `rows` counts those of all tiles of the sequence
    int prefix;                        // causal: query i sees prefix + i + 1 keys
    int keys;                          // keys of the sequence
    const int *sights;                 // or as many as its entry says, where there are any
    int window;                        // and of those up to prefix + i only so many, if above zero

    // Where a row begins, seen from row 0.
    __device__ __forceinline__ long long offset(int row, int stride) const {
        return (long long)(row / group) * stride + row % group * HEAD_DIM;
    }
    // Up to which key a row sees, and from which on; rows beyond the last as that one.
    __device__ __forceinline__ int visible(int row) const {
        return sights ? sights[min(row, rows - 1) / group] : prefix + row / group + 1;
    }
    __device__ __forceinline__ int hidden(int row) const {
        return window > 0 ? max(prefix + min(row, rows - 1) / group + 1 - window, 0) : 0;
    }
};

// Where the rows of a tile of keys lie. `start` makes tiles t and t + 1 known; `fetch` begins to copy what makes
// tile t known, in place of tile t − 2.
struct PagedSource {
    static constexpr bool CAUSAL = true;
    static constexpr int IDS = PAGE_SIZE < TILE_KEYS ? TILE_KEYS / PAGE_SIZE : 1;  // pages of a tile
    const u16 *keyBase, *valueBase;  // cache [pages, kvHeads, PAGE_SIZE, D]
    const int *table;                // page table of the sequence
    int kvHead, kvHeads, pages, usedPages;
    int *ids;  // shared memory [2, IDS]: the pages of this tile of keys and the next

    __device__ __forceinline__ void fetch(int tile) const {
        if ((int)threadIdx.x < IDS) {
            const int index = tile * TILE_KEYS / PAGE_SIZE + threadIdx.x;
            const bool exists = index < usedPages;
            copy_4(shared_address(ids + tile % 2 * IDS + threadIdx.x), table + (exists ? index : 0), exists);
        }
    }
    __device__ __forceinline__ void start(int tile) const {
        fetch(tile);
        fetch(tile + 1);
        wait_for_all_copies();
        __syncthreads();
    }
    __device__ __forceinline__ long long offset(int tile, int row) const {
        const u32 page = ids[tile % 2 * IDS + row / PAGE_SIZE % IDS];
        const int slot = (tile * TILE_KEYS + row) % PAGE_SIZE;
        const long long block = (long long)min(page, (u32)(pages - 1)) * kvHeads + kvHead;
        return (block * PAGE_SIZE + slot) * HEAD_DIM;
    }
};
struct PlainSource {
    static constexpr bool CAUSAL = false;
    const u16 *keyBase, *valueBase;
    int rowStride;

    __device__ __forceinline__ void fetch(int) const {}
    __device__ __forceinline__ void start(int) const {}
    __device__ __forceinline__ long long offset(int tile, int row) const {
        return (long long)(tile * TILE_KEYS + row) * rowStride;
    }
};

// Writes a warp's rows, through the shared memory where its queries were, for stores of 16 bytes.
static __device__ __forceinline__ void store_rows(const Tile &tile, const Rows<WARP_TILES> &rows,
                                                  u16 *shared) {
    constexpr int WARP_ROWS = WARP_TILES * 16;
    const int thread = thread_anew(), warp = thread / 32, lane = thread % 32;
    u16 *const stage = shared + warp * WARP_ROWS * PITCH;
    // The results take the place of the warp's own queries.
    __syncwarp();
#pragma unroll
    for (int m = 0; m < WARP_TILES; m++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            const float factor = rows.sum[m][h] > 0.0f ? 1.0f / rows.sum[m][h] : 0.0f;
            u16 *const to = stage + (m * 16 + h * 8 + lane / 4) * PITCH + lane % 4 * 2;
#pragma unroll
            for (int j = 0; j < DIM / 8; j++)
                *(u32 *)(to + j * 8) =
                    narrow(rows.out[m][j][2 * h] * factor, rows.out[m][j][2 * h + 1] * factor);
        }
    __syncwarp();
    for (int i = lane; i < WARP_ROWS * PIECES; i += 32) {
        const int r = i / PIECES, piece = i % PIECES, row = tile.firstRow + warp * WARP_ROWS + r;
        if (row >= tile.rows) break;
        u16 *const to = tile.out + tile.offset(row, tile.outStride) + piece * 8;
        *(uint4 *)to = *(const uint4 *)(stage + r * PITCH + piece * 8);
    }
}

// out = softmax(scale · queries · keysᵀ) · values for one tile of rows.
// Shared memory: queries [TILE_ROWS, PITCH], keys [2, TILE_KEYS, PITCH], values likewise.
template <class Source>
static __device__ __forceinline__ void attend_tile(const Tile &tile, const Source &source, float scale,
                                                   u16 *shared) {
    constexpr int WARP_ROWS = WARP_TILES * 16, TILE_SIZE = TILE_KEYS * PITCH;
    const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
    u16 *const keys = shared + TILE_ROWS * PITCH;
    const auto visible = [&](int row) {
        return Source::CAUSAL ? tile.visible(row) : tile.keys;
    };
    const auto hidden = [&](int row) { return Source::CAUSAL ? tile.hidden(row) : 0; };
    // Rows up to lastRow exist. From key `end` on no row of the tile sees any, from `warpEnd` on none of
    // the warp, nor one in front of those of tile firstTile, or of `warpBegin`.
    const int lastRow = min(tile.firstRow + TILE_ROWS, tile.rows) - 1;
    const int end = max(min(visible(lastRow), tile.keys), 1);
    const int warpRow = tile.firstRow + warp * WARP_ROWS;
    const int warpEnd = warpRow <= lastRow ? min(visible(min(warpRow + WARP_ROWS - 1, lastRow)), end) : 0;
    const int firstTile = hidden(tile.firstRow) / TILE_KEYS, warpBegin = hidden(warpRow);

    const auto copy_keys = [&](int t) {
        const u32 to = shared_address(keys + t % 2 * TILE_SIZE);
        const int thread = thread_anew();
#pragma unroll
        for (int n = 0; n < TILE_KEYS * PIECES; n += THREADS) {
            const int row = (n + thread) / PIECES, piece = (n + thread) % PIECES;
            if (row >= TILE_KEYS) break;
            const bool exists = t * TILE_KEYS + row < end;
            const long long from = exists ? source.offset(t, row) + piece * 8 : 0;
            copy_16(to + row * ROW_BYTES + piece * 16, source.keyBase + from, exists);
            copy_16(to + (2 * TILE_SIZE + row * PITCH + piece * 8) * 2, source.valueBase + from, exists);
        }
    };

    for (int i = thread; i < TILE_ROWS * (DIM / 8); i += THREADS) {
        const int r = i / (DIM / 8), piece = i % (DIM / 8), row = tile.firstRow + r;
        const bool exists = row < tile.rows && piece < PIECES;
        const long long from = exists ? tile.offset(row, tile.queryStride) + piece * 8 : 0;
        copy_16(shared_address(shared + r * PITCH + piece * 8), tile.queries + from, exists);
    }
    clear_padding(keys, 4 * TILE_KEYS, thread, THREADS);
    source.start(firstTile);
    copy_keys(firstTile);

    const u32 queries = shared_address(shared + warp * WARP_ROWS * PITCH) + lane_offset_down(lane);
#if TILE_QUERIES_IN_REGISTERS
    u32 held[DIM / 16][WARP_TILES][4];
    wait_for_all_copies();
    __syncthreads();
#pragma unroll
    for (int k = 0; k < DIM / 16; k++)
#pragma unroll
        for (int m = 0; m < WARP_TILES; m++) load_matrices(held[k][m], queries + m * 16 * ROW_BYTES + k * 32);
#endif
    const auto load_queries = [&](int k, u32(&a)[WARP_TILES][4]) {
#pragma unroll
        for (int m = 0; m < WARP_TILES; m++) {
#if TILE_QUERIES_IN_REGISTERS
#pragma unroll
            for (int i = 0; i < 4; i++) a[m][i] = held[k][m][i];
#else
            load_matrices(a[m], queries + m * 16 * ROW_BYTES + k * 32);
#endif
        }
    };

    Rows<WARP_TILES> rows;
    for (int first = firstTile * TILE_KEYS; first < end; first += TILE_KEYS) {
        wait_for_all_copies();
        __syncthreads();
        const int t = first / TILE_KEYS;
        if (first + TILE_KEYS < end) {
            copy_keys(t + 1);
            source.fetch(t + 2);
        }
        if (first >= warpEnd || first + TILE_KEYS <= warpBegin) continue;
        const int lane = thread_anew() % 32;
        const u32 buffer = shared_address(shared) + (TILE_ROWS * PITCH + t % 2 * TILE_SIZE) * 2;
        const u32 keyRows = buffer + lane_offset_across(lane);
        const u32 valueRows = buffer + 2 * TILE_SIZE * 2 + lane_offset_down(lane);
        const auto seen = [&](int m, int h) {
            const int row = tile.firstRow + thread_anew() / 32 * WARP_ROWS + m * 16 + h * 8 + lane / 4;
            return min(visible(row), tile.keys) - first;
        };
        const auto unseen = [&](int m, int h) {
            return hidden(tile.firstRow + thread_anew() / 32 * WARP_ROWS + m * 16 + h * 8 + lane / 4) - first;
        };
        const int unmasked = hidden(lastRow) > first ? 0 : min(visible(tile.firstRow), end) - first;
        if (end - first > 16)
            rows.template attend<TILE_KEYS / 16>(load_queries, keyRows, valueRows, unmasked < TILE_KEYS, seen,
                                                 unseen, scale);
        else
            rows.template attend<1>(load_queries, keyRows, valueRows, unmasked < 16, seen, unseen, scale);
    }
    rows.finish();
    store_rows(tile, rows, shared);
}

// out[i] = Σ_{j ≤ c − q + i} softmax_j(scale · q_i · k_j) · v_j for queries i of sequences ≥ firstSequence; with
// sights j goes up to sights[i] − 1, with a window above zero it begins at c − q + i − window + 1.
// Grid: (kvHeads, sequences, ⌈longest q · group / TILE_ROWS⌉), the tiles with most keys first.
KERNEL __launch_bounds__(THREADS, TILE_BLOCKS)
prefill_attention(u16 *__restrict__ out,                // bf16 [T, heads, D]
                  const u16 *__restrict__ qkv,          // bf16 [T, heads + 2 · kvHeads, D]
                  const u16 *__restrict__ keyCache,     // bf16 [pages, kvHeads, PAGE_SIZE, D]
                  const u16 *__restrict__ valueCache,   // likewise
                  const int *__restrict__ queryStarts,  // [S + 1]
                  const int *__restrict__ contextLengths,  // [S]
                  const int *__restrict__ pageTable,       // [S, pagesPerSequence]
                  const int *__restrict__ sights,          // [T], or null
                  int window, int firstSequence, int tokens, int heads, int kvHeads, int pages, int pagesPerSequence,
                  float scale) {
    extern __shared__ __align__(16) u16 shared[];
    __shared__ int ids[2 * PagedSource::IDS];
    let_next_begin();
    previous_done();
    const int kvHead = blockIdx.x, sequence = firstSequence + blockIdx.y, group = heads / kvHeads;
    const int start = queryStarts[sequence], queries = min(queryStarts[sequence + 1], tokens) - start;
    const int context = min(contextLengths[sequence], pagesPerSequence * PAGE_SIZE);
    const int firstRow = (gridDim.z - 1 - blockIdx.z) * TILE_ROWS;
    if (start < 0 || context <= 0 || pages <= 0 || firstRow >= queries * group) return;

    const int stride = (heads + 2 * kvHeads) * HEAD_DIM, outStride = heads * HEAD_DIM;
    const long long head = kvHead * group * HEAD_DIM;
    const Tile tile = {qkv + start * (long long)stride + head, out + start * (long long)outStride + head,
                       stride, outStride, group, firstRow, queries * group, context - queries, context,
                       sights ? sights + start : nullptr, window};
    const PagedSource source = {keyCache, valueCache, pageTable + (long long)sequence * pagesPerSequence,
                                kvHead, kvHeads, pages, (context + PAGE_SIZE - 1) / PAGE_SIZE, ids};
    attend_tile(tile, source, scale * 1.44269504f, shared);
}

// out[i] = Σ_j softmax_j(scale · q_i · k_j) · v_j within each of n sequences, which begin at `starts` or have
// `length` tokens each. Grid: (n, heads, ⌈longest / TILE_ROWS⌉), the short last tiles last.
KERNEL __launch_bounds__(THREADS, TILE_BLOCKS)
full_attention(u16 *__restrict__ out,           // bf16 [T, heads, D]
               const u16 *__restrict__ qkv,     // bf16 [T, 3 · heads, D]
               const int *__restrict__ starts,  // [n + 1], or null
               int tokens, int length, int heads, float scale) {
    extern __shared__ __align__(16) u16 shared[];
    let_next_begin();
    previous_done();
    const int firstRow = blockIdx.z * TILE_ROWS;
    long long start = (long long)blockIdx.x * length;
    if (starts) {
        start = min(max(starts[blockIdx.x], 0), tokens);
        length = min(starts[blockIdx.x + 1], tokens) - (int)start;
    }
    if (firstRow >= length) return;
    const int outStride = heads * HEAD_DIM, stride = 3 * outStride, head = blockIdx.y * HEAD_DIM;
    const u16 *const base = qkv + start * stride + head;
    const Tile tile = {base, out + start * outStride + head, stride, outStride, 1, firstRow, length, 0,
                       length, nullptr, 0};
    const PlainSource source = {base + outStride, base + 2 * outStride, stride};
    attend_tile(tile, source, scale * 1.44269504f, shared);
}

// out[s] = Σ_j softmax_j(scale · q_s · k_j) · v_j for the one query of each sequence, over the last `window` keys where
// that is above zero.
// Grid: (splits ≤ MAX_SPLITS, kvHeads · ⌈group / 16⌉, S). A block takes up to 16 heads of a kv head; its
// warps take chunks of 16 keys in turn: warp w of split x has chunks (i · splits + x) · WARPS + w. The last
// block of a sequence and kv head to end adds up the parts.
KERNEL __launch_bounds__(THREADS, 2)
decode_attention(u16 *__restrict__ out,                   // bf16 [T, heads, D]
                 const u16 *__restrict__ qkv,             // bf16 [T, heads + 2 · kvHeads, D]
                 const u16 *__restrict__ keyCache,        // bf16 [pages, kvHeads, PAGE_SIZE, D]
                 const u16 *__restrict__ valueCache,      // likewise
                 const int *__restrict__ queryStarts,     // [S + 1]
                 const int *__restrict__ contextLengths,  // [S]
                 const int *__restrict__ pageTable,       // [S, pagesPerSequence]
                 float *partials,                         // [S, splits, heads, D], then [S, splits, heads, 2]
                 int *counters,                           // [S, gridDim.y], zero before and after
                 int window, int tokens, int heads, int kvHeads, int pages, int pagesPerSequence, float scale) {
    extern __shared__ __align__(16) u16 shared[];
    __shared__ float peaks[WARPS][16], sums[WARPS][16];
    __shared__ bool isLast;
    constexpr int CHUNK = 16, ROUND = CHUNK * WARPS, CHUNK_SIZE = CHUNK * PITCH;
    constexpr int IDS = PAGE_SIZE < CHUNK ? CHUNK / PAGE_SIZE : 1;  // pages of a chunk
    let_next_begin();
    const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
    const int group = heads / kvHeads, rowTiles = (group + 15) / 16;
    const int kvHead = blockIdx.y / rowTiles, firstRow = blockIdx.y % rowTiles * 16;
    const int head = kvHead * group + firstRow, rows = min(group - firstRow, 16), sequence = blockIdx.z;
    const int split = blockIdx.x, splits = min((int)gridDim.x, MAX_SPLITS);
    const int *const table = pageTable + (long long)sequence * pagesPerSequence;
    scale *= 1.44269504f;

    // Lane l keeps the pages of the l-th of 32 chunks to come. Those in front of firstChunk are not seen.
    int ids[IDS], firstChunk = 0;
    const auto chunk_of = [&](int i) { return firstChunk + (i * splits + split) * WARPS + warp; };
    const auto load_ids = [&](int i) {
#pragma unroll
        for (int p = 0; p < IDS; p++) {
            const long long index = (long long)chunk_of(i + lane) * CHUNK / PAGE_SIZE + p;
            ids[p] = index < pagesPerSequence ? min((u32)table[index], (u32)(pages - 1)) : 0;
        }
    };
    previous_done();
    const int context = min(contextLengths[sequence], pagesPerSequence * PAGE_SIZE);
    const int hidden = window > 0 ? max(context - window, 0) : 0;
    if (window > 0) firstChunk = hidden / CHUNK;
    load_ids(0);
    const int row = queryStarts[sequence], shown = context - firstChunk * CHUNK;
    if (split >= splits || split * ROUND >= shown || row < 0 || row >= tokens || pages <= 0) return;
    const int chunks = (context + CHUNK - 1) / CHUNK, stride = splits * WARPS;
    const int count = max(chunks - chunk_of(0) + stride - 1, 0) / stride;  // chunks of this warp

    // Ring of the warp: DECODE_STAGES times keys [16, PITCH] and values likewise.
    u16 *const ring = shared + warp * DECODE_STAGES * 2 * CHUNK_SIZE;
    clear_padding(ring, DECODE_STAGES * 2 * CHUNK, lane, 32);
    const auto copy_chunk = [&](int i, int stage) {
        if (i < count) {
            if (i > 0 && i % 32 == 0) load_ids(i);
            long long pageOffset[IDS];
#pragma unroll
            for (int p = 0; p < IDS; p++) {
                const long long page = __shfl_sync(ALL, ids[p], i % 32);
                pageOffset[p] = (page * kvHeads + kvHead) * PAGE_SIZE * HEAD_DIM;
            }
            const int firstKey = chunk_of(i) * CHUNK;
            const u32 to = shared_address(ring + stage * 2 * CHUNK_SIZE);
            const int lane = thread_anew() % 32;
#pragma unroll
            for (int n = 0; n < CHUNK * PIECES; n += 32) {
                const int r = (n + lane) / PIECES, piece = (n + lane) % PIECES;
                if (r >= CHUNK) break;
                const bool exists = firstKey + r < context;
                const long long page = IDS > 1 && r >= PAGE_SIZE ? pageOffset[IDS - 1] : pageOffset[0];
                const long long from = exists ? page + (firstKey + r) % PAGE_SIZE * HEAD_DIM + piece * 8 : 0;
                copy_16(to + r * ROW_BYTES + piece * 16, keyCache + from, exists);
                copy_16(to + (CHUNK + r) * ROW_BYTES + piece * 16, valueCache + from, exists);
            }
        }
        commit_copies();
    };
#pragma unroll
    for (int i = 0; i < DECODE_STAGES - 1; i++) copy_chunk(i, i);

    // Queries as operand a, rows beyond the group zero.
    u32 queries[DIM / 16][4];
    const u16 *const query = qkv + ((long long)row * (heads + 2 * kvHeads) + head) * HEAD_DIM;
#pragma unroll
    for (int k = 0; k < DIM / 16; k++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int r = lane / 4 + i % 2 * 8, column = k * 16 + i / 2 * 8 + lane % 4 * 2;
            queries[k][i] = r < rows && column < HEAD_DIM ? *(const u32 *)(query + r * HEAD_DIM + column) : 0;
        }
    const auto load_queries = [&](int k, u32(&a)[1][4]) {
#pragma unroll
        for (int i = 0; i < 4; i++) a[0][i] = queries[k][i];
    };

    Rows<1> state;
    int stage = 0;
    for (int i = 0; i < count; i++) {
        wait_for_copies<DECODE_STAGES - 2>();
        __syncwarp();
        copy_chunk(i + DECODE_STAGES - 1, stage == 0 ? DECODE_STAGES - 1 : stage - 1);
        const u32 at = shared_address(ring + stage * 2 * CHUNK_SIZE);
        const int left = context - chunk_of(i) * CHUNK, before = hidden - chunk_of(i) * CHUNK;
        state.template attend<1>(load_queries, at + lane_offset_across(lane),
                                 at + CHUNK * ROW_BYTES + lane_offset_down(lane), left < CHUNK || before > 0,
                                 [&](int, int) { return left; }, [&](int, int) { return before; }, scale);
        stage = stage + 1 == DECODE_STAGES ? 0 : stage + 1;
    }
    state.finish();

    // The warps meet in shared memory: [WARPS, 16, DIM] where the rings were.
    float *const meeting = (float *)shared;
    __syncthreads();
#pragma unroll
    for (int h = 0; h < 2; h++) {
        const int r = lane / 4 + h * 8;
        if (r >= rows) continue;
        if (lane % 4 == 0) peaks[warp][r] = state.peak[0][h], sums[warp][r] = state.sum[0][h];
#pragma unroll
        for (int j = 0; j < DIM / 8; j++)
            *(float2 *)(meeting + (warp * 16 + r) * DIM + j * 8 + lane % 4 * 2) =
                float2{state.out[0][j][2 * h], state.out[0][j][2 * h + 1]};
    }
    __syncthreads();
    const int used = min(splits, (shown + ROUND - 1) / ROUND);
    u16 *const target = out + ((long long)row * heads + head) * HEAD_DIM;
    const auto store = [&](int r, int column, const float4 &v) {
        *(uint2 *)(target + r * HEAD_DIM + column) = uint2{narrow(v.x, v.y), narrow(v.z, v.w)};
    };
    const auto part_of = [&](int x) { return ((long long)sequence * gridDim.x + x) * heads + head; };
    float2 *const measures = (float2 *)(partials + (long long)gridDim.z * gridDim.x * heads * HEAD_DIM);
    for (int i = thread; i < rows * (HEAD_DIM / 4); i += THREADS) {
        const int r = i / (HEAD_DIM / 4), column = i % (HEAD_DIM / 4) * 4;
        float top = peaks[0][r], total = 0.0f;
        float4 v = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll
        for (int w = 1; w < WARPS; w++) top = fmaxf(top, peaks[w][r]);
#pragma unroll
        for (int w = 0; w < WARPS; w++) {
            const float weight = power_of_two(peaks[w][r] - top);
            const float4 part = *(const float4 *)(meeting + (w * 16 + r) * DIM + column);
            total += weight * sums[w][r];
            v.x += weight * part.x, v.y += weight * part.y, v.z += weight * part.z, v.w += weight * part.w;
        }
        if (used == 1) {
            const float factor = 1.0f / total;
            store(r, column, float4{v.x * factor, v.y * factor, v.z * factor, v.w * factor});
        } else {
            *(float4 *)(partials + (part_of(split) + r) * HEAD_DIM + column) = v;
            if (column == 0) measures[part_of(split) + r] = float2{top, total};
        }
    }
    if (used == 1) return;

    __syncthreads();
    if (thread == 0) {
        int *const counter = counters + (long long)sequence * gridDim.y + blockIdx.y;
        __threadfence();
        isLast = atomicAdd(counter, 1) == used - 1;
        if (isLast) *counter = 0;
        __threadfence();
    }
    __syncthreads();
    if (!isLast) return;

    // Weights of the parts: [16, MAX_SPLITS] of shared memory.
    float *const weights = (float *)shared;
    for (int r = warp; r < rows; r += WARPS) {
        float2 measure[MAX_SPLITS / 32];
        float top = minus_infinity(), total = 0.0f;
#pragma unroll
        for (int n = 0; n < MAX_SPLITS / 32; n++) {
            const int x = n * 32 + lane;
            measure[n] = x < used ? __ldcg(measures + part_of(x) + r) : float2{minus_infinity(), 0.0f};
            top = fmaxf(top, measure[n].x);
        }
        top = max_of_warp(top);
#pragma unroll
        for (int n = 0; n < MAX_SPLITS / 32; n++) {
            measure[n].x = power_of_two(measure[n].x - top);
            total += measure[n].x * measure[n].y;
        }
        total = sum_of_warp(total);
#pragma unroll
        for (int n = 0; n < MAX_SPLITS / 32; n++)
            weights[r * MAX_SPLITS + n * 32 + lane] = measure[n].x / total;
    }
    __syncthreads();
    for (int i = thread; i < rows * (HEAD_DIM / 4); i += THREADS) {
        const int r = i / (HEAD_DIM / 4), column = i % (HEAD_DIM / 4) * 4;
        float4 v = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll 8
        for (int x = 0; x < used; x++) {
            const float weight = weights[r * MAX_SPLITS + x];
            const float4 part = __ldcg((const float4 *)(partials + (part_of(x) + r) * HEAD_DIM + column));
            v.x += weight * part.x, v.y += weight * part.y, v.z += weight * part.z, v.w += weight * part.w;
        }
        store(r, column, v);
    }
}
