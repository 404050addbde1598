// What Vireo uses of the CUDA driver, NVRTC, cuBLASLt and NCCL: their functions by pointer, since they are found at run time,
// and the few calls that are awkward outside C. Nothing here needs CUDA to build.
// Names and numbers follow NVIDIA's headers: cuda.h, nvrtc.h and cublasLt.h of CUDA 13.
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef uint64_t vireo_address;  // CUdeviceptr

// The driver. All functions answer 0 or an error that `error_text` describes.
typedef struct {
    int (*init)(unsigned flags);
    int (*driver_version)(int *version);
    int (*device_count)(int *count);
    int (*device)(int *device, int ordinal);
    int (*device_name)(char *name, int length, int device);
    int (*device_attribute)(int *value, int attribute, int device);
    int (*retain_context)(void **context, int device);
    int (*set_context)(void *context);
    int (*memory_info)(size_t *free, size_t *total);
    int (*allocate)(vireo_address *address, size_t bytes);
    int (*free)(vireo_address address);
    int (*allocate_host)(void **pointer, size_t bytes, unsigned flags);
    int (*free_host)(void *pointer);
    int (*copy_in)(vireo_address target, const void *source, size_t bytes, void *stream);
    int (*copy_out)(void *target, vireo_address source, size_t bytes, void *stream);
    int (*copy)(vireo_address target, vireo_address source, size_t bytes, void *stream);
    int (*fill)(vireo_address target, unsigned char value, size_t bytes, void *stream);
    int (*create_stream)(void **stream, unsigned flags);
    int (*destroy_stream)(void *stream);
    int (*synchronize)(void *stream);
    int (*create_event)(void **event, unsigned flags);
    int (*destroy_event)(void *event);
    int (*record)(void *event, void *stream);
    int (*wait_event)(void *event);
    int (*elapsed)(float *milliseconds, void *start, void *end);
    int (*load_module)(void **module, const void *image);
    int (*module_function)(void **function, void *module, const char *name);
    int (*set_function_attribute)(void *function, int attribute, int value);
    int (*occupancy)(int *blocks, void *function, int threads, size_t shared);
    int (*launch)(const void *config, void *function, void **parameters, void **extra);
    int (*begin_capture)(void *stream, int mode);
    int (*end_capture)(void *stream, void **graph);
    int (*instantiate)(void **executable, void *graph, unsigned long long flags);
    int (*launch_graph)(void *executable, void *stream);
    int (*destroy_graph)(void *graph);
    int (*destroy_executable)(void *executable);
    int (*error_text)(int error, const char **text);
    int (*can_access_peer)(int *can, int device, int peer);
    int (*enable_peer)(void *context, unsigned flags);
} vireo_driver;

// The run-time compiler. All functions answer 0 or an error that `error_text` describes.
typedef struct {
    int (*version)(int *major, int *minor);
    int (*create)(void **program, const char *source, const char *name, int headers, const char *const *texts,
                  const char *const *names);
    int (*destroy)(void **program);
    int (*compile)(void *program, int count, const char *const *options);
    int (*code_size)(void *program, size_t *size);
    int (*code)(void *program, char *code);
    int (*log_size)(void *program, size_t *size);
    int (*log)(void *program, char *log);
    const char *(*error_text)(int error);
} vireo_compiler;

// Products. All functions answer 0 or an error.
typedef struct {
    int (*create)(void **handle);
    size_t (*version)(void);
    int (*multiply)(void *handle, void *product, const void *alpha, const void *a, void *a_layout, const void *b,
                    void *b_layout, const void *beta, const void *c, void *c_layout, void *d, void *d_layout,
                    const void *algorithm, void *workspace, size_t workspace_bytes, void *stream);
    int (*create_product)(void **product, int compute_type, int scale_type);
    int (*destroy_product)(void *product);
    int (*set_product)(void *product, int attribute, const void *value, size_t bytes);
    int (*create_layout)(void **layout, int type, uint64_t rows, uint64_t columns, int64_t stride);
    int (*destroy_layout)(void *layout);
    int (*create_preference)(void **preference);
    int (*destroy_preference)(void *preference);
    int (*set_preference)(void *preference, int attribute, const void *value, size_t bytes);
    int (*heuristic)(void *handle, void *product, void *a, void *b, void *c, void *d, void *preference, int wanted,
                     void *results, int *found);
} vireo_blas;

// NCCL, the library of exchanges between GPUs: nccl.h of version 2. All functions answer 0 or an error that `error_text`
// describes. Numbers of types: u32 3, f32 7; of operations: sum 0.
typedef struct {
    char bytes[128];
} vireo_nccl_id;

typedef struct {
    int (*version)(int *version);
    int (*make_id)(vireo_nccl_id *id);
    int (*join)(void **communicator, int count, vireo_nccl_id id, int rank);
    int (*start_group)(void);
    int (*end_group)(void);
    int (*all_reduce)(const void *source, void *target, size_t count, int type, int operation, void *communicator,
                      void *stream);
    int (*abort)(void *communicator);
    const char *(*error_text)(int error);
} vireo_nccl;

// Fill a table from a library opened with dlopen; answer null, or the name of the first function that is missing.
const char *vireo_find_driver(void *library, vireo_driver *table);
const char *vireo_find_compiler(void *library, vireo_compiler *table);
const char *vireo_find_blas(void *library, vireo_blas *table);
const char *vireo_find_nccl(void *library, vireo_nccl *table);

// Launches `function`; each parameter lies in the low bytes of one of `count` slots. With `overlaps` the kernel may begin
// before its predecessor has ended (programmatic dependent launch).
int vireo_launch(const vireo_driver *driver, void *function, const unsigned grid[3], unsigned block, unsigned shared,
                 void *stream, const uint64_t *slots, int count, int overlaps);

// D = A · Bᵀ in row-major terms: out[t, n] = Σₖ x[t, k] · w[n, k] (+ bias[n]) (+ out[t, n]).
typedef struct {
    int64_t rows, outputs, inputs;  // T, N, K
    int out_is_f32;                 // else bf16, like x and w
    int has_bias;                   // [N], of the type of out
    int adds;                       // to what is in out
} vireo_matmul_shape;

enum { vireo_algorithm_words = 8 };

// An algorithm and what it needs. `choices` of them are answered, best guess first.
typedef struct {
    uint64_t algorithm[vireo_algorithm_words];
    size_t workspace_bytes;
} vireo_matmul_choice;

// The library's guesses for a shape; answers how many, at most `wanted` (≤ 16); 0 when there is none.
int vireo_matmul_choices(const vireo_blas *blas, void *handle, const vireo_matmul_shape *shape, size_t workspace_bytes,
                         vireo_matmul_choice *choices, int wanted);
// Enqueues the product by `choice`.
int vireo_matmul(const vireo_blas *blas, void *handle, const vireo_matmul_shape *shape, const vireo_matmul_choice *choice,
                 vireo_address x, vireo_address w, vireo_address bias, vireo_address out, vireo_address workspace,
                 size_t workspace_bytes, void *stream);

// The kernels' sources, by name without ending; null for an unknown one. Ends with a zero byte.
const char *vireo_kernel_source(const char *name);
