// Products of rows in 8 bits and weights in 8 or 4: sums of 64 are whole numbers, the same at all levels.
//
// The dot product of fours multiplies bytes without a sign by bytes with one, so the weights are stored 128 above
// their values (in 4 bits 8), and what that adds to a sum, 128 times the sum of the row's, is taken away again.

#include "../quantize.h"

typedef int8_t vbytes __attribute__((vector_size(LANES)));

#if HAS_VNNI
typedef uint32_t int8_unit;
#else
// Without the instruction bytes are widened to pairs of 16 bits: (0, 2) and (1, 3) of each four.
typedef struct {
    int16_t even[2], odd[2];
} int8_unit;

// a[0] * b[0] + a[1] * b[1] of the pairs of 16 bits in each word, those of `a` below 256.
INLINE vuint pair_products(vuint a, vuint b) {
#if LANES == 16
    return (vuint)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif LANES == 8
    return (vuint)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#else
    return (a & 0xffff) * (vuint)((vint)(b << 16) >> 16) + (a >> 16) * (vuint)((vint)b >> 16);
#endif
}

INLINE vuint all_pairs(const int16_t *pair) {
    uint32_t word;
    memcpy(&word, pair, sizeof word);
    return word - (vuint){};
}
#endif

INLINE int32_t sum_integers(vint v) {
    int32_t total = 0;
    for (int lane = 0; lane < LANES; lane++) total += v[lane];
    return total;
}

// One step: sums[r, v] += the four of row r times those of the columns in words[v]; the sums are whole numbers.
INLINE void multiply_bytes(
    const char *a, size_t row_stride, const vuint *words, vfloat *sums, const int rows, const int vectors) {
#if HAS_VNNI
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
        __m512i x = _mm512_set1_epi32(*(const int *)(a + r * row_stride));
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) {
            sums[r * vectors + v] =
                (vfloat)_mm512_dpbusd_epi32((__m512i)sums[r * vectors + v], (__m512i)words[v], x);
        }
    }
#else
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
        vuint x = all_pairs(((const int8_unit *)(a + r * row_stride))->even);
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) {
            sums[r * vectors + v] =
                (vfloat)((vuint)sums[r * vectors + v] + pair_products(words[v] & 0x00ff00ff, x));
        }
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
        vuint x = all_pairs(((const int8_unit *)(a + r * row_stride))->odd);
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) {
            sums[r * vectors + v] =
                (vfloat)((vuint)sums[r * vectors + v] + pair_products(words[v] >> 8 & 0x00ff00ff, x));
        }
    }
#endif
}

// c[r, n] = sum over groups of 64 of (the sum of bytes times those of the weights - the row's excess) * the scale of
// the weights * the scale of the row.
//
// Multiplications and additions are apart and in the order of the groups, so that all levels agree.
INLINE void multiply_groups(
    size_t steps, const char *a, const char *const *columns, float *c, size_t c_stride, enum vireo_type type,
    const int rows, const int vectors) {
    enum { step_size = panel_columns * 4 };
    size_t per_group = type == vireo_type_int4 ? int4_steps : int8_steps;
    for (size_t step = 0; step < steps; step++) {
        bool first = step == 0;
        vfloat sums[LANES == 16 ? 24 : 12] = {};
        for (size_t end = step + per_group - 1; step < end; step++) {
            vuint words[8], part[8];
#pragma clang loop unroll(full)
            for (int v = 0; v < vectors; v++) {
                words[v] = load_words(columns[v] + step * step_size);
                part[v] = type == vireo_type_int4 ? words[v] & 0x0f0f0f0f : words[v];
            }
            multiply_bytes(a, sizeof(int8_unit), part, sums, rows, vectors);
            a += rows * sizeof(int8_unit);
            if (type == vireo_type_int8) continue;
#pragma clang loop unroll(full)
            for (int v = 0; v < vectors; v++) part[v] = words[v] >> 4 & 0x0f0f0f0f;
            multiply_bytes(a, sizeof(int8_unit), part, sums, rows, vectors);
            a += rows * sizeof(int8_unit);
        }
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++) {
            struct group_end end;
            memcpy(&end, a + r * sizeof end, sizeof end);
#pragma clang loop unroll(full)
            for (int v = 0; v < vectors; v++) {
                vint sum = (vint)((vuint)sums[r * vectors + v] - end.excess);
                vfloat value = __builtin_convertvector(sum, vfloat);
                value = value * load((const float *)(columns[v] + step * step_size));
                value = value * end.scale;
                float *place = c + r * c_stride + v * LANES;
                if (!first) value = load(place) + value;
                store(place, value);
            }
        }
        a += rows * sizeof(struct group_end);
    }
}

// Packs row `row` of `rows` of k values in 8 bits.
static void
pack_bytes(const float *x, size_t k, enum vireo_type type, void *packed, size_t rows, size_t row) {
    int8_unit *units = packed;
    for (size_t i = 0; i < k; i += group_values) {
        _Alignas(64) float values[group_values];
        size_t count = k - i < group_values ? k - i : group_values;
        memcpy(values, x + i, count * 4);
        memset(values + count, 0, (group_values - count) * 4);
        vuint sizes = {};
        for (size_t j = 0; j < group_values; j += LANES) {
            vuint size = load_words(values + j) & 0x7fffffff;
            vuint less = (vuint)(sizes < size);
            sizes = (sizes & ~less) | (size & less);
        }
        uint32_t largest = 0;
        for (int lane = 0; lane < LANES; lane++) largest = sizes[lane] > largest ? sizes[lane] : largest;
        struct steps steps = steps_of(largest, 127);
        int8_t bytes[group_values];
        vint sum = {};
        for (size_t j = 0; j < group_values; j += LANES) {
            vfloat value = steps.per_unit == 0 ? all(0) : load(values + j) * steps.per_unit;
            value = value + rounding_magic;
            vint rounded = (vint)value - rounding_bits;
            sum += rounded;
            vbytes narrow = __builtin_convertvector(rounded, vbytes);
            memcpy(bytes + j, &narrow, sizeof narrow);
        }
        for (size_t unit = 0; unit < group_units; unit++) {
            const int8_t *four = bytes + unit * 4;
#if HAS_VNNI
            memcpy(&units[unit * rows + row], four, 4);
#else
            units[unit * rows + row] = (int8_unit){{four[0], four[2]}, {four[1], four[3]}};
#endif
        }
        struct group_end *ends = (struct group_end *)(units + group_units * rows);
        uint32_t above = type == vireo_type_int8 ? 128 : 8;
        ends[row] = (struct group_end){steps.size, (uint32_t)sum_integers(sum) * above};
        units = (int8_unit *)(ends + rows);
    }
}
