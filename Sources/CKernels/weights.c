#include <string.h>

#include "kernels.h"
#include "pool.h"
#include "quantize.h"

size_t vireo_packed_byte_count(size_t n, size_t k, enum vireo_type type) {
    size_t scales = type == vireo_type_int8 ? 1 : 0;
    return vireo_panels(n) * (vireo_steps(k, type) + scales) * panel_columns * 4;
}

static size_t byte_count(enum vireo_type type) { return type == vireo_type_f32 ? 4 : 2; }

struct conversion {
    const struct vireo_kernels *kernels;
    const char *source;
    char *target;
    enum vireo_type from, to;
};

static void convert_range(void *context, size_t begin, size_t end) {
    struct conversion *c = context;
    c->kernels->convert(
        c->source + begin * byte_count(c->from), c->from, c->target + begin * byte_count(c->to), c->to,
        end - begin);
}

void vireo_convert(
    vireo_pool *pool, const void *source, enum vireo_type from, void *target, enum vireo_type to,
    size_t count) {
    struct conversion conversion = {vireo_pool_kernels(pool), source, target, from, to};
    vireo_parallel(pool, count, 16384, convert_range, &conversion);
}

struct packing {
    const struct vireo_kernels *kernels;
    const char *source;
    char *packed;
    enum vireo_type from, to;
    size_t k, first_row;
    float *scales;  // behind the panels, for int8
};

// A row in pieces: converted in a buffer, then spread over its column of the panel.
static void pack_range(void *context, size_t begin, size_t end) {
    struct packing *p = context;
    enum { piece = 512 };
    uint32_t words[piece];
    size_t steps = vireo_steps(p->k, p->to), per_step = p->to == vireo_type_f32 ? 1 : 2;
    // Pieces outside, rows inside: neighbouring rows fill the same lines of the panel while they are in the
    // cache.
    for (size_t step = 0; step < steps; step += piece) {
        size_t count = steps - step < piece ? steps - step : piece, k = step * per_step;
        size_t values = p->k - k < count * per_step ? p->k - k : count * per_step;
        for (size_t row = begin; row < end; row++) {
            size_t n = p->first_row + row;
            uint32_t *column = (uint32_t *)p->packed + (n / panel_columns * steps + step) * panel_columns +
                               n % panel_columns;
            words[count - 1] = 0;
            p->kernels->convert(
                p->source + (row * p->k + k) * byte_count(p->from), p->from, words, p->to, values);
            for (size_t i = 0; i < count; i++) column[i * panel_columns] = words[i];
        }
    }
}

// `count` values of row `row` from k on, as f32.
static void read_values(const struct packing *p, size_t row, size_t k, size_t count, float *values) {
    p->kernels->convert(
        p->source + (row * p->k + k) * byte_count(p->from), p->from, values, vireo_type_f32, count);
}

// The scale of a row, and how many of its steps are in one.
static struct steps row_steps(const struct packing *p, size_t row) {
    enum { piece = 512 };
    float values[piece];
    uint32_t largest = 0;
    for (size_t k = 0; k < p->k; k += piece) {
        size_t count = p->k - k < piece ? p->k - k : piece;
        read_values(p, row, k, count, values);
        for (size_t i = 0; i < count; i++) {
            uint32_t size;
            memcpy(&size, &values[i], 4);
            size &= 0x7fffffff;
            largest = size > largest ? size : largest;
        }
    }
    return steps_of(largest, 127);
}

static void quantize_range(void *context, size_t begin, size_t end) {
    struct packing *p = context;
    enum { piece = 512 };
    float values[piece];
    size_t steps = vireo_steps(p->k, p->to);
    // As above, but a panel at a time, so that there is a bound on the rows whose scales are at hand.
    for (size_t first = begin; first < end; first += panel_columns) {
        size_t last = end - first < panel_columns ? end : first + panel_columns;
        struct steps found[panel_columns];
        for (size_t row = first; row < last; row++) {
            found[row - first] = row_steps(p, row);
            p->scales[p->first_row + row] = found[row - first].size;
        }
        for (size_t k = 0; k < p->k; k += piece) {
            size_t count = p->k - k < piece ? p->k - k : piece;
            for (size_t row = first; row < last; row++) {
                size_t n = p->first_row + row;
                float per_unit = found[row - first].per_unit;
                read_values(p, row, k, count, values);
                memset(values + count, 0, (piece - count) * sizeof(float));
                size_t word = (n / panel_columns * steps + k / 4) * panel_columns + n % panel_columns;
                char *column = p->packed + word * 4;
                for (size_t i = 0; i < count; i += 4) {
                    uint8_t four[4];
                    for (size_t j = 0; j < 4; j++) {
                        float value = per_unit == 0 ? 0 : values[i + j] * per_unit;
                        value = value + rounding_magic;
                        int32_t bits;
                        memcpy(&bits, &value, 4);
                        four[j] = (uint8_t)(bits - rounding_bits + 128);
                    }
                    memcpy(column + i * panel_columns, four, 4);
                }
            }
        }
    }
}

void vireo_pack_rows(
    vireo_pool *pool, const void *source, enum vireo_type from, size_t rows, size_t k, size_t first_row,
    size_t all_rows, void *packed, enum vireo_type to) {
    float *scales = (float *)packed + vireo_panels(all_rows) * vireo_steps(k, to) * panel_columns;
    struct packing packing = {vireo_pool_kernels(pool), source, packed, from, to, k, first_row, scales};
    vireo_parallel(
        pool, rows, panel_columns, to == vireo_type_int8 ? quantize_range : pack_range, &packing);
}
