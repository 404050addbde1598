// The choice of the next token of each row, see SamplingRow.
#include <math.h>
#include <string.h>

#include "distribution.h"
#include "pool.h"

// Temperature, then the k likeliest, then the likeliest of these that weigh p of them; of those the first at
// which their mass passes the uniform's share of it.
static int32_t draw(struct vireo_distribution *d, const struct vireo_sampling_row *row) {
    size_t limit = row->top_k > 0 && (uint64_t)row->top_k < d->count ? (size_t)row->top_k : d->count;
    double mass = limit < d->count ? vireo_distribution_find(d, INFINITY, false, limit).mass : d->mass;
    if (row->top_p < 1) {
        struct vireo_place last = vireo_distribution_find(d, row->top_p * mass, false, limit);
        limit = last.count;
        mass = last.mass;
    }
    int32_t id = vireo_distribution_find(d, row->uniform * mass, true, limit).id;
    return id >= 0 ? id : vireo_distribution_find(d, 0, true, 1).id;
}

// The likeliest tokens below `count`, best first.
static size_t likeliest(
    const float *logits, size_t count, float log_sum, struct vireo_candidate *top, size_t most) {
    size_t found = 0;
    for (size_t id = 0; id < count && most > 0; id++) {
        float logit = logits[id];
        if (!(logit > -INFINITY) || (found == most && logit <= top[found - 1].logprob)) continue;
        size_t place = found < most ? found++ : found - 1;
        for (; place > 0 && top[place - 1].logprob < logit; place--) top[place] = top[place - 1];
        top[place] = (struct vireo_candidate){(int32_t)id, logit};
    }
    for (size_t i = 0; i < found; i++) top[i].logprob -= log_sum;
    return found;
}

struct sampling {
    vireo_pool *pool;
    const float *logits;
    size_t width;
    const struct vireo_sampling_row *rows;
    struct vireo_sampled *results;
};

// Scratch of a worker: the distribution, what it needs, and a copy of the logits.
static size_t copy_offset(size_t width) {
    return (sizeof(struct vireo_distribution) + vireo_distribution_scratch(width) + 63) / 64 * 64;
}

static void sample_row(void *context, size_t index, size_t worker) {
    struct sampling *sampling = context;
    const struct vireo_kernels *kernels = vireo_pool_kernels(sampling->pool);
    const struct vireo_sampling_row *row = &sampling->rows[index];
    struct vireo_sampled *result = &sampling->results[index];
    const float *logits = sampling->logits + index * sampling->width;
    size_t width = sampling->width, count = row->vocabulary < width ? row->vocabulary : width;
    *result = (struct vireo_sampled){.id = -1, .top = result->top};

    size_t first;
    float most = kernels->largest(logits, width, &first);
    if (!isfinite(most)) return;
    float log_sum = most + (float)log(kernels->sum_exp(logits, width, most, 1));
    struct vireo_distribution *d = vireo_pool_worker_scratch(sampling->pool, worker);
    const float *allowed = logits;
    if (row->banned_count > 0) {
        float *copy = (float *)((char *)d + copy_offset(width));
        memcpy(copy, logits, count * sizeof(float));
        for (size_t i = 0; i < row->banned_count; i++) {
            if (row->banned[i] >= 0 && (size_t)row->banned[i] < count) copy[row->banned[i]] = -INFINITY;
        }
        allowed = copy;
    }
    if (row->banned_count > 0 || first >= count) {
        most = kernels->largest(allowed, count, &first);
        if (!isfinite(most)) return;
    }
    int32_t chosen = (int32_t)first;
    if (row->temperature > 0 && row->top_k != 1) {
        vireo_distribution_start(d, kernels, allowed, count, most, row->temperature, d + 1);
        chosen = draw(d, row);
    }
    if (chosen < 0) return;
    float logit = logits[chosen];
    result->id = chosen;
    result->logprob = logit - log_sum;
    result->rank = 1 + (int32_t)kernels->count_above(logits, count, logit);
    for (int32_t id = 0; id < chosen; id++) result->rank += logits[id] == logit;
    result->top_count = likeliest(logits, count, log_sum, result->top, row->top_count);
}

bool vireo_sample(
    vireo_pool *pool, const float *logits, size_t count, size_t width, const struct vireo_sampling_row *rows,
    struct vireo_sampled *results) {
    struct sampling sampling = {pool, logits, width, rows, results};
    vireo_pool_lock(pool);
    bool room = vireo_pool_reserve(pool, copy_offset(width) + width * sizeof(float));
    if (room) vireo_pool_run(pool, count, sample_row, &sampling);
    vireo_pool_unlock(pool);
    return room;
}
