// Attention by online softmax over blocks of keys:
//   m' = max(m, max_j s_j),  l' = l * exp(m - m') + sum_j exp(s_j - m'),  o' = o * exp(m - m') + sum_j
//   exp(s_j - m') v_j
// with o / l in the end. Blocks begin at fixed keys, and a key that a row does not see adds an exact zero, so
// that a row's bits do not depend on the rows beside it.

#include "keys.h"

// Scores of a row become weights, in place, those of keys outside [hidden, seen) zero; returns exp(m - m').
static float weigh(
    float *scores, size_t hidden, size_t seen, size_t columns, float scale, enum vireo_type type, float *most,
    float *total) {
    for (size_t i = 0; i < hidden; i++) scores[i] = -INFINITY;
    for (size_t i = seen; i < columns; i++) scores[i] = -INFINITY;
    vfloat above = all(-INFINITY);
    for (size_t i = 0; i < columns; i += LANES) above = larger(load(scores + i) * scale, above);
    float highest = largest_lane(above), before = *most;
    if (highest < before) highest = before;
    // A row whose window has not begun has no weights yet.
    if (highest == -INFINITY) {
        memset(scores, 0, columns * sizeof(float));
        return 1;
    }
    *most = highest;
    vfloat sum = all(0);
    for (size_t i = 0; i < columns; i += LANES) {
        vfloat weight = exponential(load(scores + i) * scale - highest);
        if (HAS_DOT && type == vireo_type_bf16) {
            vuint rounded = round_to_bf16(weight);
            sum += (vfloat)rounded;
            vhalf halves = __builtin_convertvector(rounded >> 16, vhalf);
            memcpy((uint16_t *)scores + i, &halves, sizeof halves);
        } else {
            sum += weight;
            store(scores + i, weight);
        }
    }
    float correction = exponential(all(before - highest))[0];
    *total = *total * correction + sum_lanes(sum);
    return correction;
}

INLINE size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

// Keys that row `row` sees.
INLINE size_t visible_keys(const struct vireo_attention *a, size_t row) {
    if (a->sights) return (size_t)a->sights[row / a->group];
    return a->visible + row / a->group * a->visible_growth;
}

// Keys in front of the first that row `row` sees.
INLINE size_t hidden_keys(const struct vireo_attention *a, size_t row) {
    size_t end = a->place + row / a->group + 1;
    return a->window && end > a->window ? end - a->window : 0;
}

static void attend(const struct vireo_attention *a, void *scratch) {
    size_t rows = a->query_count * a->group, width = vireo_panels(a->head_dim) * panel_columns;
    size_t steps = vireo_steps(a->head_dim, a->type), per_step = a->type == vireo_type_f32 ? 1 : 2;
    size_t unit = a->type == vireo_type_f32 ? 4 : sizeof(bf16_unit),
           blocks = (rows + BLOCK_ROWS - 1) / BLOCK_ROWS;
    float *sums = scratch;                                           // [rows, width]
    float *scores = sums + rows * width;                             // [BLOCK_ROWS, key_block]
    uint32_t *keys = (uint32_t *)(scores + BLOCK_ROWS * key_block);  // [key_block / 32, steps, 32]
    uint32_t *values = keys + key_block * steps;                     // [width / 32, key_block / per_step, 32]
    uint32_t *nothing = values + key_block / per_step * width;       // [width]
    uint32_t *staging = nothing + width;                             // [32, steps]
    float *most = (float *)(staging + panel_columns * steps);        // [rows]
    float *totals = most + rows;                                     // [rows]
    char *queries = (char *)(totals + rows);                         // blocks of [steps, rows of the block]
    memset(sums, 0, rows * width * sizeof(float));
    memset(nothing, 0, width * sizeof(uint32_t));
    for (size_t row = 0; row < rows; row++) {
        most[row] = -INFINITY;
        totals[row] = 0;
    }
    for (size_t block = 0; block < blocks; block++) {
        size_t first = block * rows / blocks, last = (block + 1) * rows / blocks;
        for (size_t row = first; row < last; row++) {
            const float *query = a->queries + row / a->group * a->query_stride + row % a->group * a->head_dim;
            char *target = queries + (first * steps + row - first) * unit;
            pack_row(query, a->head_dim, a->type, target, last - first);
        }
    }
    size_t key_count = visible_keys(a, rows - 1);
    size_t offsets[2 * key_block];
    for (size_t begin = hidden_keys(a, 0) / key_block * key_block; begin < key_count; begin += key_block) {
        // Of this block and the next.
        size_t known = smaller(2 * key_block, key_count - begin), count = smaller(key_block, known);
        locate(a, begin, known, offsets);
        size_t value_stride = vireo_panels(count) * panel_columns / per_step * step_bytes;
        pack_keys(a, offsets, count, staging, nothing, keys);
        pack_values(a, offsets, count, known, nothing, values);
        for (size_t block = 0; block < blocks; block++) {
            size_t first = block * rows / blocks, last = (block + 1) * rows / blocks;
            size_t seen = visible_keys(a, last - 1);
            if (seen <= begin || hidden_keys(a, first) >= begin + count) continue;
            size_t panels = vireo_panels(smaller(seen - begin, count)), columns = panels * panel_columns;
            multiply(
                a->type, steps, packed, queries + first * steps * unit, last - first, (const char *)keys,
                steps * step_bytes, panels, scores, key_block, false);
            for (size_t row = first; row < last; row++) {
                size_t visible = visible_keys(a, row),
                       sees = visible > begin ? smaller(visible - begin, columns) : 0,
                       hidden = hidden_keys(a, row), hides = hidden > begin ? smaller(hidden - begin, columns) : 0;
                float correction = weigh(
                    scores + (row - first) * key_block, hides, sees, columns, a->scale, a->type, &most[row],
                    &totals[row]);
                float *sum = sums + row * width;
                if (correction != 1) {
                    for (size_t d = 0; d < width; d += LANES) store(sum + d, load(sum + d) * correction);
                }
            }
            multiply(
                a->type, columns / per_step, spread, scores, last - first, (const char *)values, value_stride,
                width / panel_columns, sums + first * width, width, true);
        }
    }
    for (size_t row = 0; row < rows; row++) {
        float *out = a->out + row / a->group * a->out_stride + row % a->group * a->head_dim;
        const float *sum = sums + row * width;
        FOR_VECTORS(
            a->head_dim, store(out + i, load(sum + i) / totals[row]),
            store_some(out + i, load(sum + i) / totals[row], some));
    }
}
