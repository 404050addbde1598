#include <string.h>

#include "kernels.h"
#include "pool.h"

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

void vireo_pack_rows(
    vireo_pool *pool, const void *source, enum vireo_type from, size_t rows, size_t k, size_t first_row,
    void *packed, enum vireo_type to) {
    struct packing packing = {vireo_pool_kernels(pool), source, packed, from, to, k, first_row};
    vireo_parallel(pool, rows, panel_columns, pack_range, &packing);
}
