// The choice of the next token of each row of logits f32 [R, V], V <= 262144; see SamplingRow, LogitChanges.
//
// A row is cut into chunks, a block each, which hold on to their logits. The block of a row's first chunk
// leads: it joins what the others found, then, unless the row is greedy, sends them commands until the token
// is chosen. Tokens are ordered by falling logit, then rising id; a key holds both. Their distances from the
// likeliest, d = (most - logit) / temperature, go into bins 1/32 wide, and only a bin with a boundary is
// sorted. Sums that decide are of integers or in a fixed order, so a row's token does not depend on its
// neighbours. Tokens 32 or further away, which together weigh less than 1e-8 of the likeliest, are not drawn.
//
// Blocks of a row wait for each other: the device must hold ceil(V / CHUNK) blocks at once.

#ifndef CHUNK
#define CHUNK 8192
#endif
#ifndef THREADS
#define THREADS 256
#endif
#ifndef BLOCKS
#define BLOCKS 3  // at once on a multiprocessor
#endif
#ifndef LISTED
#define LISTED 2048  // keys that are sorted at once
#endif
#ifndef ID_BITS
#define ID_BITS 18
#endif
#define KEY_BITS (32 + ID_BITS)
#define BINS 1024
#define BIN_BITS 10
#define BINS_PER_UNIT 32
#define MOST_TOP 20
#define ROOM (LISTED > BINS ? LISTED : BINS)
#define NEGATIVE_INFINITY __uint_as_float(0xff800000u)

static_assert(CHUNK <= 8192, "a bin's lacks fit 32 bits");
static_assert(CHUNK % THREADS == 0 && BINS % THREADS == 0 && THREADS % 32 == 0, "whole warps share evenly");
static_assert((LISTED & (LISTED - 1)) == 0, "a sort pads to a power of two");
static_assert((1 << ID_BITS) / CHUNK * MOST_TOP <= ROOM, "all chunks' likeliest are sorted at once");

// One row's rule. Lists lie in one i32 array: where they begin, and how long they are. A row without a
// vocabulary is unused; a negative given has the token chosen; a negative allowed_count allows all.
struct SamplingRule {
    double uniform;
    float temperature, top_p, min_p, repetition, frequency, presence, raise;
    int top_k, vocabulary, top_count, given, wants_rank;
    int counted, counts, counted_count, raised, raised_count, biased, biases, biased_count;
    int allowed, allowed_count, banned, banned_count;
};
static_assert(sizeof(SamplingRule) == 104, "as the caller packs it");

struct Candidate {
    int id;
    float logprob;
};
// One row's result; rank is 0 where it was not asked for.
struct SampledRow {
    int id;
    float logprob;
    int rank, top_count;
    Candidate top[MOST_TOP];
};
static_assert(sizeof(SampledRow) == 176, "as the caller reads it");

enum { FINISH, HISTOGRAM, REFINE, GATHER, LOOK };
// HISTOGRAM: all tokens into bins by distance; counts those that min_p keeps.
// REFINE: tokens of bin `low` into bins by (key - from) >> shift.
// GATHER: keys from ... to of bins low ... high.
// LOOK: the rank of token `from`, and the likeliest of the chunk.
// After the last command only the leader goes on.
struct Command {
    u64 from, to;
    int kind, low, high, shift;
    bool last;
    float most;
};

// What the blocks of a row share.
struct Row {
    u32 arrived, sequence, total, listed;
    Command command;
};
static_assert(sizeof(Row) == 56, "as the caller reckons");

// What a block found: keys of the likeliest, sum of exp(logit - likeliest), and the first keys when asked.
struct Partial {
    u64 likeliest, choice;
    double sum;
    u64 top[MOST_TOP];
};
static_assert(sizeof(Partial) == 184, "as the caller reckons");

struct Weight {
    u32 count;
    double mass;
};
// An item of a list, and what lies before and up to it.
struct Place {
    int index;
    Weight before, upto;
};

struct Shared {
    float values[CHUNK];  // the chunk's logits, changed
    u64 bins[BINS];       // the row's histogram, with the leader
    u64 list[ROOM];       // sorted keys; a chunk's histogram; a chunk's allowed tokens
    u64 keys[33];
    Weight weights[32];
    Place place;
    Command command;
    float sums[33];
    int found;
    u32 ticket;
};

// A block's place and what it works on.
struct Block {
    const SamplingRule *rule;
    const float *logits;  // the row
    const int *lists;
    Row *row;
    u64 *bins, *list;  // [BINS], [LISTED]
    Partial *partials;  // [chunks]
    int chunk, chunks, begin, end, vocabulary;
};

static __device__ __forceinline__ u32 load_acquire(const u32 *address) {
    u32 v;
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(v) : "l"(address) : "memory");
    return v;
}
static __device__ __forceinline__ void store_release(u32 *address, u32 v) {
    asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(address), "r"(v) : "memory");
}
static __device__ __forceinline__ float exp2_fast(float v) {
    float out;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(out) : "f"(v));
    return out;
}

// Rises as the logit falls; its own inverse. NaN becomes 0, and 0 becomes NaN.
static __device__ __forceinline__ u32 flip(u32 bits) { return bits >> 31 ? bits : ~bits & 0x7fffffffu; }
static __device__ __forceinline__ u64 key_of(float logit, int id) {
    u32 order = logit != logit ? 0 : flip(__float_as_uint(logit == 0 ? 0.0f : logit));
    return (u64)order << ID_BITS | (u32)id;
}
static __device__ __forceinline__ float logit_of(u64 key) {
    return __uint_as_float(flip((u32)(key >> ID_BITS)));
}
static __device__ __forceinline__ int id_of(u64 key) { return (int)(key & ((1u << ID_BITS) - 1)); }
static __device__ __forceinline__ bool is_finite(float v) { return fabsf(v) <= 3.402823466e38f; }

static __device__ __forceinline__ float factor_of(const Block &b) {
    return 1 / fmaxf(b.rule->temperature, 1e-6f);
}
// The bin of a distance, BINS when it is too far.
static __device__ __forceinline__ int bin_of(float distance) {
    return distance < (float)(BINS / BINS_PER_UNIT) ? (int)(distance * BINS_PER_UNIT) : BINS;
}
// What a token lacks to the heaviest of its bin: 1 - exp(-t), t = d - bin / 32 < 1/32, in units of 2^-24.
static __device__ __forceinline__ u32 lack_of(float distance, int bin) {
    const float t = distance - (float)bin / BINS_PER_UNIT;
    return (u32)(t * (1 - t * (1 / 2.0f - t * (1 / 6.0f - t * (1 / 24.0f)))) * 0x1p24f);
}
// A bin's mass, from how many tokens it has and what they lack.
static __device__ __forceinline__ double mass_of(int bin, u32 count, u64 lack) {
    return exp(-(double)bin / BINS_PER_UNIT) * ((double)count - (double)lack * 0x1p-24);
}
// Histograms have count << 40 | lack.
static __device__ __forceinline__ Weight weight_of(int bin, u64 packed) {
    const u32 count = (u32)(packed >> 40);
    return {count, count ? mass_of(bin, count, packed & 0xffffffffffull) : 0};
}

// The least key of a block, in every thread.
static __device__ u64 least_of_block(u64 key, Shared &s) {
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    for (int step = 16; step > 0; step >>= 1) {
        const u64 other = __shfl_xor_sync(0xffffffffu, key, step);
        key = other < key ? other : key;
    }
    __syncthreads();
    if (lane == 0) s.keys[warp] = key;
    __syncthreads();
    key = s.keys[0];
    for (int w = 1; w < THREADS / 32; w++) key = s.keys[w] < key ? s.keys[w] : key;
    return key;
}

// The sum of the threads before this one.
static __device__ Weight before_in_block(Weight mine, Shared &s) {
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    for (int step = 1; step < 32; step <<= 1) {
        const u32 count = __shfl_up_sync(0xffffffffu, mine.count, step);
        const double mass = __shfl_up_sync(0xffffffffu, mine.mass, step);
        if (lane >= step) mine = {mine.count + count, mine.mass + mass};
    }
    __syncthreads();
    if (lane == 31) s.weights[warp] = mine;
    __syncthreads();
    const u32 count = __shfl_up_sync(0xffffffffu, mine.count, 1);
    const double mass = __shfl_up_sync(0xffffffffu, mine.mass, 1);
    Weight before = {0, 0};
    for (int w = 0; w < warp; w++) {
        before = {before.count + s.weights[w].count, before.mass + s.weights[w].mass};
    }
    if (lane > 0) before = {before.count + count, before.mass + mass};
    return before;
}

// The first of n items at which the mass reaches the target (passes it, if strict) or the count the limit;
// index n and the sum of all when there is none. `item(i)` is a Weight.
template <class Item>
static __device__ Place search(
    int n, Item item, Weight base, double target, bool strict, u32 limit, Shared &s) {
    const int share = (n + THREADS - 1) / THREADS;
    const int begin = min((int)threadIdx.x * share, n), end = min(begin + share, n);
    Weight upto = {0, 0};
    for (int i = begin; i < end; i++) {
        const Weight weight = item(i);
        upto = {upto.count + weight.count, upto.mass + weight.mass};
    }
    upto = before_in_block(upto, s);
    upto = {base.count + upto.count, base.mass + upto.mass};
    if (threadIdx.x == 0) s.found = n;
    __syncthreads();
    Place place = {n, upto, upto};
    for (int i = begin; i < end; i++) {
        const Weight weight = item(i);
        if (weight.count == 0) continue;
        place.before = place.upto;
        place.upto = {place.upto.count + weight.count, place.upto.mass + weight.mass};
        if (place.upto.count >= limit || (strict ? place.upto.mass > target : place.upto.mass >= target)) {
            place.index = i;
            atomicMin(&s.found, i);
            break;
        }
    }
    __syncthreads();
    if (place.index == s.found && (place.index < n || threadIdx.x == THREADS - 1)) s.place = place;
    __syncthreads();
    return s.place;
}

// Sorts the n <= ROOM keys of the list, rising (bitonic).
static __device__ void sort(int n, Shared &s) {
    int size = 1;
    while (size < n) size <<= 1;
    for (int i = n + threadIdx.x; i < size; i += THREADS) s.list[i] = ~0ull;
    for (int run = 2; run <= size; run <<= 1) {
        for (int step = run >> 1; step > 0; step >>= 1) {
            __syncthreads();
            for (int i = threadIdx.x; i < size >> 1; i += THREADS) {
                const int low = (i & ~(step - 1)) << 1 | (i & (step - 1)), high = low | step;
                const u64 a = s.list[low], b = s.list[high];
                if ((a > b) == ((low & run) == 0)) {
                    s.list[low] = b;
                    s.list[high] = a;
                }
            }
        }
    }
    __syncthreads();
}

// Places a changed logit; what cannot be chosen stays so.
static __device__ __forceinline__ void change(float &logit, float value) {
    if (logit > NEGATIVE_INFINITY) logit = value > 1e30f ? 1e30f : value < -1e30f ? -1e30f : value;
}

// Calls apply(i, logit) for each entry i of a list of distinct tokens that lies in the chunk.
template <class Apply>
static __device__ void for_listed(const Block &b, int list, int count, Shared &s, Apply apply) {
    for (int i = threadIdx.x; i < count; i += THREADS) {
        const int id = b.lists[list + i];
        if (id >= b.begin && id < b.end) apply(i, s.values[id - b.begin]);
    }
    __syncthreads();
}

// Bans all of the chunk but the allowed, a rising list.
static __device__ void allow(const Block &b, Shared &s) {
    const int *ids = b.lists + b.rule->allowed, count = b.rule->allowed_count;
    u32 *mask = (u32 *)s.list;
    for (int i = threadIdx.x; i < CHUNK / 32; i += THREADS) mask[i] = 0;
    // Every share-th token tells where the chunk's begin.
    const int share = (count + THREADS - 1) / THREADS, probe = threadIdx.x * share;
    const int before = __syncthreads_count(probe < count && ids[probe] < b.begin);
    for (int i = max(before - 1, 0) * share + threadIdx.x; i < count && ids[i] < b.end; i += THREADS) {
        const int place = ids[i] - b.begin;
        if (place >= 0) atomicOr(&mask[place >> 5], 1u << (place & 31));
    }
    __syncthreads();
    for (int i = threadIdx.x; i < b.end - b.begin; i += THREADS) {
        if (!(mask[i >> 5] >> (i & 31) & 1)) s.values[i] = NEGATIVE_INFINITY;
    }
    __syncthreads();
}

static __device__ bool has_changes(const SamplingRule *r) {
    return r->counted_count > 0 || r->raised_count > 0 || r->biased_count > 0 || r->allowed_count >= 0 ||
           r->banned_count > 0;
}

// LogitChanges and bans, on the chunk.
static __device__ void apply_changes(const Block &b, Shared &s) {
    const SamplingRule *r = b.rule;
    for_listed(b, r->counted, r->counted_count, s, [&](int i, float &l) {
        const float penalized = l > 0 ? l / r->repetition : l * r->repetition;
        change(l, penalized - r->frequency * (float)b.lists[r->counts + i] - r->presence);
    });
    for_listed(b, r->raised, r->raised_count, s, [&](int, float &l) { change(l, l + r->raise * fabsf(l)); });
    for_listed(b, r->biased, r->biased_count, s, [&](int i, float &l) {
        change(l, l + __int_as_float(b.lists[r->biases + i]));
    });
    if (r->allowed_count >= 0) allow(b, s);
    for_listed(b, r->banned, r->banned_count, s, [&](int, float &l) { l = NEGATIVE_INFINITY; });
}

// Reads the chunk and writes what it has: the likeliest of all tokens, their exponentials' sum, the likeliest
// that may be chosen. With `keep` the logits, changed, stay in shared memory.
static __device__ void read_chunk(const Block &b, bool keep, Shared &s) {
    float v[CHUNK / THREADS], best = NEGATIVE_INFINITY;
    int best_id = b.begin;
    bool nan = false;
#pragma unroll
    for (int j = 0; j < CHUNK / THREADS; j++) {
        const int id = b.begin + j * THREADS + threadIdx.x;
        v[j] = id < b.end ? b.logits[id] : NEGATIVE_INFINITY;
    }
#pragma unroll
    for (int j = 0; j < CHUNK / THREADS; j++) {
        if (v[j] > best) {
            best = v[j];
            best_id = b.begin + j * THREADS + threadIdx.x;
        }
        nan |= v[j] != v[j];
    }
    const u64 likeliest = least_of_block(nan ? 0 : key_of(best, best_id), s);
    const float most = logit_of(likeliest), shift = is_finite(most) ? most : 0;
    float sum = 0;
#pragma unroll
    for (int j = 0; j < CHUNK / THREADS; j++) sum += exp2_fast((v[j] - shift) * 1.44269504f);
    sum = sum_of_block(sum, s.sums);

    u64 choice = likeliest;
    const bool changes = has_changes(b.rule), touched = changes || b.end > b.vocabulary;
    if (keep || touched) {
#pragma unroll
        for (int j = 0; j < CHUNK / THREADS; j++) {
            const int i = j * THREADS + threadIdx.x;
            s.values[i] = b.begin + i < b.vocabulary ? v[j] : NEGATIVE_INFINITY;
        }
        __syncthreads();
        if (changes) apply_changes(b, s);
    }
    if (touched) {
        choice = ~0ull;
        for (int i = threadIdx.x; i < b.end - b.begin; i += THREADS) {
            const u64 key = key_of(s.values[i], b.begin + i);
            choice = key < choice ? key : choice;
        }
        choice = least_of_block(choice, s);
    }
    if (threadIdx.x == 0) {
        Partial &partial = b.partials[b.chunk];
        partial.likeliest = likeliest;
        partial.choice = choice;
        partial.sum = sum;
    }
}

// Adds up over the row's blocks.
static __device__ void add_to_total(const Block &b, u32 count) {
    count = __reduce_add_sync(0xffffffffu, count);
    if (threadIdx.x % 32 == 0 && count > 0) atomicAdd(&b.row->total, count);
}

static __device__ void histogram(const Block &b, const Command &command, Shared &s) {
    u32 *counts = (u32 *)s.list, *lacks = counts + BINS, within = 0;
    for (int i = threadIdx.x; i < 2 * BINS; i += THREADS) counts[i] = 0;
    __syncthreads();
    const float factor = factor_of(b), reach = b.rule->min_p > 0 ? -logf(b.rule->min_p) : -1;
    for (int i = threadIdx.x; i < b.end - b.begin; i += THREADS) {
        const float distance = (command.most - s.values[i]) * factor;
        const int bin = bin_of(distance);
        if (bin == BINS) continue;
        u64 place = bin;
        if (command.kind == REFINE) {
            const u64 key = key_of(s.values[i], b.begin + i);
            place = (key - command.from) >> command.shift;
            if (bin != command.low || key < command.from || place >= BINS) continue;
        }
        within += distance <= reach;
        atomicAdd(&counts[place], 1);
        atomicAdd(&lacks[place], lack_of(distance, bin));
    }
    __syncthreads();
    for (int i = threadIdx.x; i < BINS; i += THREADS) {
        if (counts[i] > 0) atomicAdd(&b.bins[i], (u64)counts[i] << 40 | lacks[i]);
    }
    add_to_total(b, within);
}

static __device__ void gather(const Block &b, const Command &command, Shared &s) {
    const float factor = factor_of(b);
    for (int i = threadIdx.x; i < b.end - b.begin; i += THREADS) {
        const int bin = bin_of((command.most - s.values[i]) * factor);
        if (bin < command.low || bin > command.high) continue;
        const u64 key = key_of(s.values[i], b.begin + i);
        if (key < command.from || key > command.to) continue;
        const u32 place = atomicAdd(&b.row->listed, 1);
        if (place < LISTED) b.list[place] = key;
    }
}

// Of the untouched logits: how many tokens come before the chosen one, and the chunk's likeliest.
static __device__ void look(const Block &b, const Command &command, Shared &s) {
    const int chosen = id_of(command.from);
    const float value = b.logits[chosen];
    u32 above = 0;
    for (int i = threadIdx.x; i < b.end - b.begin; i += THREADS) {
        const int id = b.begin + i;
        const float v = b.logits[id];
        above += (v > value && id < b.vocabulary) || (v == value && id < chosen);
        s.values[i] = id < b.vocabulary ? v : NEGATIVE_INFINITY;
    }
    add_to_total(b, above);
    // Each thread keeps its own first key; who had the last one looks for the next.
    u64 taken = 0, mine = 0;
    for (int n = 0; n < min(b.rule->top_count, MOST_TOP); n++) {
        if (taken == mine) {
            mine = ~0ull;
            for (int i = threadIdx.x; i < b.end - b.begin; i += THREADS) {
                const u64 key = key_of(s.values[i], b.begin + i);
                if (s.values[i] > NEGATIVE_INFINITY && key > taken && key < mine) mine = key;
            }
        }
        taken = least_of_block(mine, s);
        if (threadIdx.x == 0) b.partials[b.chunk].top[n] = taken;
    }
}

static __device__ __noinline__ void execute(const Block &b, const Command &command, Shared &s) {
    if (command.kind == LOOK) look(b, command, s);
    else if (command.kind == GATHER) gather(b, command, s);
    else histogram(b, command, s);
    __threadfence();
    __syncthreads();
}

static __device__ void arrive(const Block &b) {
    __threadfence();
    atomicAdd(&b.row->arrived, 1);
}

static __device__ void await_all(const Block &b) {
    if (threadIdx.x == 0) {
        while (load_acquire(&b.row->arrived) != (u32)b.chunks - 1) {}
        b.row->arrived = 0;
    }
    __syncthreads();
}

// Does what the leader says until it is done.
static __device__ void follow(const Block &b, u32 seen, Shared &s) {
    while (true) {
        if (threadIdx.x == 0) {
            while (load_acquire(&b.row->sequence) == seen) {}
            s.command = b.row->command;
        }
        __syncthreads();
        const Command command = s.command;
        seen++;
        if (command.kind == FINISH) return;
        execute(b, command, s);
        if (threadIdx.x == 0) arrive(b);
        if (command.last) return;
    }
}

// Whether the rank of the chosen or the likeliest are wanted.
static __device__ bool looks(const SamplingRule *r) { return r->wants_rank || r->top_count > 0; }
// Whether more than the likeliest of each chunk is needed.
static __device__ bool needs_commands(const SamplingRule *r) {
    return looks(r) || (r->given < 0 && r->temperature > 0 && r->top_k != 1);
}

// The leader's view of its row.
struct Leader {
    const Block &b;
    Shared &s;
    float most, factor;
    int low, high;       // the bins whose tokens all are in the sorted list, none at first
    int listed;          // how many tokens are in it
    Weight before_list;  // what comes before its first
    bool alone;          // whether the other blocks have had their last command

    __device__ void tell(Command command) {
        if (threadIdx.x == 0) {
            b.row->total = 0;
            b.row->listed = 0;
            b.row->command = command;
            __threadfence();
            store_release(&b.row->sequence, b.row->sequence + 1);
        }
        __syncthreads();
    }

    __device__ void ask(Command command) {
        command.most = most;
        alone = command.last;
        tell(command);
        execute(b, command, s);
        await_all(b);
    }

    // Fetches the row's histogram and clears it for the next.
    __device__ void take_bins(u64 *out) {
        u64 v[BINS / THREADS];
#pragma unroll
        for (int j = 0; j < BINS / THREADS; j++) v[j] = __ldcg(&b.bins[j * THREADS + threadIdx.x]);
#pragma unroll
        for (int j = 0; j < BINS / THREADS; j++) {
            out[j * THREADS + threadIdx.x] = v[j];
            b.bins[j * THREADS + threadIdx.x] = 0;
        }
        __syncthreads();
    }

    __device__ Place search_bins(double target, bool strict, u32 limit) {
        const u64 *bins = s.bins;
        return search(BINS, [=](int i) { return weight_of(i, bins[i]); }, {0, 0}, target, strict, limit, s);
    }

    __device__ void list(int from_bin, int to_bin, u64 from, u64 to, Weight before) {
        // With everything from the likeliest on, the list is all that is needed.
        const bool last = from_bin == 0 && to == ~0ull && !looks(b.rule);
        ask({from, to, GATHER, from_bin, to_bin, 0, last, 0});
        listed = (int)min(__ldcg(&b.row->listed), (u32)LISTED);
        for (int i = threadIdx.x; i < listed; i += THREADS) s.list[i] = __ldcg(&b.list[i]);
        sort(listed, s);
        before_list = before;
    }

    // The first place at which the mass reaches the target (passes it, if strict), but at most the limit-th
    // token, of which there are enough; its index is into the list.
    __device__ Place find(double target, bool strict, u32 limit) {
        const Place bin = search_bins(target, strict, limit);
        limit = min(limit, bin.upto.count);
        if (bin.index < low || bin.index > high) {
            if (bin.upto.count <= LISTED) {
                low = 0;
                high = bin.index;
                list(low, high, 0, ~0ull, {0, 0});
            } else {
                // As much of the bin as can be sorted.
                Place part = bin;
                u64 from = 0, to = ~0ull;
                low = high = bin.index;
                for (int shift = KEY_BITS; part.upto.count - part.before.count > LISTED && shift > 0;) {
                    shift = max(shift - BIN_BITS, 0);
                    high = -1;
                    ask({from, to, REFINE, bin.index, bin.index, shift, false, 0});
                    take_bins(s.list);
                    const u64 *parts = s.list;
                    part = search(
                        BINS, [=](int i) { return weight_of(bin.index, parts[i]); }, part.before, target,
                        strict, limit, s);
                    limit = min(limit, part.upto.count);
                    from += (u64)part.index << shift;
                    to = from + ((1ull << shift) - 1);
                }
                list(bin.index, bin.index, from, to, part.before);
            }
        }
        const u64 *keys = s.list;
        const float most = this->most, factor = this->factor;
        return search(
            listed,
            [=](int i) -> Weight {
                const float distance = (most - logit_of(keys[i])) * factor;
                const int bin = bin_of(distance);
                return {1, mass_of(bin, 1, lack_of(distance, bin))};
            },
            before_list, target, strict, limit, s);
    }

    // The k likeliest, then the likeliest of these that weigh p of them, then those that weigh enough beside
    // the likeliest; of those the first at which their mass passes the uniform's share of it.
    __device__ __noinline__ int draw() {
        const double none = 1e300;
        const SamplingRule &rule = *b.rule;
        ask({0, 0, HISTOGRAM, 0, 0, 0, false, 0});
        take_bins(s.bins);
        const u32 within = max(__ldcg(&b.row->total), 1u);
        Weight kept = search_bins(none, false, ~0u).upto;
        if (rule.top_k > 0 && (u32)rule.top_k < kept.count) kept = find(none, false, rule.top_k).upto;
        if (rule.top_p < 1) kept = find(rule.top_p * kept.mass, false, kept.count).upto;
        if (rule.min_p > 0 && within < kept.count) kept = find(none, false, within).upto;
        const Place place = find(rule.uniform * kept.mass, true, kept.count);
        return id_of(s.list[min(place.index, ROOM - 1)]);
    }
};

static __device__ void lead(
    const Block &b, int width, SampledRow *result, int *token, Shared &s) {
    const SamplingRule *rule = b.rule;
    await_all(b);
    // All chunks together, by each warp.
    u64 mine = ~0ull, choice = ~0ull;
    double sum = 0;
    for (int i = threadIdx.x % 32; i < b.chunks; i += 32) {
        const u64 key = __ldcg(&b.partials[i].likeliest), other = __ldcg(&b.partials[i].choice);
        const double more = __ldcg(&b.partials[i].sum);
        const float ahead = logit_of(key) - logit_of(mine);
        choice = other < choice ? other : choice;
        // Nothing weighs nothing, whatever its distance.
        if (key < mine) sum = (sum > 0 ? sum * expf(-ahead) : 0) + more;
        else sum += more > 0 ? more * expf(ahead) : 0;
        mine = key < mine ? key : mine;
    }
    const u64 likeliest = least_of_block(mine, s);
    choice = least_of_block(choice, s);
    const float most = logit_of(likeliest);
    sum = sum > 0 ? sum * expf(logit_of(mine) - most) : 0;
    for (int step = 16; step > 0; step >>= 1) sum += __shfl_xor_sync(0xffffffffu, sum, step);
    const float log_sum = most + (float)log(sum);

    Leader leader = {b, s, logit_of(choice), factor_of(b), 0, -1, 0, {0, 0}, false};
    int chosen = -1, rank = 0, top_count = 0;
    if (is_finite(most)) {
        if (rule->given >= 0) chosen = rule->given < width ? rule->given : -1;
        else if (!is_finite(leader.most)) chosen = -1;
        else if (!(rule->temperature > 0) || rule->top_k == 1) chosen = id_of(choice);
        else chosen = leader.draw();
    }
    if (chosen >= 0 && looks(rule)) {
        leader.ask({(u64)chosen, 0, LOOK, 0, 0, 0, true, 0});
        if (rule->wants_rank) rank = 1 + (int)__ldcg(&b.row->total);
        const int most_top = min(max(rule->top_count, 0), MOST_TOP);
        for (int i = threadIdx.x; i < b.chunks * most_top; i += THREADS) {
            s.list[i] = __ldcg(&b.partials[i / most_top].top[i % most_top]);
        }
        sort(b.chunks * most_top, s);
        while (top_count < most_top && s.list[top_count] != ~0ull) top_count++;
        for (int i = threadIdx.x; i < top_count; i += THREADS) {
            result->top[i] = {id_of(s.list[i]), logit_of(s.list[i]) - log_sum};
        }
    }
    if (needs_commands(rule) && !leader.alone) leader.tell({0, 0, FINISH, 0, 0, 0, true, 0});
    if (threadIdx.x == 0) {
        result->id = chosen;
        result->logprob = chosen >= 0 ? (chosen == id_of(likeliest) ? most : b.logits[chosen]) - log_sum : 0;
        result->rank = rank;
        result->top_count = top_count;
        *token = chosen;
    }
}

// tokens[r] = the choice from logits[r, ...] by rules[r]; -1 when nothing may be chosen.
//
// Grid [R * chunks], chunks = ceil(V / CHUNK). `resident` blocks surely run at once; if there are more, they
// take their places in the order in which they begin. Scratch, zero before the first launch: 64 bytes of
// tickets, Row [C], bins u64 [C, BINS], lists u64 [C, LISTED], Partial [C, chunks], for C = capacity >= R.
KERNEL __launch_bounds__(THREADS, BLOCKS) sample_rows(
    const float *logits, int rows, int capacity, int width, int resident, const SamplingRule *rules, const int *lists,
    u8 *scratch, SampledRow *results, int *tokens) {
    extern __shared__ __align__(16) u8 shared_bytes[];
    Shared &s = *(Shared *)shared_bytes;
    let_next_begin();
    previous_done();
    const int chunks = (width + CHUNK - 1) / CHUNK;
    u32 *tickets = (u32 *)scratch;
    u32 place = blockIdx.x;
    const bool ordered = gridDim.x > (u32)resident;
    if (ordered) {
        if (threadIdx.x == 0) s.ticket = atomicAdd(&tickets[0], 1);
        __syncthreads();
        place = s.ticket;
    }
    const int r = chunks > 0 ? place / chunks : rows;
    if (r < rows && width <= 1 << ID_BITS) {
        Row *row = (Row *)(scratch + 64);
        u64 *bins = (u64 *)(row + capacity), *list = bins + (long long)capacity * BINS;
        Partial *partials = (Partial *)(list + (long long)capacity * LISTED);
        Block b;
        b.rule = rules + r;
        b.logits = logits + (long long)r * width;
        b.lists = lists;
        b.row = row + r;
        b.bins = bins + (long long)r * BINS;
        b.list = list + (long long)r * LISTED;
        b.partials = partials + (long long)r * chunks;
        b.chunk = place % chunks;
        b.chunks = chunks;
        b.begin = b.chunk * CHUNK;
        b.end = min(b.begin + CHUNK, width);
        b.vocabulary = min(b.rule->vocabulary, width);
        if (b.vocabulary > 0) {
            const bool asks = needs_commands(b.rule);
            const u32 seen = asks && threadIdx.x == 0 ? load_acquire(&b.row->sequence) : 0;
            read_chunk(b, asks, s);
            if (b.chunk == 0) {
                lead(b, width, results + r, tokens + r, s);
            } else {
                if (threadIdx.x == 0) arrive(b);
                if (asks) follow(b, seen, s);
            }
        } else if (b.chunk == 0 && threadIdx.x == 0) {
            results[r].id = tokens[r] = -1;
        }
    }
    if (ordered && threadIdx.x == 0 && atomicAdd(&tickets[1], 1) == gridDim.x - 1) {
        tickets[0] = tickets[1] = 0;
    }
}
