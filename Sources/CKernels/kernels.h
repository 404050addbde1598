// The loops that exist once a level; each level_*.c fills one table from the same templates.
#ifndef VIREO_KERNELS_H
#define VIREO_KERNELS_H

#include "CKernels.h"

// Packed weights, and packed keys and values in attention, are panels of 32 columns:
//   f32:  [panel][k][32] floats;
//   bf16: [panel][k / 2][32] pairs (k, k + 1), the even k in the low half; an odd k is filled up with zero;
//   int8: [panel][k / 4][32] fours of bytes, each 128 above its value, then [panel][32] floats, the scales.
// A step is a k (f32), a pair (bf16) or a four (int8). A block of m rows of the left side is packed as [step][m]
// units, in int8 with [m] scaled_row behind them.
enum { panel_columns = 32 };

// What turns the sum of a row's bytes with bytes of weights into their product: (sum - excess) * scale * that of
// the weights.
struct scaled_row {
    float scale;
    uint32_t excess;  // 128 * the sum of the row's bytes
};

static inline size_t vireo_panels(size_t n) { return (n + panel_columns - 1) / panel_columns; }
static inline size_t vireo_steps(size_t k, enum vireo_type type) {
    return type == vireo_type_f32 ? k : type == vireo_type_int8 ? (k + 3) / 4 : (k + 1) / 2;
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
    size_t block_rows, unit_bytes[4];
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

#endif
