// The register-blocked product of a packed block of rows with packed panels of columns, which everything that
// multiplies matrices is made of:
//   c[r, n] = (initial ? c[r, n] : 0) + sum over steps of a[step, r] * b[step, n]
//
// Each value of c is one chain of additions in the order of k, whatever the number of rows and however rows
// and columns are shared out, so that a row has the same bits alone as among others.

#if HAS_DOT
typedef uint32_t bf16_unit;
#else
typedef struct {
    float even, odd;
} bf16_unit;
#endif

// Bytes between spread rows: the scores of a row with a block of keys.
enum { spread_stride = key_block * 4 };
// Vectors in a panel's row, and accumulators that fit in the registers.
enum {
    panel_vectors = panel_columns / LANES,
    accumulators = LANES == 16 ? 24 : 12,
    step_bytes = panel_columns * 4
};

// The element of `a` at (step, row) lies step * step_stride + row * row_stride bytes in.
INLINE void product(
    size_t steps, const char *a, size_t row_stride, size_t step_stride, const char *b, size_t panel_stride,
    float *c, size_t c_stride, bool initial, enum vireo_type type, const int rows, const int vectors) {
    vfloat sums[accumulators];
    const char *columns[8];
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++)
        columns[v] = b + v / panel_vectors * panel_stride + v % panel_vectors * LANES * 4;
    if (type >= vireo_type_int8) {
        multiply_groups(steps, a, columns, c, c_stride, type, rows, vectors);
        return;
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) {
            sums[r * vectors + v] = initial ? load(c + r * c_stride + v * LANES) : all(0);
        }
    }
    for (size_t step = 0; step < steps; step++, a += step_stride) {
        vuint words[8];
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) words[v] = load_words(columns[v] + step * step_bytes);
        if (type == vireo_type_f32) {
#pragma clang loop unroll(full)
            for (int r = 0; r < rows; r++) {
                vfloat x = all(*(const float *)(a + r * row_stride));
#pragma clang loop unroll(full)
                for (int v = 0; v < vectors; v++) {
                    sums[r * vectors + v] = multiply_add(x, (vfloat)words[v], sums[r * vectors + v]);
                }
            }
            continue;
        }
#if HAS_DOT
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++) {
            __m512bh x = (__m512bh)_mm512_set1_epi32(*(const int *)(a + r * row_stride));
#pragma clang loop unroll(full)
            for (int v = 0; v < vectors; v++) {
                sums[r * vectors + v] =
                    (vfloat)_mm512_dpbf16_ps((__m512)sums[r * vectors + v], x, (__m512bh)words[v]);
            }
        }
#else
        // Without the instruction both halves are widened, the even one first.
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++) {
            vfloat x = all(((const bf16_unit *)(a + r * row_stride))->even);
#pragma clang loop unroll(full)
            for (int v = 0; v < vectors; v++) {
                sums[r * vectors + v] = multiply_add(x, (vfloat)(words[v] << 16), sums[r * vectors + v]);
            }
        }
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++) {
            vfloat x = all(((const bf16_unit *)(a + r * row_stride))->odd);
#pragma clang loop unroll(full)
            for (int v = 0; v < vectors; v++) {
                sums[r * vectors + v] =
                    multiply_add(x, (vfloat)(words[v] & 0xffff0000), sums[r * vectors + v]);
            }
        }
#endif
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) store(c + r * c_stride + v * LANES, sums[r * vectors + v]);
    }
}
