/* The two passes of resizing with 256-bit vectors, the same bytes as the portable loops.
   A weight is cut into two halves that fit 16 bits, so that one instruction multiplies sixteen samples and adds them in
   pairs: sum = (sum of sample * high << 11) + sum of sample * low, exactly, for sums wrap as in the portable loops. */

#include "resize.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#define WIDE __attribute__((target("avx2")))

/* Four sums to bytes: round, shift, clip. */
WIDE static inline int narrow(__m128i sums) {
    sums = _mm_srai_epi32(_mm_add_epi32(sums, _mm_set1_epi32(VIREO_HALF)), VIREO_WEIGHT_BITS);
    sums = _mm_packs_epi32(sums, sums);
    return _mm_cvtsi128_si32(_mm_packus_epi16(sums, sums));
}

/* Adds the pairs of one pixel: the lower lane holds red, red, green, green and the upper one blue, blue. */
WIDE static inline int pixel(__m256i low, __m256i high) {
    __m256i sums = _mm256_add_epi32(low, _mm256_slli_epi32(high, VIREO_LOW_BITS));
    return narrow(_mm_hadd_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1)));
}

/* Four pixels (12 of 16 bytes read) as 16-bit samples: red 0-3 and green 0-3 below, blue 0-3 above. */
WIDE static inline __m256i four_pixels(const uint8_t *from) {
    const __m256i order = _mm256_setr_epi8(0, -1, 3, -1, 6, -1, 9, -1, 1, -1, 4, -1, 7, -1, 10, -1,
                                           2, -1, 5, -1, 8, -1, 11, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)from)), order);
}

WIDE static inline __m256i four_weights(const int16_t *from) {
    int64_t weights;
    memcpy(&weights, from, sizeof weights);
    return _mm256_set1_epi64x(weights);
}

static inline void store_pixel(uint8_t *out, int pixel) {
    out[0] = (uint8_t)pixel;
    out[1] = (uint8_t)(pixel >> 8);
    out[2] = (uint8_t)(pixel >> 16);
}

enum { together = 4 }; /* rows that share a load of the weights */

WIDE static void four_rows(const uint8_t *source, size_t stride, uint8_t *out, size_t out_width,
                           const vireo_taps *taps) {
    for (size_t x = 0; x < out_width; x++) {
        const uint8_t *from = source + taps->first[x] * 3;
        const int16_t *low = taps->low + x * taps->width, *high = taps->high + x * taps->width;
        __m256i a0 = _mm256_setzero_si256(), a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0;
        for (size_t k = 0; k < taps->count[x]; k += 4, from += 12) {
            __m256i l = four_weights(low + k), h = four_weights(high + k);
            __m256i a = four_pixels(from), b = four_pixels(from + stride);
            __m256i c = four_pixels(from + 2 * stride), d = four_pixels(from + 3 * stride);
            a0 = _mm256_add_epi32(a0, _mm256_madd_epi16(a, l));
            a1 = _mm256_add_epi32(a1, _mm256_madd_epi16(a, h));
            b0 = _mm256_add_epi32(b0, _mm256_madd_epi16(b, l));
            b1 = _mm256_add_epi32(b1, _mm256_madd_epi16(b, h));
            c0 = _mm256_add_epi32(c0, _mm256_madd_epi16(c, l));
            c1 = _mm256_add_epi32(c1, _mm256_madd_epi16(c, h));
            d0 = _mm256_add_epi32(d0, _mm256_madd_epi16(d, l));
            d1 = _mm256_add_epi32(d1, _mm256_madd_epi16(d, h));
        }
        store_pixel(out + x * 3, pixel(a0, a1));
        store_pixel(out + (out_width + x) * 3, pixel(b0, b1));
        store_pixel(out + (2 * out_width + x) * 3, pixel(c0, c1));
        store_pixel(out + (3 * out_width + x) * 3, pixel(d0, d1));
    }
}

void vireo_resize_rows_avx2(const uint8_t *source, size_t width, size_t rows, uint8_t *out, size_t out_width,
                            const vireo_taps *taps) {
    /* A load may pass the end of its row by 13 bytes (3 pixels with no weight and 4 bytes unused), so a row of 16
       bytes or more must follow the last of the four. */
    size_t y = 0;
    if (width * 3 >= 16)
        for (; y + together < rows; y += together)
            four_rows(source + y * width * 3, width * 3, out + y * out_width * 3, out_width, taps);
    vireo_resize_rows(source + y * width * 3, width, rows - y, out + y * out_width * 3, out_width, taps);
}

/* Sixteen bytes of two rows as pairs of 16-bit samples: columns 0-7 and 8-15. */
WIDE static inline void two_rows(const uint8_t *upper, const uint8_t *lower, __m256i *left, __m256i *right) {
    __m128i a = _mm_loadu_si128((const __m128i *)upper), b = _mm_loadu_si128((const __m128i *)lower);
    *left = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a, b));
    *right = _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(a, b));
}

WIDE static inline __m256i two_weights(const int16_t *from) {
    int32_t weights;
    memcpy(&weights, from, sizeof weights);
    return _mm256_set1_epi32(weights);
}

/* Sixteen sums to sixteen bytes. */
WIDE static inline void store_sums(uint8_t *out, __m256i left_low, __m256i left_high, __m256i right_low,
                                   __m256i right_high) {
    const __m256i half = _mm256_set1_epi32(VIREO_HALF);
    __m256i left = _mm256_add_epi32(left_low, _mm256_slli_epi32(left_high, VIREO_LOW_BITS));
    __m256i right = _mm256_add_epi32(right_low, _mm256_slli_epi32(right_high, VIREO_LOW_BITS));
    left = _mm256_srai_epi32(_mm256_add_epi32(left, half), VIREO_WEIGHT_BITS);
    right = _mm256_srai_epi32(_mm256_add_epi32(right, half), VIREO_WEIGHT_BITS);
    __m256i packed = _mm256_permute4x64_epi64(_mm256_packs_epi32(left, right), 0xd8);
    _mm_storeu_si128((__m128i *)out, _mm_packus_epi16(_mm256_castsi256_si128(packed),
                                                      _mm256_extracti128_si256(packed, 1)));
}

WIDE void vireo_resize_columns_avx2(const uint8_t *source, size_t stride, uint8_t *out, size_t out_height,
                                    const vireo_taps *taps) {
    for (size_t y = 0; y < out_height; y++) {
        const uint8_t *from = source + taps->first[y] * stride;
        const int16_t *low = taps->low + y * taps->width, *high = taps->high + y * taps->width;
        size_t count = taps->count[y];
        for (size_t x = 0; x + 16 <= stride; x += 16) {
            __m256i a0 = _mm256_setzero_si256(), a1 = a0, b0 = a0, b1 = a0, left, right;
            for (size_t k = 0; k < count; k += 2) {
                const uint8_t *upper = from + k * stride + x;
                /* An odd last row is paired with itself: its partner's weight is zero. */
                two_rows(upper, k + 1 < count ? upper + stride : upper, &left, &right);
                __m256i l = two_weights(low + k), h = two_weights(high + k);
                a0 = _mm256_add_epi32(a0, _mm256_madd_epi16(left, l));
                a1 = _mm256_add_epi32(a1, _mm256_madd_epi16(left, h));
                b0 = _mm256_add_epi32(b0, _mm256_madd_epi16(right, l));
                b1 = _mm256_add_epi32(b1, _mm256_madd_epi16(right, h));
            }
            store_sums(out + y * stride + x, a0, a1, b0, b1);
        }
    }
    if (stride % 16) vireo_resize_columns(source, stride, stride & ~(size_t)15, out, out_height, taps);
}

#else

void vireo_resize_rows_avx2(const uint8_t *source, size_t width, size_t rows, uint8_t *out, size_t out_width,
                            const vireo_taps *taps) {
    vireo_resize_rows(source, width, rows, out, out_width, taps);
}

void vireo_resize_columns_avx2(const uint8_t *source, size_t stride, uint8_t *out, size_t out_height,
                               const vireo_taps *taps) {
    vireo_resize_columns(source, stride, 0, out, out_height, taps);
}

#endif
