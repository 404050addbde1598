#include "distribution.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Where the reach begins: what lies further is seldom needed, and most tokens do.
static const float first_reach = 8, last_reach = (float)(bucket_count - 1) / buckets_per_unit;

static float distance(const struct vireo_distribution *d, size_t id) {
    return (d->most - d->logits[id]) * d->factor;
}

static double weight(const struct vireo_distribution *d, size_t id) { return expf(-distance(d, id)); }

static size_t bucket_of(float distance) { return (size_t)(distance * buckets_per_unit); }

static void fill(struct vireo_distribution *d, float reach) {
    memset(d->counts, 0, sizeof d->counts);
    memset(d->masses, 0, sizeof d->masses);
    d->loaded = bucket_count;
    d->reach = reach;
    d->near_count = 0;
    // A run at a time, so that a vector of distant tokens is passed over at once.
    enum { run = 32 };
    double mass = 0;
    for (size_t begin = 0; begin < d->count; begin += run) {
        size_t end = begin + run < d->count ? begin + run : d->count;
        uint32_t any = 0;
        for (size_t id = begin; id < end; id++) any |= distance(d, id) < reach;
        if (!any) continue;
        for (size_t id = begin; id < end; id++) {
            if (!(distance(d, id) < reach)) continue;
            d->near[d->near_count++] = (uint32_t)id;
            size_t bucket = bucket_of(distance(d, id));
            double term = weight(d, id);
            d->counts[bucket]++;
            d->masses[bucket] += term;
            mass += term;
        }
    }
    d->counts[bucket_count - 1] = d->count - d->near_count;
    d->masses[bucket_count - 1] = d->mass > mass ? d->mass - mass : 0;
}

void vireo_distribution_start(
    struct vireo_distribution *d, const struct vireo_kernels *kernels, const float *logits, size_t count,
    float most, float temperature, void *scratch) {
    d->logits = logits;
    d->count = count;
    d->most = most;
    d->factor = 1 / (temperature > 1e-6f ? temperature : 1e-6f);
    d->mass = kernels->sum_exp(logits, count, most, d->factor);
    d->sorted = scratch;
    d->near = (uint32_t *)(d->sorted + count);
    fill(d, first_reach);
}

// Orders by falling logit, then by rising id.
static uint64_t sort_key(float logit, size_t id) {
    uint32_t bits;
    logit += 0.0f;  // -0 is 0
    memcpy(&bits, &logit, 4);
    bits = bits >> 31 ? bits : ~bits & 0x7fffffff;
    return (uint64_t)bits << 32 | id;
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void load_bucket(struct vireo_distribution *d, size_t bucket) {
    if (d->loaded == bucket) return;
    size_t count = 0;
    if (bucket < bucket_count - 1) {
        for (size_t i = 0; i < d->near_count; i++) {
            size_t id = d->near[i];
            if (bucket_of(distance(d, id)) == bucket) d->sorted[count++] = sort_key(d->logits[id], id);
        }
    } else {
        for (size_t id = 0; id < d->count; id++) {
            if (!(distance(d, id) < d->reach)) d->sorted[count++] = sort_key(d->logits[id], id);
        }
    }
    qsort(d->sorted, count, sizeof(uint64_t), compare);
    d->loaded = bucket;
    d->sorted_count = count;
}

struct vireo_place vireo_distribution_find(
    struct vireo_distribution *d, double target, bool strict, size_t limit) {
    struct vireo_place place = {-1, 0, 0};
    for (size_t bucket = 0; bucket < bucket_count; bucket++) {
        double mass = place.mass + d->masses[bucket];
        if (d->counts[bucket] == 0) continue;
        if (place.count + d->counts[bucket] < limit && (strict ? mass <= target : mass < target)) {
            place.mass = mass;
            place.count += d->counts[bucket];
            continue;
        }
        if (bucket == bucket_count - 1 && d->reach < last_reach) {
            fill(d, last_reach);
            return vireo_distribution_find(d, target, strict, limit);
        }
        load_bucket(d, bucket);
        for (size_t i = 0; i < d->sorted_count; i++) {
            uint32_t id = (uint32_t)d->sorted[i];
            double term = weight(d, id);
            if (term > 0 || place.id < 0) place.id = (int32_t)id;
            place.mass += term;
            place.count++;
            if (place.count == limit || (strict ? place.mass > target : place.mass >= target)) return place;
        }
    }
    return place;
}

size_t vireo_distribution_count(const struct vireo_distribution *d, float part) {
    float most = -logf(part);
    size_t count = 0;
    if (most < d->reach) {
        for (size_t i = 0; i < d->near_count; i++) count += distance(d, d->near[i]) <= most;
    } else {
        for (size_t id = 0; id < d->count; id++) count += distance(d, id) <= most;
    }
    return count;
}
