// Tokens from the likeliest down, by probability, without sorting them all.
#ifndef VIREO_DISTRIBUTION_H
#define VIREO_DISTRIBUTION_H

#include "kernels.h"

// Buckets of tokens by their distance from the likeliest, 1/32 of a natural logarithm wide; the last one
// holds the rest.
enum { bucket_count = 1025, buckets_per_unit = 32 };

// A row's tokens. Those within `reach` of the likeliest are in buckets; a boundary that lies beyond extends
// the reach.
struct vireo_distribution {
    const float *logits;  // [count], minus infinity for a token that may not be chosen
    size_t count;
    float most, factor;  // the likeliest's logit, and one over the temperature
    double mass;         // sum of exp((logit - most) * factor) over all
    float reach;         // in natural logarithms
    size_t near_count;
    uint32_t *near;    // the ids in buckets, [count]
    uint64_t *sorted;  // the tokens of bucket `loaded` in order, [count]
    size_t loaded, sorted_count;
    size_t counts[bucket_count];
    double masses[bucket_count];
};

// The token at a place in the order, how many are at least as likely, it included, and what they weigh.
struct vireo_place {
    int32_t id;
    size_t count;
    double mass;
};

// Bytes of scratch for a row of `count` tokens, beside the distribution itself.
static inline size_t vireo_distribution_scratch(size_t count) { return count * 12 + 64; }

// Fills `d` for these logits, of which at least one, `most`, is finite.
void vireo_distribution_start(
    struct vireo_distribution *d, const struct vireo_kernels *kernels, const float *logits, size_t count,
    float most, float temperature, void *scratch);
// The first place at which the mass reaches `target` (passes it, if `strict`), but at most the `limit`-th.
struct vireo_place vireo_distribution_find(
    struct vireo_distribution *d, double target, bool strict, size_t limit);
// How many tokens weigh at least `part` of the likeliest; 0 < part <= 1.
size_t vireo_distribution_count(const struct vireo_distribution *d, float part);

#endif
