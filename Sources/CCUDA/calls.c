#include "CCUDA.h"

#include <string.h>

// CUlaunchAttribute and CUlaunchConfig of cuda.h.
typedef struct {
    int id;
    char pad[4];
    union {
        char pad[64];
        int programmatic_serialization;
    } value;
} launch_attribute;

typedef struct {
    unsigned grid[3], block[3], shared;
    void *stream;
    launch_attribute *attributes;
    unsigned attribute_count;
} launch_config;

enum { programmatic_stream_serialization = 6, most_parameters = 40 };

int vireo_launch(const vireo_driver *driver, void *function, const unsigned grid[3], unsigned block, unsigned shared,
                 void *stream, const uint64_t *slots, int count, int overlaps) {
    if (count > most_parameters) return 1;
    void *parameters[most_parameters];
    for (int i = 0; i < count; i++) parameters[i] = (void *)&slots[i];
    launch_attribute attribute = {.id = programmatic_stream_serialization};
    attribute.value.programmatic_serialization = 1;
    launch_config config = {
        .grid = {grid[0], grid[1], grid[2]},
        .block = {block, 1, 1},
        .shared = shared,
        .stream = stream,
        .attributes = &attribute,
        .attribute_count = overlaps ? 1 : 0,
    };
    return driver->launch(&config, function, parameters, 0);
}

// Numbers of cublasLt.h, cublas_api.h and library_types.h.
enum {
    type_f32 = 0,
    type_bf16 = 14,
    compute_f32 = 68,
    transposed = 1,
    product_transposes_a = 3,
    product_epilogue = 7,
    product_bias = 8,
    product_bias_type = 26,
    epilogue_bias = 4,
    preference_workspace = 1,
};

// cublasLtMatmulHeuristicResult_t.
typedef struct {
    uint64_t algorithm[vireo_algorithm_words];
    size_t workspace_bytes;
    int state;
    float waves;
    int reserved[4];
} heuristic_result;

// The library counts columns first: out is its D [N, T], w its A [K, N] transposed, x its B [K, T].
typedef struct {
    void *product, *a, *b, *d;
} descriptors;

static void release(const vireo_blas *blas, descriptors *all) {
    if (all->product) blas->destroy_product(all->product);
    if (all->a) blas->destroy_layout(all->a);
    if (all->b) blas->destroy_layout(all->b);
    if (all->d) blas->destroy_layout(all->d);
}

static int describe(const vireo_blas *blas, const vireo_matmul_shape *shape, vireo_address bias, descriptors *all) {
    memset(all, 0, sizeof *all);
    int out_type = shape->out_is_f32 ? type_f32 : type_bf16;
    int transposes = transposed, epilogue = epilogue_bias;
    int error = blas->create_product(&all->product, compute_f32, type_f32);
    error = error ? error : blas->set_product(all->product, product_transposes_a, &transposes, sizeof transposes);
    error = error ? error : blas->create_layout(&all->a, type_bf16, shape->inputs, shape->outputs, shape->inputs);
    error = error ? error : blas->create_layout(&all->b, type_bf16, shape->inputs, shape->rows, shape->inputs);
    error = error ? error : blas->create_layout(&all->d, out_type, shape->outputs, shape->rows, shape->outputs);
    if (!error && shape->has_bias) {
        error = blas->set_product(all->product, product_epilogue, &epilogue, sizeof epilogue);
        error = error ? error : blas->set_product(all->product, product_bias_type, &out_type, sizeof out_type);
        error = error ? error : blas->set_product(all->product, product_bias, &bias, sizeof bias);
    }
    return error;
}

int vireo_matmul_choices(const vireo_blas *blas, void *handle, const vireo_matmul_shape *shape, size_t workspace_bytes,
                         vireo_matmul_choice *choices, int wanted) {
    heuristic_result results[16];
    if (wanted > 16) wanted = 16;
    descriptors all;
    void *preference = 0;
    int found = 0;
    int error = describe(blas, shape, 256, &all);
    error = error ? error : blas->create_preference(&preference);
    error = error ? error
                  : blas->set_preference(preference, preference_workspace, &workspace_bytes, sizeof workspace_bytes);
    error = error ? error
                  : blas->heuristic(handle, all.product, all.a, all.b, all.d, all.d, preference, wanted, results, &found);
    if (preference) blas->destroy_preference(preference);
    release(blas, &all);
    if (error) return 0;
    int count = 0;
    for (int i = 0; i < found; i++) {
        if (results[i].state) continue;
        memcpy(choices[count].algorithm, results[i].algorithm, sizeof choices[count].algorithm);
        choices[count++].workspace_bytes = results[i].workspace_bytes;
    }
    return count;
}

int vireo_matmul(const vireo_blas *blas, void *handle, const vireo_matmul_shape *shape, const vireo_matmul_choice *choice,
                 vireo_address x, vireo_address w, vireo_address bias, vireo_address out, vireo_address workspace,
                 size_t workspace_bytes, void *stream) {
    descriptors all;
    float one = 1, beta = shape->adds ? 1 : 0;
    int error = describe(blas, shape, bias, &all);
    error = error ? error
                  : blas->multiply(handle, all.product, &one, (void *)w, all.a, (void *)x, all.b, &beta, (void *)out, all.d,
                                   (void *)out, all.d, choice->algorithm, (void *)workspace, workspace_bytes, stream);
    release(blas, &all);
    return error;
}
