// Vectors of LANES floats and what is computed on them.

typedef float vfloat __attribute__((vector_size(LANES * 4)));
typedef int32_t vint __attribute__((vector_size(LANES * 4)));
typedef uint32_t vuint __attribute__((vector_size(LANES * 4)));
typedef uint16_t vhalf __attribute__((vector_size(LANES * 2)));

#define INLINE static inline __attribute__((always_inline))

INLINE vfloat load(const float *x) {
    vfloat v;
    memcpy(&v, x, sizeof v);
    return v;
}

INLINE void store(float *x, vfloat v) { memcpy(x, &v, sizeof v); }

INLINE vuint load_words(const void *x) {
    vuint v;
    memcpy(&v, x, sizeof v);
    return v;
}

// The first `count` of LANES values, the others `rest`.
INLINE vfloat load_some(const float *x, size_t count, float rest) {
    vfloat v = rest - (vfloat){};
    memcpy(&v, x, count * 4);
    return v;
}

INLINE void store_some(float *x, vfloat v, size_t count) { memcpy(x, &v, count * 4); }

INLINE vfloat all(float x) { return x - (vfloat){}; }

// a * b + c
INLINE vfloat multiply_add(vfloat a, vfloat b, vfloat c) {
#if HAS_FMA
    return __builtin_elementwise_fma(a, b, c);
#else
    return a * b + c;
#endif
}

INLINE vfloat choose(vint mask, vfloat yes, vfloat no) {
    return (vfloat)(((vint)yes & mask) | ((vint)no & ~mask));
}

INLINE vfloat larger(vfloat a, vfloat b) { return choose(a > b, a, b); }

// Lanes are added in halves, always in the same order.
INLINE float sum_lanes(vfloat v) {
    float x[LANES];
    memcpy(x, &v, sizeof v);
    for (int width = LANES / 2; width > 0; width /= 2) {
        for (int lane = 0; lane < width; lane++) x[lane] += x[lane + width];
    }
    return x[0];
}

INLINE float largest_lane(vfloat v) {
    float x[LANES];
    memcpy(x, &v, sizeof v);
    for (int width = LANES / 2; width > 0; width /= 2) {
        for (int lane = 0; lane < width; lane++)
            x[lane] = x[lane] > x[lane + width] ? x[lane] : x[lane + width];
    }
    return x[0];
}

// exp(x) = 2^n * exp(r), n = round(x / ln 2), |r| <= ln 2 / 2; exactly 1 at 0, 0 below -87.3, NaN of NaN.
INLINE vfloat exponential(vfloat x) {
    const float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
    vint none = x < -87.3f;
    x = choose(x > 88.3f, all(88.3f), x);
    x = choose(none, all(0.0f), x);
    vfloat shifted = multiply_add(x, all(1.44269504f), all(magic));
    vfloat n = shifted - magic;
    vfloat r = multiply_add(n, all(-0.693359375f), x);
    r = multiply_add(n, all(2.12194440e-4f), r);
    vfloat p = all(1.9875691500e-4f);
    p = multiply_add(p, r, all(1.3981999507e-3f));
    p = multiply_add(p, r, all(8.3334519073e-3f));
    p = multiply_add(p, r, all(4.1665795894e-2f));
    p = multiply_add(p, r, all(1.6666665459e-1f));
    p = multiply_add(p, r, all(5.0000001201e-1f));
    p = multiply_add(p * r, r, r) + 1.0f;
    vint power = ((vint)shifted << 23) + (127 << 23);
    return choose(none, all(0.0f), p * (vfloat)power);
}

// The GELU by a tanh: 1 + tanh(u) = 2 / (1 + exp(-2 u)).
INLINE vfloat tanh_gelu(vfloat v) {
    return v / (1.0f + exponential(-1.5957691f * multiply_add(0.044715f * v * v, v, v)));
}

// x * (1 + erf(x / sqrt 2)) / 2, erfc by Abramowitz and Stegun 7.1.26, which is good to 1.5e-7.
INLINE vfloat gelu(vfloat x) {
    vfloat size = choose(x < 0.0f, -x, x) * 0.70710678f;
    vfloat t = 1.0f / multiply_add(size, all(0.3275911f), all(1.0f));
    vfloat p = all(1.061405429f);
    p = multiply_add(p, t, all(-1.453152027f));
    p = multiply_add(p, t, all(1.421413741f));
    p = multiply_add(p, t, all(-0.284496736f));
    p = multiply_add(p, t, all(0.254829592f));
    vfloat tail = 0.5f * p * t * exponential(-size * size);  // erfc(|x| / sqrt 2) / 2
    return x * choose(x < 0.0f, tail, 1.0f - tail);
}

// The nearest bf16, ties to even, in the upper half of each word; NaN stays NaN.
INLINE vuint round_to_bf16(vfloat x) {
    vuint bits = (vuint)x;
    vuint rounded = (bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000;
    vuint nan = (vuint)(x != x);
    return (nan & 0x7fc00000) | (~nan & rounded);
}
