// A stand-in for CUDA: tables of functions that take host memory for a GPU's.
//
// It is as strict as the real one where that has found mistakes: work lies in queues until somebody waits, fresh memory holds
// rubbish, copies must stay within what was allocated, threads need a context, recording refuses what cannot be recorded, and
// launches must fit the GPU. Of kernels it runs `convert` only.
// There is one GPU a process: tests with it run one after another.
#pragma once
#include <CCUDA.h>

typedef struct {
    int driver_version, count, major, minor, processors, shared_bytes;
    size_t memory_bytes;
} stand_in_gpu;

// Forgets everything and begins with such GPUs.
void stand_in_reset(stand_in_gpu gpu);

vireo_driver stand_in_driver(void);
vireo_compiler stand_in_compiler(void);
vireo_blas stand_in_blas(void);

// Functions go by the names of their tables' members; "compiler." or "blas." stands before those of the other two.

// The next `times` calls of a function after `after` more answer `error`.
void stand_in_fail(const char *function, int error, int after, int times);
// How often a function was called.
int stand_in_calls(const char *function);

// What was compiled: name and options, separated by spaces.
int stand_in_compilation_count(void);
const char *stand_in_compilation(int index);

// A kernel that ran, or a product by the name "multiply": its grid is outputs, rows and inputs; its parameters are the
// addresses of bias, x, w and out, what it multiplies out by, the type of out, and the first word of the algorithm.
typedef struct {
    unsigned grid[3], block, shared;
    int overlaps, parameter_count;
} stand_in_launch;

int stand_in_launch_count(void);
stand_in_launch stand_in_launch_at(int index);
const char *stand_in_launch_name(int index);
uint64_t stand_in_launch_parameter(int index, int place);

// Bytes of the device's memory, pieces of page-locked memory, and events that are not given back.
size_t stand_in_live_bytes(void);
int stand_in_live_pinned(void);
int stand_in_live_events(void);
