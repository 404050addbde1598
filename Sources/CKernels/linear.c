#include "kernels.h"
#include "pool.h"

// Weights a task goes through with many rows stay in the second-level cache.
static const size_t group_bytes = (size_t)1 << 20;
// Blocks of rows a task takes through them.
enum { chunk_blocks = 8 };

struct linear {
    const struct vireo_linear_call *call;
    const struct vireo_kernels *kernels;
    char *packed;
    size_t blocks, group, chunks, panels, row_bytes;
};

// Block i holds rows [first_row(i), first_row(i + 1)): as even as can be.
static size_t first_row(const struct linear *linear, size_t block) {
    return block * linear->call->m / linear->blocks;
}

static void pack(void *context, size_t block, size_t worker) {
    (void)worker;
    struct linear *linear = context;
    const struct vireo_linear_call *call = linear->call;
    size_t row = first_row(linear, block), rows = first_row(linear, block + 1) - row;
    linear->kernels->pack_block(
        call->x + row * call->k, call->k, rows, call->k, call->type,
        linear->packed + row * linear->row_bytes);
}

static void compute(void *context, size_t task, size_t worker) {
    (void)worker;
    struct linear *linear = context;
    size_t first = task / linear->chunks * linear->group, last = first + linear->group;
    if (last > linear->panels) last = linear->panels;
    size_t block = task % linear->chunks * chunk_blocks, end = block + chunk_blocks;
    if (end > linear->blocks) end = linear->blocks;
    for (; block < end; block++) {
        size_t row = first_row(linear, block), rows = first_row(linear, block + 1) - row;
        linear->kernels->linear_block(
            linear->call, linear->packed + row * linear->row_bytes, row, rows, first, last);
    }
}

void vireo_linear(vireo_pool *pool, const struct vireo_linear_call *call) {
    if (call->m == 0 || call->n == 0) return;
    const struct vireo_kernels *kernels = vireo_pool_kernels(pool);
    size_t steps = vireo_steps(call->k, call->type);
    struct linear linear = {
        .call = call,
        .kernels = kernels,
        .blocks = (call->m + kernels->block_rows - 1) / kernels->block_rows,
        .panels = vireo_panels(call->n),
        .row_bytes = vireo_row_bytes(call->k, call->type, kernels->unit_bytes[call->type]),
    };
    linear.chunks = (linear.blocks + chunk_blocks - 1) / chunk_blocks;
    // Four tasks a thread even out the threads; but groups of four panels let few rows keep enough chains of
    // additions going, so fewer panels only where threads would be idle.
    size_t threads = vireo_pool_threads(pool), fitting = group_bytes / (steps * panel_columns * 4 + 1);
    size_t group = (linear.panels + threads * 4 - 1) / (threads * 4);
    size_t least = linear.panels / threads < 4 ? linear.panels / threads + 1 : 4;
    group = group < least ? least : group > 8 ? 8 : group;
    if (linear.blocks > 1 && group > fitting) group = fitting < 1 ? 1 : fitting;
    linear.group = group;

    pool = vireo_pool_enter(pool);
    linear.packed = vireo_pool_scratch(pool, call->m * linear.row_bytes + 64);
    if (call->m * call->k < 16384) {
        for (size_t block = 0; block < linear.blocks; block++) pack(&linear, block, 0);
    } else {
        vireo_pool_run(pool, linear.blocks, pack, &linear);
    }
    vireo_pool_run(pool, (linear.panels + group - 1) / group * linear.chunks, compute, &linear);
    vireo_pool_unlock(pool);
}
