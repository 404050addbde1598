// What the ranks of a model do together, each on its own GPU or several on one, where they can write to each other's memory.
//
// Every rank has an area: a head, flags, and two halves of places for what the others send. A block of a rank sends its part
// to the areas of the others, raises its flag there, and waits for the flags of their blocks of the same number. The halves
// take turns: who begins the next exchange has seen all others begin this one, so that they have done with the one before.

enum { most_ranks = 8, most_blocks = 256 };

struct area {
    u32 epoch;   // exchanges so far
    u32 done;    // blocks that have ended this one
    u32 pad[14];
    u32 flags[most_ranks][most_blocks];  // by sender and block: the exchange it has sent for
};

// The areas of all ranks, and where the host says that one has left and hears that one did not come.
struct meeting {
    u64 areas[most_ranks];
    u64 trouble;  // u32 in host memory: not zero when the ranks are not to wait for each other
    u32 rank, ranks;
    u64 half;  // bytes of a half
    u64 patience;  // nanoseconds
};

static __device__ __forceinline__ area *area_of(const meeting *m, u32 rank) { return (area *)m->areas[rank]; }

// Where the half for `epoch` begins.
static __device__ __forceinline__ char *half_of(const meeting *m, u32 rank, u32 epoch) {
    return (char *)m->areas[rank] + sizeof(area) + (epoch & 1) * m->half;
}

// What another rank has written: past the first cache, which does not know of it.
static __device__ __forceinline__ float4 load_shared(const float4 *address) {
    float4 v;
    asm volatile("ld.relaxed.sys.global.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
                 : "l"(address)
                 : "memory");
    return v;
}
static __device__ __forceinline__ u32 load_shared(const u32 *address) {
    u32 v;
    asm volatile("ld.relaxed.sys.global.u32 %0, [%1];" : "=r"(v) : "l"(address) : "memory");
    return v;
}

// Says that this block has sent its part, and waits for the same blocks of the others.
static __device__ __forceinline__ void exchange(const meeting *m, u32 epoch) {
    __syncthreads();
    const u32 other = threadIdx.x;
    if (other < m->ranks && other != m->rank) {
        __threadfence_system();
        u32 *there = &area_of(m, other)->flags[m->rank][blockIdx.x];
        const u32 *here = &area_of(m, m->rank)->flags[other][blockIdx.x];
        asm volatile("st.release.sys.global.u32 [%0], %1;" ::"l"(there), "r"(epoch + 1) : "memory");
        u64 begin = 0;
        for (u32 turns = 0;; turns++) {
            u32 seen;
            asm volatile("ld.acquire.sys.global.u32 %0, [%1];" : "=r"(seen) : "l"(here) : "memory");
            if ((int)(seen - (epoch + 1)) >= 0) break;
            if (turns % 1024 != 1023) continue;
            volatile u32 *trouble = (volatile u32 *)m->trouble;
            if (*trouble) break;
            u64 now;
            asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now));
            if (begin == 0) begin = now;
            if (now - begin > m->patience) {
                *trouble = 1;
                break;
            }
        }
    }
    __syncthreads();
}

// Counts this exchange when all blocks have ended it.
static __device__ __forceinline__ void end_exchange(area *own, u32 epoch) {
    __syncthreads();
    if (threadIdx.x) return;
    __threadfence();
    if (atomicAdd(&own->done, 1) != gridDim.x - 1) return;
    own->done = 0;
    own->epoch = epoch + 1;
}

// This rank's copy of what all exchanges need, in shared memory.
#define MEET(address)                              \
    __shared__ meeting shared_meeting;             \
    if (threadIdx.x == 0) shared_meeting = *address; \
    __syncthreads();                               \
    const meeting *m = &shared_meeting;            \
    const u32 epoch = *(volatile u32 *)&area_of(m, m->rank)->epoch

// x[i] = Σ over ranks x[i], added in the order of the ranks; `count` groups of four. Every rank adds up those of its part:
// `part` groups, the parts in the order of the ranks; all of them where `part` is zero.
KERNEL sum_of_ranks(float4 *x, int count, int part, const meeting *all, int overlaps) {
    if (overlaps) let_next_begin();
    previous_done();
    MEET(all);
    const int first = blockIdx.x * blockDim.x + threadIdx.x, step = gridDim.x * blockDim.x;
    const int width = part ? part : count;
    for (int i = first; i < count; i += step) {
        const float4 v = x[i];
        for (u32 other = part ? i / part : 0; other < m->ranks; other++) {
            if (other != m->rank)
                ((float4 *)half_of(m, other, epoch))[(long long)m->rank * width + (part ? i - other * part : i)] = v;
            if (part) break;
        }
    }
    exchange(m, epoch);
    const float4 *sent = (const float4 *)half_of(m, m->rank, epoch) - (part ? m->rank * part : 0);
    // The same groups as above, so that the same blocks of the others have sent them.
    for (int i = first; i < count; i += step) {
        if (part && i / part != m->rank) continue;
        float4 sum = {0, 0, 0, 0};
        for (u32 rank = 0; rank < m->ranks; rank++) {
            const float4 v = rank == m->rank ? x[i] : load_shared(&sent[(long long)rank * width + i]);
            sum.x += v.x, sum.y += v.y, sum.z += v.z, sum.w += v.w;
        }
        x[i] = sum;
    }
    end_exchange(area_of(m, m->rank), epoch);
}

// A range of columns, its end in the upper half.
typedef u64 columns;

static __device__ __forceinline__ bool holds(columns range, u32 column) {
    return column >= (u32)range && column < (u32)(range >> 32);
}

// Of the elements x[begin ..< begin + count], rows of `width`, copies those in the columns cₖ of rank k to the others.
KERNEL share_of_ranks(u32 *x, int begin, int count, int width, columns c0, columns c1, columns c2, columns c3, columns c4,
                      columns c5, columns c6, columns c7, const meeting *all, int overlaps) {
    if (overlaps) let_next_begin();
    previous_done();
    MEET(all);
    const columns parts[most_ranks] = {c0, c1, c2, c3, c4, c5, c6, c7};
    __shared__ columns shared_parts[most_ranks];
    if (threadIdx.x < most_ranks) shared_parts[threadIdx.x] = parts[threadIdx.x];
    __syncthreads();
    const columns mine = shared_parts[m->rank];
    const int first = blockIdx.x * blockDim.x + threadIdx.x, step = gridDim.x * blockDim.x;
    for (int i = first; i < count; i += step) {
        if (!holds(mine, (u32)(begin + i) % (u32)width)) continue;
        const u32 v = x[begin + i];
        for (u32 other = 0; other < m->ranks; other++) {
            if (other != m->rank) ((u32 *)half_of(m, other, epoch))[i] = v;
        }
    }
    exchange(m, epoch);
    const u32 *sent = (const u32 *)half_of(m, m->rank, epoch);
    for (int i = first; i < count; i += step) {
        const u32 column = (u32)(begin + i) % (u32)width;
        if (holds(mine, column)) continue;
        for (u32 rank = 0; rank < m->ranks; rank++) {
            if (!holds(shared_parts[rank], column)) continue;
            x[begin + i] = load_shared(&sent[i]);
            break;
        }
    }
    end_exchange(area_of(m, m->rank), epoch);
}

// Zeroes what is outside of some columns of x, rows of `width`.
KERNEL keep_columns(u32 *x, long long count, int width, columns kept) {
    previous_done();
    let_next_begin();
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < count; i += (long long)gridDim.x * blockDim.x) {
        if (!holds(kept, (u32)(i % width))) x[i] = 0;
    }
}
