// Kernels of one row.

// Runs `body` for whole vectors at i, then for the `some` values that are left.
#define FOR_VECTORS(count, whole, rest)                                                                      \
    do {                                                                                                     \
        size_t i = 0;                                                                                        \
        for (; i + LANES <= (count); i += LANES) {                                                           \
            whole;                                                                                           \
        }                                                                                                    \
        if (i < (count)) {                                                                                   \
            size_t some = (count) - i;                                                                       \
            rest;                                                                                            \
        }                                                                                                    \
    } while (0)

INLINE float sum(const float *x, size_t count) {
    vfloat total = {};
    FOR_VECTORS(count, total += load(x + i), total += load_some(x + i, some, 0));
    return sum_lanes(total);
}

// Sum of (x[i] - center)^2.
INLINE float sum_squares(const float *x, size_t count, float center) {
    vfloat total = {};
    FOR_VECTORS(
        count, vfloat v = load(x + i) - center;
        total = multiply_add(v, v, total), vfloat v = load_some(x + i, some, center) - center;
        total = multiply_add(v, v, total));
    return sum_lanes(total);
}

static void rms_norm(const float *x, size_t columns, const float *weight, float epsilon, float *out) {
    float factor = 1.0f / sqrtf(sum_squares(x, columns, 0) / (float)columns + epsilon);
    FOR_VECTORS(
        columns, store(out + i, load(x + i) * factor * load(weight + i)),
        store_some(out + i, load_some(x + i, some, 0) * factor * load_some(weight + i, some, 0), some));
}

static void layer_norm(
    const float *x, size_t columns, const float *weight, const float *bias, float epsilon, float *out) {
    float mean = sum(x, columns) / (float)columns;
    float factor = 1.0f / sqrtf(sum_squares(x, columns, mean) / (float)columns + epsilon);
    FOR_VECTORS(
        columns,
        store(out + i, multiply_add((load(x + i) - mean) * factor, load(weight + i), load(bias + i))),
        vfloat v = (load_some(x + i, some, 0) - mean) * factor;
        store_some(
            out + i, multiply_add(v, load_some(weight + i, some, 0), load_some(bias + i, some, 0)), some));
}

INLINE vfloat silu(vfloat x) { return x / (1.0f + exponential(-x)); }

static void silu_multiply(const float *x, size_t columns, float *out) {
    const float *up = x + columns;
    FOR_VECTORS(
        columns, store(out + i, silu(load(x + i)) * load(up + i)),
        store_some(out + i, silu(load_some(x + i, some, 0)) * load_some(up + i, some, 0), some));
}

static void gelu_multiply(const float *x, size_t columns, float *out) {
    const float *up = x + columns;
    FOR_VECTORS(
        columns, store(out + i, tanh_gelu(load(x + i)) * load(up + i)),
        store_some(out + i, tanh_gelu(load_some(x + i, some, 0)) * load_some(up + i, some, 0), some));
}

static void rotate(const float *x, size_t half, const float *cosines, const float *sines, float *out) {
    for (size_t i = 0; i < half; i += LANES) {
        size_t some = half - i < LANES ? half - i : LANES;
        vfloat a = load_some(x + i, some, 0), b = load_some(x + half + i, some, 0);
        vfloat c = load_some(cosines + i, some, 0), s = load_some(sines + i, some, 0);
        store_some(out + i, a * c - b * s, some);
        store_some(out + half + i, b * c + a * s, some);
    }
}

static void add(const float *x, const float *y, size_t count, float *out) {
    FOR_VECTORS(
        count, store(out + i, load(x + i) + load(y + i)),
        store_some(out + i, load_some(x + i, some, 0) + load_some(y + i, some, 0), some));
}

// The first `some` of LANES values as f32, the others zero.
INLINE vfloat load_as_float(const char *x, enum vireo_type type, size_t some) {
    if (type == vireo_type_f32)
        return some == LANES ? load((const float *)x) : load_some((const float *)x, some, 0);
    vhalf halves = {};
    if (some == LANES) {
        memcpy(&halves, x, sizeof halves);
    } else {
        memcpy(&halves, x, some * 2);
    }
    if (type == vireo_type_bf16) return (vfloat)(__builtin_convertvector(halves, vuint) << 16);
    vfloat v;
    for (int lane = 0; lane < LANES; lane++) v[lane] = float_of_half(halves[lane]);
    return v;
}

static void convert(
    const void *source, enum vireo_type from, void *target, enum vireo_type to, size_t count) {
    size_t from_bytes = from == vireo_type_f32 ? 4 : 2, to_bytes = to == vireo_type_f32 ? 4 : 2;
    if (from == to) {
        memcpy(target, source, count * to_bytes);
        return;
    }
    for (size_t i = 0; i < count; i += LANES) {
        size_t some = count - i < LANES ? count - i : LANES;
        vfloat v = load_as_float((const char *)source + i * from_bytes, from, some);
        char *out = (char *)target + i * to_bytes;
        if (to == vireo_type_f32) {
            if (some == LANES) store((float *)out, v);
            else store_some((float *)out, v, some);
        } else if (to == vireo_type_bf16) {
            vhalf halves = __builtin_convertvector(round_to_bf16(v) >> 16, vhalf);
            if (some == LANES) memcpy(out, &halves, sizeof halves);
            else memcpy(out, &halves, some * 2);
        } else {
            for (size_t lane = 0; lane < some; lane++) {
                uint16_t half = half_of_float(v[lane]);
                memcpy(out + lane * 2, &half, 2);
            }
        }
    }
}
