#include "state.h"

#include <stdlib.h>
#include <string.h>

// Numbers of cublasLt.h.
enum { bias_attribute = 8, result_bytes = 96, algorithm_bytes = 64 };

typedef struct {
    uint64_t rows, columns;
    int type;
} layout;

typedef struct {
    uint64_t bias;
} product;

static int create(void **handle) {
    ENTER_IN_CONTEXT("blas.create");
    *handle = handle;
    return 0;
}

static size_t version(void) { return 130000; }

static int create_product(void **made, int compute_type, int scale_type) {
    (void)compute_type, (void)scale_type;
    ENTER("blas.create_product");
    *made = calloc(1, sizeof(product));
    return 0;
}

static int set_product(void *pointer, int attribute, const void *value, size_t bytes) {
    ENTER("blas.set_product");
    if (attribute == bias_attribute) memcpy(&((product *)pointer)->bias, value, bytes);
    return 0;
}

static int create_layout(void **made, int type, uint64_t rows, uint64_t columns, int64_t stride) {
    ENTER("blas.create_layout");
    if ((uint64_t)stride < rows) return invalid_value;
    layout *result = malloc(sizeof *result);
    *result = (layout){rows, columns, type};
    *made = result;
    return 0;
}

static int destroy(void *pointer) {
    free(pointer);
    return 0;
}

static int create_preference(void **made) {
    ENTER("blas.create_preference");
    *made = malloc(1);
    return 0;
}

static int set_preference(void *pointer, int attribute, const void *value, size_t bytes) {
    (void)pointer, (void)attribute, (void)value, (void)bytes;
    ENTER("blas.set_preference");
    return 0;
}

// Algorithms named by the rows they were asked for, numbered in the upper half: as many as wanted, at most three.
static int heuristic(void *handle, void *p, void *a, void *b, void *c, void *d, void *preference, int wanted, void *results,
                     int *found) {
    (void)handle, (void)p, (void)a, (void)c, (void)d, (void)preference;
    ENTER("blas.heuristic");
    *found = wanted < 3 ? wanted : 3;
    memset(results, 0, result_bytes * (size_t)*found);
    for (uint64_t i = 0; i < (uint64_t)*found; i++) {
        uint64_t name = ((layout *)b)->columns | i << 32;
        memcpy((char *)results + result_bytes * i, &name, 8);
    }
    return 0;
}

static int multiply(void *handle, void *pointer, const void *alpha, const void *w, void *w_layout, const void *x,
                    void *x_layout, const void *beta, const void *c, void *c_layout, void *out, void *out_layout,
                    const void *algorithm, void *workspace, size_t workspace_bytes, void *stream) {
    (void)handle, (void)alpha, (void)c, (void)c_layout, (void)workspace, (void)workspace_bytes;
    ENTER_IN_CONTEXT("blas.multiply");
    const layout *a = w_layout, *b = x_layout, *d = out_layout;
    if (a->rows != b->rows || d->rows != a->columns || d->columns != b->columns) return invalid_value;
    record made = {.name = "multiply",
                   .launch = {.grid = {(unsigned)d->rows, (unsigned)d->columns, (unsigned)a->rows},
                              .block = 1,
                              .parameter_count = 7}};
    float factor;
    memcpy(&factor, beta, sizeof factor);
    uint64_t word;
    memcpy(&word, algorithm, sizeof word);
    uint64_t parameters[] = {((product *)pointer)->bias, (uint64_t)x, (uint64_t)w, (uint64_t)out, (uint64_t)factor,
                             (uint64_t)d->type, word};
    memcpy(made.parameters, parameters, sizeof parameters);
    return stand_in_enqueue(stream, (operation){.kind = LAUNCH, .record = made});
}

vireo_blas stand_in_blas(void) {
    return (vireo_blas){create, version, multiply, create_product, destroy, set_product, create_layout, destroy,
                        create_preference, destroy, set_preference, heuristic};
}
