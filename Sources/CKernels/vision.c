#include <string.h>

#include "kernels.h"
#include "pool.h"

static void patch_rows(void *context, size_t begin, size_t end) {
    const struct vireo_patch_call *call = context;
    size_t side = call->size / call->patch, patch = call->patch;
    for (size_t row = begin; row < end; row++) {
        size_t tile = row / (side * side), p = row % (side * side);
        const uint8_t *corner =
            call->tiles + ((tile * call->size + p / side * patch) * call->size + p % side * patch) * 3;
        float *out = call->out + row * 3 * patch * patch;
        for (size_t channel = 0; channel < 3; channel++) {
            const float *table = call->table + channel * 256;
            for (size_t y = 0; y < patch; y++) {
                const uint8_t *pixel = corner + y * call->size * 3 + channel;
                for (size_t x = 0; x < patch; x++) *out++ = table[pixel[x * 3]];
            }
        }
    }
}

void vireo_patch_rows(vireo_pool *pool, const struct vireo_patch_call *call) {
    size_t side = call->size / call->patch;
    struct vireo_patch_call copy = *call;
    vireo_parallel(pool, call->count * side * side, 16, patch_rows, &copy);
}

struct vision {
    const struct vireo_kernels *kernels;
    const float *x, *class_token, *positions;
    size_t side, patches, columns;
    float *out;
};

static void add_positions(void *context, size_t begin, size_t end) {
    struct vision *v = context;
    for (size_t row = begin; row < end; row++) {
        size_t tile = row / (1 + v->patches), place = row % (1 + v->patches);
        const float *x = place ? v->x + (tile * v->patches + place - 1) * v->columns : v->class_token;
        v->kernels->add(x, v->positions + place * v->columns, v->columns, v->out + row * v->columns);
    }
}

void vireo_add_positions(
    vireo_pool *pool, const float *patches, const float *class_token, const float *positions, size_t count,
    size_t patch_count, size_t columns, float *out) {
    struct vision v = {
        .kernels = vireo_pool_kernels(pool),
        .x = patches,
        .class_token = class_token,
        .positions = positions,
        .patches = patch_count,
        .columns = columns,
        .out = out,
    };
    vireo_parallel(pool, count * (1 + patch_count), 16, add_positions, &v);
}

static void pixel_shuffle(void *context, size_t begin, size_t end) {
    struct vision *v = context;
    size_t half = v->side / 2, columns = v->columns;
    for (size_t row = begin; row < end; row++) {
        size_t tile = row / (half * half), i = row % (half * half) / half, j = row % half;
        const float *x = v->x + (tile * (1 + v->side * v->side) + 1 + 2 * i * v->side + 2 * j) * columns;
        float *out = v->out + row * 4 * columns;
        memcpy(out, x, 2 * columns * sizeof(float));
        memcpy(out + 2 * columns, x + v->side * columns, 2 * columns * sizeof(float));
    }
}

void vireo_pixel_shuffle(
    vireo_pool *pool, const float *x, size_t count, size_t side, size_t columns, float *out) {
    struct vision v = {.x = x, .side = side, .columns = columns, .out = out};
    vireo_parallel(pool, count * (side / 2) * (side / 2), 4, pixel_shuffle, &v);
}
