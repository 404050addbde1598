// The loops that exist once a level; each level_*.c fills one table from the same templates.
#ifndef VIREO_KERNELS_H
#define VIREO_KERNELS_H

#include "CKernels.h"

// Packed weights, and packed keys and values in attention, are panels of 32 columns:
//   f32:  [panel][k][32] floats;
//   bf16: [panel][k / 2][32] pairs (k, k + 1), the even k in the low half; an odd k is filled up with zero;
//   int8: [panel][k / 64][17][32] words: fours of bytes, each 128 above its value; then floats, the
//   scales of these 64;
//   int4: [panel][k / 64][9][32] words: eights of nibbles, each 8 above its value, with k to k + 3 in the low ones
//   of the bytes and k + 4 to k + 7 in the high ones; then floats, likewise.
// A step is a k (f32), a pair (bf16), or a row of 32 words (int8, int4). A block of m rows of the left side
// is packed as [step][m] units; for int8 and int4 as [k / 64] of [16][m] units, fours of bytes, and [m] group_end.
enum { panel_columns = 32, group_values = 64, group_units = 16, int8_steps = 17, int4_steps = 9 };

// Of 64 values of a row: what turns the sum of their bytes with those of weights into their product is
// (sum - excess) * scale.
struct group_end {
    float scale;
    uint32_t excess;  // the sum of the bytes times what the weights are stored above their values
};

static inline size_t vireo_panels(size_t n) { return (n + panel_columns - 1) / panel_columns; }
static inline size_t vireo_steps(size_t k, enum vireo_type type) {
    switch (type) {
        case vireo_type_f32: return k;
        case vireo_type_int8: return (k + group_values - 1) / group_values * int8_steps;
        case vireo_type_int4: return (k + group_values - 1) / group_values * int4_steps;
        default: return (k + 1) / 2;
    }
}

// Attention goes over its keys in blocks of so many, counted from the first.
enum { key_block = 128 };

// Rows of attention that share their keys: each of `query_count` queries with each of `group` heads side by
// side.
struct vireo_attention {
    const float *queries;  // head g of query q at q * query_stride + g * head_dim
    float *out;            // likewise, out_stride
    size_t query_stride, out_stride, query_count, group, head_dim;
    float scale;
    size_t visible;         // keys the first query sees
    size_t visible_growth;  // and how many more each further one
    const int32_t *sights;  // or how many each sees, rising; null for the rule above
    size_t place, window;   // the first query's place, and how many keys up to a query's it sees, zero for all
    enum vireo_type type;   // what is rounded to
    // Key j lies at keys + page * page_stride + place * row_stride bytes, where without pages the place is j.
    const char *keys, *values;
    enum vireo_type stored;  // f32, or as `type`
    const int32_t *pages;
    size_t page_size, page_stride, row_stride;
};

// Bytes of scratch that `rows` rows need.
static inline size_t vireo_attention_scratch(size_t rows, size_t head_dim) {
    size_t width = vireo_panels(head_dim) * panel_columns;
    return (rows * (width * 3 + 2) + 2 * key_block * width + (12 + 32 + 1) * (key_block + width)) * 4 + 1024;
}

struct vireo_kernels {
    // Most rows of a block, and bytes of a unit of packed rows, by type.
    size_t block_rows, unit_bytes[5];
    // Packs rows [rows, k], `stride` apart, rounded to `type`.
    void (*pack_block)(
        const float *x, size_t stride, size_t rows, size_t k, enum vireo_type type, void *packed);
    // The part of a product that block (packed, its first row `row`) and panels [first, last) have in common.
    void (*linear_block)(
        const struct vireo_linear_call *call, const void *block, size_t row, size_t rows, size_t first,
        size_t last);

    // Attention of rows that fit in `scratch`.
    void (*attend)(const struct vireo_attention *attention, void *scratch);

    void (*convert)(const void *source, enum vireo_type from, void *target, enum vireo_type to, size_t count);
    void (*rms_norm)(const float *x, size_t columns, const float *weight, float epsilon, float *out);
    void (*layer_norm)(
        const float *x, size_t columns, const float *weight, const float *bias, float epsilon, float *out);
    void (*silu_multiply)(const float *x, size_t columns, float *out);
    void (*gelu_multiply)(const float *x, size_t columns, float *out);
    void (*rotate)(const float *x, size_t half, const float *cosines, const float *sines, float *out);
    void (*add)(const float *x, const float *y, size_t count, float *out);

    // The largest value and the first place it has; NaN when one is.
    float (*largest)(const float *x, size_t count, size_t *index);
    // Sum of exp((x[i] - shift) * factor).
    double (*sum_exp)(const float *x, size_t count, float shift, float factor);
    // How many of x are above `threshold`.
    size_t (*count_above)(const float *x, size_t count, float threshold);
};

extern const struct vireo_kernels vireo_kernels_portable, vireo_kernels_avx2, vireo_kernels_avx512,
    vireo_kernels_avx512vnni, vireo_kernels_avx512bf16;

// The table of a level, or of the best below it that this processor has.
const struct vireo_kernels *vireo_kernels_of_level(int level);

// Bytes of a packed row of the left side; `unit` is the size of its units.
static inline size_t vireo_row_bytes(size_t k, enum vireo_type type, size_t unit) {
    if (type < vireo_type_int8) return vireo_steps(k, type) * unit;
    return (k + group_values - 1) / group_values * (group_units * unit + sizeof(struct group_end));
}

#endif
