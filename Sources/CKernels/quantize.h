// How floats become whole numbers: the nearest multiples of the largest size over `most`, ties to even.
#ifndef VIREO_QUANTIZE_H
#define VIREO_QUANTIZE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Adding it rounds to a whole number, which the lowest bits then are, above those of the constant itself.
static const float rounding_magic = 12582912.0f;  // 1.5 * 2^23
static const int32_t rounding_bits = 0x4b400000;

struct steps {
    float size;      // of a step; NaN where a value is not finite
    float per_unit;  // steps in one; zero where all values are (next to) zero or one is not finite
};

// For values of which `largest` has the bits of the largest size; compared as bits NaN is above all.
static inline struct steps steps_of(uint32_t largest, float most) {
    float size;
    memcpy(&size, &largest, 4);
    if (largest >= 0x7f800000) return (struct steps){size - size, 0};
    if (size < 0x1p-100f) return (struct steps){0, 0};
    return (struct steps){size / most, most / size};
}

// The nearest whole number of steps in a value.
static inline int32_t steps_in(float value, struct steps steps) {
    value = steps.per_unit == 0 ? 0 : value * steps.per_unit;
    value = value + rounding_magic;
    int32_t bits;
    memcpy(&bits, &value, 4);
    return bits - rounding_bits;
}

// The bits of the largest size among values.
static inline uint32_t largest_size(const float *values, size_t count) {
    uint32_t largest = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t size;
        memcpy(&size, &values[i], 4);
        size &= 0x7fffffff;
        largest = size > largest ? size : largest;
    }
    return largest;
}

#endif
