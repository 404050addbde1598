#include <string.h>

#include "kernels.h"
#include "pool.h"
#include "quantize.h"

size_t vireo_packed_byte_count(size_t n, size_t k, enum vireo_type type) {
    return vireo_panels(n) * vireo_steps(k, type) * panel_columns * 4;
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

// Rows in groups of 64 of their values.
static void quantize_range(void *context, size_t begin, size_t end) {
    struct packing *p = context;
    bool nibbles = p->to == vireo_type_int4;
    size_t steps = vireo_steps(p->k, p->to), per_group = nibbles ? int4_steps : int8_steps;
    int32_t above = nibbles ? 8 : 128;
    for (size_t k = 0; k < p->k; k += group_values) {
        size_t count = p->k - k < group_values ? p->k - k : group_values;
        for (size_t row = begin; row < end; row++) {
            size_t n = p->first_row + row, step = k / group_values * per_group;
            uint32_t *column =
                (uint32_t *)p->packed + (n / panel_columns * steps + step) * panel_columns + n % panel_columns;
            float values[group_values] = {};
            p->kernels->convert(
                p->source + (row * p->k + k) * byte_count(p->from), p->from, values, vireo_type_f32, count);
            struct steps found = steps_of(largest_size(values, group_values), nibbles ? 7 : 127);
            for (size_t i = 0; i < group_values; column += panel_columns) {
                uint32_t word = 0;
                // Of eights the second four lies in the upper halves of the bytes.
                for (size_t j = 0; j < (nibbles ? 8 : 4); j++, i++)
                    word |= (uint32_t)(steps_in(values[i], found) + above) << (j % 4 * 8 + j / 4 * 4);
                *column = word;
            }
            memcpy(column, &found.size, 4);
        }
    }
}

void vireo_pack_rows(
    vireo_pool *pool, const void *source, enum vireo_type from, size_t rows, size_t k, size_t first_row,
    void *packed, enum vireo_type to) {
    struct packing packing = {vireo_pool_kernels(pool), source, packed, from, to, k, first_row};
    vireo_parallel(pool, rows, panel_columns, to >= vireo_type_int8 ? quantize_range : pack_range, &packing);
}
