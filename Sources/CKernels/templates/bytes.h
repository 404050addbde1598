// Products of rows and weights in 8 bits: their sums are whole numbers of 32 bits, the same at all levels.
//
// The dot product of fours multiplies bytes without a sign by bytes with one, so the weights are stored 128 above
// their values, and what that adds to a sum, 128 times the sum of the row, is taken away in the end.

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

// Packs a row of k values in 8 bits as the units at units[0], units[rows], units[2 * rows], ...
static struct scaled_row pack_bytes(const float *x, size_t k, int8_unit *units, size_t rows) {
    vuint sizes = {};
    FOR_VECTORS(
        k, vuint size = load_words(x + i) & 0x7fffffff;
        sizes = (sizes & (vuint)(sizes > size)) | (size & ~(vuint)(sizes > size)),
        vuint size = (vuint)load_some(x + i, some, 0) & 0x7fffffff;
        sizes = (sizes & (vuint)(sizes > size)) | (size & ~(vuint)(sizes > size)));
    uint32_t largest = 0;
    for (int lane = 0; lane < LANES; lane++) largest = sizes[lane] > largest ? sizes[lane] : largest;
    struct steps steps = steps_of(largest, 127);
    vint sum = {};
    for (size_t i = 0; i < k; i += 4 * LANES) {
        size_t left = k - i < 4 * LANES ? k - i : 4 * LANES;
        int8_t bytes[4 * LANES] = {};
        for (size_t part = 0; part < left; part += LANES) {
            vfloat value = load_some(x + i + part, left - part < LANES ? left - part : LANES, 0);
            value = steps.per_unit == 0 ? all(0) : value * steps.per_unit;
            value = value + rounding_magic;
            vint rounded = (vint)value - rounding_bits;
            sum += rounded;
            vbytes narrow = __builtin_convertvector(rounded, vbytes);
            memcpy(bytes + part, &narrow, sizeof narrow);
        }
        for (size_t unit = 0; unit < (left + 3) / 4; unit++) {
            const int8_t *four = bytes + unit * 4;
            int8_unit *target = units + (i / 4 + unit) * rows;
#if HAS_VNNI
            memcpy(target, four, 4);
#else
            *target = (int8_unit){{four[0], four[2]}, {four[1], four[3]}};
#endif
        }
    }
    int32_t total = 0;
    for (int lane = 0; lane < LANES; lane++) total += sum[lane];
    return (struct scaled_row){steps.size, (uint32_t)total * 128};
}

// Sums of bytes become products, in place: `count`, a multiple of 32, of one row.
INLINE void scale_sums(float *sums, size_t count, struct scaled_row row, const float *scales) {
    for (size_t i = 0; i < count; i += LANES) {
        vint sum = (vint)(load_words(sums + i) - row.excess);
        store(sums + i, __builtin_convertvector(sum, vfloat) * (load(scales + i) * row.scale));
    }
}
