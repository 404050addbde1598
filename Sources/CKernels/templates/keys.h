// Packing of a block of keys and values into panels.

#if LANES == 16
#define LOW(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define HIGH(a, b) __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#elif LANES == 8
#define LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define HIGH(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#else
#define LOW(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#endif

// Transposes a square: each round interleaves the two halves, which turns one bit of the row's number into
// one of the column's.
INLINE void transpose(vuint *rows) {
#pragma clang loop unroll(full)
    for (int size = 1; size < LANES; size *= 2) {
        vuint next[LANES];
#pragma clang loop unroll(full)
        for (int i = 0; i < LANES / 2; i++) {
            next[2 * i] = LOW(rows[i], rows[i + LANES / 2]);
            next[2 * i + 1] = HIGH(rows[i], rows[i + LANES / 2]);
        }
#pragma clang loop unroll(full)
        for (int i = 0; i < LANES; i++) rows[i] = next[i];
    }
}

INLINE const char *stored_row(const struct vireo_attention *a, const char *base, size_t key) {
    if (!a->pages) return base + key * a->row_stride;
    return base + (size_t)a->pages[key / a->page_size] * a->page_stride + key % a->page_size * a->row_stride;
}

// Asks for a row that will be needed soon: a row of another page is nothing the processor foresees.
INLINE void prefetch(const struct vireo_attention *a, const char *row) {
    size_t bytes = a->head_dim * (a->stored == vireo_type_f32 ? 4 : 2);
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(row + i);
}

// Keys [first, first + count) as panels [keys / 32][step][32]; `staging` has room for 33 rows of words.
static void pack_keys(
    const struct vireo_attention *a, size_t first, size_t count, uint32_t *staging, uint32_t *packed) {
    size_t steps = vireo_steps(a->head_dim, a->type), per_word = a->type == vireo_type_f32 ? 1 : 2;
    bool direct = a->stored == a->type && a->head_dim % per_word == 0;
    uint32_t *nothing = staging + panel_columns * steps;
    memset(nothing, 0, steps * 4);
    for (size_t panel = 0; panel < count; panel += panel_columns, packed += steps * panel_columns) {
        const uint32_t *rows[panel_columns];
        for (size_t i = 0; i < panel_columns; i++) {
            rows[i] = nothing;
            if (panel + i >= count) continue;
            const char *row = stored_row(a, a->keys, first + panel + i);
            rows[i] = (const uint32_t *)row;
            prefetch(a, stored_row(a, a->values, first + panel + i));
            if (direct) continue;
            uint32_t *words = staging + i * steps;
            words[steps - 1] = 0;
            convert(row, a->stored, words, a->type, a->head_dim);
            rows[i] = words;
        }
        for (size_t step = 0; step < steps; step += LANES) {
            size_t some = steps - step < LANES ? steps - step : LANES;
            for (size_t i = 0; i < panel_columns; i += LANES) {
                vuint square[LANES];
                for (int r = 0; r < LANES; r++) {
                    square[r] = some == LANES
                                    ? load_words(rows[i + r] + step)
                                    : (vuint)load_some((const float *)(rows[i + r] + step), some, 0);
                }
                transpose(square);
                uint32_t *target = packed + step * panel_columns + i;
                for (size_t r = 0; r < some; r++)
                    memcpy(target + r * panel_columns, &square[r], sizeof(vuint));
            }
        }
    }
}

// Part of a stored row as bf16 in upper halves.
INLINE vuint upper_halves(const char *row, enum vireo_type stored, size_t d, size_t some) {
    vfloat x = load_as_float(row + d * (stored == vireo_type_f32 ? 4 : 2), stored, some);
    return stored == vireo_type_f32 ? round_to_bf16(x) : (vuint)x;
}

// Values [first, first + count), filled up with zero to whole panels of 32 keys, as panels [head_dim /
// 32][step][32].
//
// The rows from `first` + key_block to `next` of the keys come in meanwhile.
static void pack_values(
    const struct vireo_attention *a, size_t first, size_t count, size_t next, uint32_t *packed) {
    size_t per_step = a->type == vireo_type_f32 ? 1 : 2,
           steps = vireo_panels(count) * panel_columns / per_step;
    size_t width = vireo_panels(a->head_dim) * panel_columns;
    for (size_t step = 0; step < steps; step++) {
        const char *rows[2] = {NULL, NULL};
        for (size_t i = 0; i < per_step; i++) {
            size_t key = step * per_step + i;
            if (key < count) rows[i] = stored_row(a, a->values, first + key);
            if (first + key_block + key < next) prefetch(a, stored_row(a, a->keys, first + key_block + key));
        }
        for (size_t d = 0; d < width; d += LANES) {
            size_t some = d >= a->head_dim ? 0 : a->head_dim - d < LANES ? a->head_dim - d : LANES;
            vuint words = {};
            if (a->type == vireo_type_f32) {
                size_t offset = d * (a->stored == vireo_type_f32 ? 4 : 2);
                if (rows[0] && some) words = (vuint)load_as_float(rows[0] + offset, a->stored, some);
            } else {
                if (rows[0] && some) words = upper_halves(rows[0], a->stored, d, some) >> 16;
                if (rows[1] && some) words |= upper_halves(rows[1], a->stored, d, some);
            }
            memcpy(
                packed + (d / panel_columns * steps + step) * panel_columns + d % panel_columns, &words,
                sizeof words);
        }
    }
}
