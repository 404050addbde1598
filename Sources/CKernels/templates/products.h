// The product compiled for each shape of the register block, and the choice among them.

// How the left side lies: as [step][row], or row after row, `spread_stride` bytes apart.
enum layout { packed, spread };

typedef void (*product_function)(
    size_t steps, const char *a, const char *b, size_t panel_stride, float *c, size_t c_stride, bool initial);

#define FUNCTION(name, rows, vectors, type, row_stride, step_stride)                                         \
    static void name##_##rows##x##vectors(                                                                   \
        size_t steps, const char *a, const char *b, size_t panel_stride, float *c, size_t c_stride,          \
        bool initial) {                                                                                      \
        product(                                                                                             \
            steps, a, row_stride, step_stride, b, panel_stride, c, c_stride, initial, type, rows, vectors);  \
    }
#define FUNCTIONS(rows, vectors)                                                                             \
    FUNCTION(packed_f32, rows, vectors, vireo_type_f32, 4, 4 * rows)                                         \
    FUNCTION(packed_bf16, rows, vectors, vireo_type_bf16, sizeof(bf16_unit), sizeof(bf16_unit) * rows)       \
    FUNCTION(packed_int8, rows, vectors, vireo_type_int8, 0, 0)                                              \
    FUNCTION(packed_int4, rows, vectors, vireo_type_int4, 0, 0)                                              \
    FUNCTION(spread_f32, rows, vectors, vireo_type_f32, spread_stride, 4)                                    \
    FUNCTION(spread_bf16, rows, vectors, vireo_type_bf16, spread_stride, sizeof(bf16_unit))
#define ENTRY(rows, vectors)                                                                                 \
    [rows][vectors / 4] = {                                                                                  \
        [packed] = {packed_f32_##rows##x##vectors, packed_bf16_##rows##x##vectors,                           \
                    [vireo_type_int8] = packed_int8_##rows##x##vectors,                                      \
                    [vireo_type_int4] = packed_int4_##rows##x##vectors},                                     \
        [spread] = {spread_f32_##rows##x##vectors, spread_bf16_##rows##x##vectors},                          \
    },

// Every number of rows with as many vectors as leave room for the accumulators, and with fewer.
#if LANES == 16
#define SHAPES(X)                                                                                            \
    X(1, 2)                                                                                                  \
    X(1, 4) X(1, 8) X(2, 2) X(2, 4) X(2, 8) X(3, 2) X(3, 4) X(3, 8) X(4, 2) X(4, 4) X(5, 2) X(5, 4) X(6, 2)  \
        X(6, 4) X(7, 2) X(8, 2) X(9, 2) X(10, 2) X(11, 2) X(12, 2)
#else
#define SHAPES(X) X(1, 2) X(1, 4) X(1, 8) X(2, 2) X(2, 4) X(3, 2) X(3, 4) X(4, 2) X(5, 2) X(6, 2)
#endif

SHAPES(FUNCTIONS)
// By rows, by two, four or eight vectors, by layout, by type.
static const product_function products[BLOCK_ROWS + 1][3][2][5] = {SHAPES(ENTRY)};

// The product with all of `panels` panels. Few rows make few chains of additions, so they take more columns
// at once.
static void multiply(
    enum vireo_type type, size_t steps, enum layout layout, const void *a, size_t rows, const char *b,
    size_t panel_stride, size_t panels, float *c, size_t c_stride, bool initial) {
    size_t total = panels * panel_vectors;
    int size = rows * 8 <= accumulators ? 2 : rows * 4 <= accumulators ? 1 : 0;
    for (size_t v = 0; v < total;) {
        while ((size_t)2 << size > total - v) size--;
        const char *columns = b + v / panel_vectors * panel_stride + v % panel_vectors * LANES * 4;
        products[rows][size][layout][type](steps, a, columns, panel_stride, c + v * LANES, c_stride, initial);
        v += (size_t)2 << size;
    }
}

// Packs a row of k values as the units at units[0], units[rows], units[2 * rows], ...
static void pack_row(const float *x, size_t k, enum vireo_type type, void *packed, size_t rows) {
    if (type == vireo_type_f32) {
        float *units = packed;
        for (size_t i = 0; i < k; i++) units[i * rows] = x[i];
        return;
    }
    bf16_unit *units = packed;
    for (size_t i = 0; i < k; i += 2 * LANES) {
        size_t left = k - i, pairs = left < 2 * LANES ? (left + 1) / 2 : LANES;
        vfloat first = load_some(x + i, left < LANES ? left : LANES, 0);
        vfloat second =
            left <= LANES ? all(0) : load_some(x + i + LANES, left < 2 * LANES ? left - LANES : LANES, 0);
#if HAS_DOT
        vhalf halves[2] = {
            __builtin_convertvector(round_to_bf16(first) >> 16, vhalf),
            __builtin_convertvector(round_to_bf16(second) >> 16, vhalf),
        };
#else
        vuint halves[2] = {round_to_bf16(first), round_to_bf16(second)};
#endif
        bf16_unit chunk[LANES];
        memcpy(chunk, halves, sizeof chunk);
        for (size_t pair = 0; pair < pairs; pair++) units[(i / 2 + pair) * rows] = chunk[pair];
    }
}

static void pack_block(
    const float *x, size_t stride, size_t rows, size_t k, enum vireo_type type, void *packed) {
    if (type >= vireo_type_int8) {
        for (size_t row = 0; row < rows; row++) pack_bytes(x + row * stride, k, type, packed, rows, row);
        return;
    }
    size_t unit = type == vireo_type_f32 ? 4 : sizeof(bf16_unit);
    for (size_t row = 0; row < rows; row++)
        pack_row(x + row * stride, k, type, (char *)packed + row * unit, rows);
}
