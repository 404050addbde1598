/* What the portable and the wide loops of resizing share. */

#ifndef VIREO_RESIZE_H
#define VIREO_RESIZE_H

#include "CImageCodecs.h"

/* Fractional bits of a weight, and how many of its bits go to the lower of two halves. */
enum { VIREO_WEIGHT_BITS = 22, VIREO_LOW_BITS = 11, VIREO_HALF = 1 << (VIREO_WEIGHT_BITS - 1) };

/* For every output position: which inputs count, and how much. Rows of weights are `width` long (a multiple of 4) and
   end in zeros; low and high are the weights cut in two: weight = (high << VIREO_LOW_BITS) + low. */
typedef struct {
    size_t width;
    size_t *first;
    size_t *count;
    int32_t *weights;
    int16_t *low;
    int16_t *high;
} vireo_taps;

void vireo_free_taps(vireo_taps *taps);

void vireo_resize_rows(const uint8_t *source, size_t width, size_t rows, uint8_t *out, size_t out_width,
                       const vireo_taps *taps);
void vireo_resize_columns(const uint8_t *source, size_t stride, size_t start, uint8_t *out, size_t out_height,
                          const vireo_taps *taps);
void vireo_resize_rows_avx2(const uint8_t *source, size_t width, size_t rows, uint8_t *out, size_t out_width,
                            const vireo_taps *taps);
void vireo_resize_columns_avx2(const uint8_t *source, size_t stride, uint8_t *out, size_t out_height,
                               const vireo_taps *taps);

#endif
