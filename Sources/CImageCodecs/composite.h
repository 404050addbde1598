/* Laying a sample with alpha on white, with Pillow's rounding (Image.alpha_composite on an opaque background). */

#ifndef VIREO_COMPOSITE_H
#define VIREO_COMPOSITE_H

#include <stdint.h>

/* round((value * alpha + 255 * (255 - alpha)) / 255), by a sum scaled by 128 and a division by 255 made of shifts. */
static inline uint8_t vireo_on_white(uint32_t value, uint32_t alpha) {
    if (alpha == 0) return 255;
    uint32_t sum = (value * alpha + 255 * (255 - alpha)) * 128 + (128 << 7);
    return (uint8_t)((((sum >> 8) + sum) >> 8) >> 7);
}

#endif
