/* Resizing with Pillow's 8-bit arithmetic: weights of 22 fractional bits, 8 bits between the two passes.
   The order of the passes is that of Pillow 13 (python-pillow #9549). */

#include "resize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double bilinear(double x) {
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

/* Keys' cubic with a = -0.5. */
static double bicubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

static double sinc(double x) {
    if (x == 0.0) return 1.0;
    x *= 3.14159265358979323846;
    return sin(x) / x;
}

/* A sinc windowed by a sinc three times as wide. */
static double lanczos(double x) {
    return -3.0 <= x && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
}

void vireo_free_taps(vireo_taps *taps) {
    free(taps->first);
    free(taps->count);
    free(taps->weights);
    free(taps->low);
    free(taps->high);
}

/* How far a filter reaches when one output pixel stands for stretch input pixels. */
static double support_of(int filter, double stretch) {
    return (filter == VIREO_BILINEAR ? 1.0 : filter == VIREO_BICUBIC ? 2.0 : 3.0) * stretch;
}

static double stretch_of(size_t in, size_t out) {
    double scale = (double)in / (double)out;
    return scale < 1.0 ? 1.0 : scale;
}

size_t vireo_resize_tap_count(size_t in, size_t out, int filter) {
    return ((size_t)ceil(support_of(filter, stretch_of(in, out))) * 2 + 1 + 3) & ~(size_t)3;
}

/* Computes the taps of an axis; 0 when an allocation failed. */
static int make_taps(size_t in, size_t out, int filter, vireo_taps *taps) {
    double (*const shape)(double) = filter == VIREO_BILINEAR ? bilinear : filter == VIREO_BICUBIC ? bicubic : lanczos;
    double scale = (double)in / (double)out, stretch = stretch_of(in, out);
    double support = support_of(filter, stretch);
    size_t width = vireo_resize_tap_count(in, out, filter);
    double *real = malloc(width * sizeof *real);
    memset(taps, 0, sizeof *taps);
    taps->width = width;
    taps->first = malloc(out * sizeof *taps->first);
    taps->count = malloc(out * sizeof *taps->count);
    taps->weights = calloc(out * width, sizeof *taps->weights);
    taps->low = calloc(out * width, sizeof *taps->low);
    taps->high = calloc(out * width, sizeof *taps->high);
    if (!real || !taps->first || !taps->count || !taps->weights || !taps->low || !taps->high) {
        free(real);
        vireo_free_taps(taps);
        return 0;
    }
    for (size_t i = 0; i < out; i++) {
        double centre = ((double)i + 0.5) * scale, unit = 1.0 / stretch, sum = 0.0;
        long first = (long)(centre - support + 0.5), end = (long)(centre + support + 0.5);
        if (first < 0) first = 0;
        if (end > (long)in) end = (long)in;
        long count = end - first;
        for (long k = 0; k < count; k++) {
            real[k] = shape(((double)(k + first) - centre + 0.5) * unit);
            sum += real[k];
        }
        taps->first[i] = (size_t)first;
        taps->count[i] = (size_t)count;
        for (long k = 0; k < count; k++) {
            double weight = sum != 0.0 ? real[k] / sum : real[k];
            int32_t fixed = (int32_t)((weight < 0 ? -0.5 : 0.5) + weight * (1 << VIREO_WEIGHT_BITS));
            taps->weights[i * width + (size_t)k] = fixed;
            taps->low[i * width + (size_t)k] = (int16_t)(fixed & ((1 << VIREO_LOW_BITS) - 1));
            taps->high[i * width + (size_t)k] = (int16_t)(fixed >> VIREO_LOW_BITS);
        }
    }
    free(real);
    return 1;
}

int vireo_resize_taps(size_t in, size_t out, int filter, int32_t *first, int32_t *count, int32_t *weights) {
    vireo_taps taps;
    if (!make_taps(in, out, filter, &taps)) return VIREO_IMAGE_NO_MEMORY;
    for (size_t i = 0; i < out; i++) {
        first[i] = (int32_t)taps.first[i];
        count[i] = (int32_t)taps.count[i];
        for (size_t k = 0; k < taps.width; k++) weights[k * out + i] = taps.weights[i * taps.width + k];
    }
    vireo_free_taps(&taps);
    return VIREO_IMAGE_OK;
}

static inline uint8_t clip(int32_t sum) {
    sum >>= VIREO_WEIGHT_BITS;
    return sum < 0 ? 0 : sum > 255 ? 255 : (uint8_t)sum;
}

/* out[y][x] = clip(half + sum of source[y][first + k] * weight[k]), rows of `width` pixels to rows of `out_width`. */
void vireo_resize_rows(const uint8_t *source, size_t width, size_t rows, uint8_t *out, size_t out_width,
                       const vireo_taps *taps) {
    for (size_t y = 0; y < rows; y++, source += width * 3) {
        for (size_t x = 0; x < out_width; x++, out += 3) {
            const uint8_t *from = source + taps->first[x] * 3;
            const int32_t *weights = taps->weights + x * taps->width;
            int32_t red = VIREO_HALF, green = VIREO_HALF, blue = VIREO_HALF;
            for (size_t k = 0; k < taps->count[x]; k++) {
                red += from[3 * k] * weights[k];
                green += from[3 * k + 1] * weights[k];
                blue += from[3 * k + 2] * weights[k];
            }
            out[0] = clip(red);
            out[1] = clip(green);
            out[2] = clip(blue);
        }
    }
}

/* The same across rows, for the bytes from `start` to `stride` of each line. */
void vireo_resize_columns(const uint8_t *source, size_t stride, size_t start, uint8_t *out, size_t out_height,
                          const vireo_taps *taps) {
    for (size_t y = 0; y < out_height; y++) {
        const uint8_t *from = source + taps->first[y] * stride;
        const int32_t *weights = taps->weights + y * taps->width;
        for (size_t x = start; x < stride; x++) {
            int32_t sum = VIREO_HALF;
            for (size_t k = 0; k < taps->count[y]; k++) sum += from[k * stride + x] * weights[k];
            out[y * stride + x] = clip(sum);
        }
    }
}

/* Which loops this machine runs. */
static int has_wide_vectors(void) {
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2");
#else
    return 0;
#endif
}

static void across(const uint8_t *source, size_t width, size_t rows, uint8_t *out, size_t out_width,
                   const vireo_taps *taps, int wide) {
    if (wide) vireo_resize_rows_avx2(source, width, rows, out, out_width, taps);
    else vireo_resize_rows(source, width, rows, out, out_width, taps);
}

static void down(const uint8_t *source, size_t stride, uint8_t *out, size_t out_height, const vireo_taps *taps,
                 int wide) {
    if (wide) vireo_resize_columns_avx2(source, stride, out, out_height, taps);
    else vireo_resize_columns(source, stride, 0, out, out_height, taps);
}

int vireo_resize_rgb8(const uint8_t *source, size_t width, size_t height,
                      uint8_t *out, size_t out_width, size_t out_height, int filter, int portable) {
    int wide = !portable && has_wide_vectors();
    if (width == out_width && height == out_height) {
        memcpy(out, source, width * height * 3);
        return VIREO_IMAGE_OK;
    }
    vireo_taps columns, rows;
    if (!make_taps(width, out_width, filter, &columns)) return VIREO_IMAGE_NO_MEMORY;
    if (!make_taps(height, out_height, filter, &rows)) {
        vireo_free_taps(&columns);
        return VIREO_IMAGE_NO_MEMORY;
    }
    int status = VIREO_IMAGE_OK;
    long lost_rows = (long)height - (long)out_height, lost_columns = (long)width - (long)out_width;
    uint8_t *between = NULL;
    if (width == out_width) {
        down(source, width * 3, out, out_height, &rows, wide);
    } else if (height == out_height) {
        across(source, width, height, out, out_width, &columns, wide);
    } else if (lost_rows > 0 && lost_rows > 2 * lost_columns) {
        between = malloc(width * out_height * 3);
        if (between) {
            down(source, width * 3, between, out_height, &rows, wide);
            across(between, width, out_height, out, out_width, &columns, wide);
        }
    } else {
        /* Only the rows the second pass reads. */
        size_t top = rows.first[0], bottom = rows.first[out_height - 1] + rows.count[out_height - 1];
        between = malloc(out_width * (bottom - top) * 3);
        if (between) {
            across(source + top * width * 3, width, bottom - top, between, out_width, &columns, wide);
            for (size_t y = 0; y < out_height; y++) rows.first[y] -= top;
            down(between, out_width * 3, out, out_height, &rows, wide);
        }
    }
    if (width != out_width && height != out_height && !between) status = VIREO_IMAGE_NO_MEMORY;
    free(between);
    vireo_free_taps(&columns);
    vireo_free_taps(&rows);
    return status;
}
