// The choice of the next token of each row, see SamplingRow and LogitChanges.
#include <math.h>
#include <string.h>

#include "distribution.h"
#include "pool.h"

// Places a changed logit; what cannot be chosen stays so.
static void change(float *logits, size_t count, int32_t id, float value) {
    const float bound = 1e30f;
    if (id < 0 || (size_t)id >= count || !(logits[id] > -INFINITY)) return;
    logits[id] = value > bound ? bound : value < -bound ? -bound : value;
}

static float logit(const float *logits, size_t count, int32_t id) {
    return id >= 0 && (size_t)id < count ? logits[id] : 0;
}

// Bans all but `ids`, which rise.
static void allow(float *logits, size_t count, const int32_t *ids, size_t id_count) {
    size_t next = 0;
    for (size_t i = 0; i < id_count; i++) {
        if (ids[i] < 0 || (size_t)ids[i] >= count) continue;
        for (; next < (size_t)ids[i]; next++) logits[next] = -INFINITY;
        next = (size_t)ids[i] + 1;
    }
    for (; next < count; next++) logits[next] = -INFINITY;
}

static void apply(const struct vireo_sampling_row *row, float *logits, size_t count) {
    const struct vireo_logit_changes *c = &row->changes;
    for (size_t i = 0; i < c->counted_count; i++) {
        float l = logit(logits, count, c->counted[i]);
        l = l > 0 ? l / c->repetition : l * c->repetition;
        change(logits, count, c->counted[i], l - c->frequency * (float)c->counts[i] - c->presence);
    }
    for (size_t i = 0; i < c->raised_count; i++) {
        float l = logit(logits, count, c->raised[i]);
        change(logits, count, c->raised[i], l + c->raise * fabsf(l));
    }
    for (size_t i = 0; i < c->biased_count; i++) {
        change(logits, count, c->biased[i], logit(logits, count, c->biased[i]) + c->biases[i]);
    }
    if (c->limits) allow(logits, count, c->allowed, c->allowed_count);
    for (size_t i = 0; i < row->banned_count; i++) {
        if (row->banned[i] >= 0 && (size_t)row->banned[i] < count) logits[row->banned[i]] = -INFINITY;
    }
}

static bool changes(const struct vireo_sampling_row *row) {
    const struct vireo_logit_changes *c = &row->changes;
    return row->banned_count + c->counted_count + c->raised_count + c->biased_count > 0 || c->limits;
}

// Temperature, then the k likeliest, then the likeliest of these that weigh p of them, then those that weigh
// enough beside the likeliest; of those the first at which their mass passes the uniform's share of it.
static int32_t draw(struct vireo_distribution *d, const struct vireo_sampling_row *row) {
    size_t limit = row->top_k > 0 && (uint64_t)row->top_k < d->count ? (size_t)row->top_k : d->count;
    double mass = limit < d->count ? vireo_distribution_find(d, INFINITY, false, limit).mass : d->mass;
    if (row->top_p < 1) {
        struct vireo_place last = vireo_distribution_find(d, row->top_p * mass, false, limit);
        limit = last.count;
        mass = last.mass;
    }
    if (row->min_p > 0) {
        size_t count = vireo_distribution_count(d, row->min_p);
        if (count < limit) {
            limit = count;
            mass = vireo_distribution_find(d, INFINITY, false, limit).mass;
        }
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

// The choice, or -1 when nothing may be chosen; `first` is the likeliest of all.
static int32_t choose(
    struct sampling *sampling, const struct vireo_sampling_row *row, size_t worker, const float *logits,
    size_t count, size_t first) {
    const struct vireo_kernels *kernels = vireo_pool_kernels(sampling->pool);
    struct vireo_distribution *d = vireo_pool_worker_scratch(sampling->pool, worker);
    float most = logits[first];
    if (changes(row)) {
        float *copy = (float *)((char *)d + copy_offset(sampling->width));
        memcpy(copy, logits, count * sizeof(float));
        apply(row, copy, count);
        logits = copy;
    }
    if (changes(row) || first >= count) {
        most = kernels->largest(logits, count, &first);
        if (!isfinite(most)) return -1;
    }
    if (!(row->temperature > 0) || row->top_k == 1) return (int32_t)first;
    vireo_distribution_start(d, kernels, logits, count, most, row->temperature, d + 1);
    return draw(d, row);
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
    int32_t chosen = row->given;
    if (chosen < 0) chosen = choose(sampling, row, worker, logits, count, first);
    if (chosen < 0) return;
    float value = logits[chosen];
    result->id = chosen;
    result->logprob = value - log_sum;
    result->rank = 1 + (int32_t)kernels->count_above(logits, count, value);
    for (int32_t id = 0; id < chosen; id++) result->rank += logits[id] == value;
    result->top_count = likeliest(logits, count, log_sum, result->top, row->top_count);
}

bool vireo_sample(
    vireo_pool *pool, const float *logits, size_t count, size_t width, const struct vireo_sampling_row *rows,
    struct vireo_sampled *results) {
    pool = vireo_pool_enter(pool);
    struct sampling sampling = {pool, logits, width, rows, results};
    bool room = vireo_pool_reserve(pool, copy_offset(width) + width * sizeof(float));
    if (room) vireo_pool_run(pool, count, sample_row, &sampling);
    vireo_pool_unlock(pool);
    return room;
}
