// IEEE half precision without hardware, so that every level agrees.
#ifndef VIREO_HALF_H
#define VIREO_HALF_H

#include <stdint.h>
#include <string.h>

static inline __attribute__((always_inline)) float float_of_half(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, rest = (uint32_t)(half & 0x7fff) << 13;
    float value;
    if ((half & 0x7c00) == 0x7c00) {
        rest |= 0x7f800000;  // infinity or NaN
        memcpy(&value, &rest, 4);
    } else {
        memcpy(&value, &rest, 4);
        value *= 0x1p112f;  // moves the exponent's bias from 15 to 127, subnormals included
    }
    uint32_t bits;
    memcpy(&bits, &value, 4);
    bits |= sign;
    memcpy(&value, &bits, 4);
    return value;
}

static inline __attribute__((always_inline)) uint16_t half_of_float(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    bits &= 0x7fffffff;
    if (bits > 0x7f800000) return sign | 0x7e00;
    if (bits >= 0x477ff000) return sign | 0x7c00;  // rounds to infinity
    if (bits < 0x38800000) {
        // Subnormal: adding 0.5 leaves the rounded multiple of 2^-24 in the lowest bits.
        float size;
        memcpy(&size, &bits, 4);
        size += 0.5f;
        memcpy(&bits, &size, 4);
        return sign | (uint16_t)(bits - 0x3f000000);
    }
    bits += 0xfff + (bits >> 13 & 1);
    return sign | (uint16_t)((bits - 0x38000000) >> 13);
}

#endif
