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

// Where the rows of `count` keys from `first` on lie, in bytes from the beginning of keys or values.
static void locate(const struct vireo_attention *a, size_t first, size_t count, size_t *offsets) {
    size_t page = a->pages ? first / a->page_size : 0, place = a->pages ? first % a->page_size : first;
    for (size_t i = 0; i < count; i++, place++) {
        if (a->pages && place == a->page_size) {
            place = 0;
            page++;
        }
        offsets[i] = (a->pages ? (size_t)a->pages[page] * a->page_stride : 0) + place * a->row_stride;
    }
}

// Asks for a row that will be needed soon: a row of another page is nothing the processor foresees.
INLINE void prefetch(const struct vireo_attention *a, const char *row) {
    size_t bytes = a->head_dim * (a->stored == vireo_type_f32 ? 4 : 2);
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(row + i);
}

// The keys at `count` offsets as panels [keys / 32][step][32]; `staging` has room for 32 rows, and
// `nothing` is one of zero. Their values come in meanwhile.
static void pack_keys(
    const struct vireo_attention *a, const size_t *offsets, size_t count, uint32_t *staging,
    const uint32_t *nothing, uint32_t *packed) {
    size_t steps = vireo_steps(a->head_dim, a->type), per_word = a->type == vireo_type_f32 ? 1 : 2;
    bool direct = a->stored == a->type && a->head_dim % per_word == 0;
    for (size_t panel = 0; panel < count; panel += panel_columns, packed += steps * panel_columns) {
        const uint32_t *rows[panel_columns];
        for (size_t i = 0; i < panel_columns; i++) {
            rows[i] = nothing;
            if (panel + i >= count) continue;
            const char *row = a->keys + offsets[panel + i];
            rows[i] = (const uint32_t *)row;
            prefetch(a, a->values + offsets[panel + i]);
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

// The step of values that two rows make (one, in f32) at columns d to d + some.
INLINE vuint
value_words(const char *const *rows, enum vireo_type type, enum vireo_type stored, size_t d, size_t some) {
    size_t offset = d * (stored == vireo_type_f32 ? 4 : 2);
    vfloat even = load_as_float(rows[0] + offset, stored, some);
    if (type == vireo_type_f32) return (vuint)even;
    vfloat odd = load_as_float(rows[1] + offset, stored, some);
    if (stored == vireo_type_bf16) return (vuint)even >> 16 | (vuint)odd;
    return round_to_bf16(even) >> 16 | round_to_bf16(odd);
}

INLINE void pack_values_of(
    const struct vireo_attention *a, enum vireo_type type, enum vireo_type stored, const size_t *offsets,
    size_t count, size_t known, const char *nothing, uint32_t *packed) {
    size_t per_step = type == vireo_type_f32 ? 1 : 2, dim = a->head_dim;
    size_t steps = vireo_panels(count) * panel_columns / per_step;
    for (size_t step = 0; step < steps; step++) {
        const char *rows[2];
        for (size_t i = 0; i < per_step; i++) {
            size_t key = step * per_step + i;
            rows[i] = key < count ? a->values + offsets[key] : nothing;
            if (key_block + key < known) prefetch(a, a->keys + offsets[key_block + key]);
        }
        for (size_t d = 0; d < vireo_panels(dim) * panel_columns; d += LANES) {
            vuint words = d + LANES <= dim ? value_words(rows, type, stored, d, LANES)
                          : d < dim        ? value_words(rows, type, stored, d, dim - d)
                                           : (vuint){};
            size_t place = (d / panel_columns * steps + step) * panel_columns + d % panel_columns;
            memcpy(packed + place, &words, sizeof words);
        }
    }
}

// The values at `count` offsets as panels [head_dim / 32][step][32], filled up with zero to whole panels of
// 32 keys. The keys of the next block, at the offsets up to `known`, come in meanwhile. `nothing` is a row of
// zero.
static void pack_values(
    const struct vireo_attention *a, const size_t *offsets, size_t count, size_t known,
    const uint32_t *nothing, uint32_t *packed) {
    const char *zero = (const char *)nothing;
    if (a->type == vireo_type_f32) {
        pack_values_of(a, vireo_type_f32, vireo_type_f32, offsets, count, known, zero, packed);
    } else if (a->stored == vireo_type_f32) {
        pack_values_of(a, vireo_type_bf16, vireo_type_f32, offsets, count, known, zero, packed);
    } else {
        pack_values_of(a, vireo_type_bf16, vireo_type_bf16, offsets, count, known, zero, packed);
    }
}
