// What the files of the stand-in share.
#pragma once
#include "CUDAStandIn.h"

enum { most_parameters = 40, most_calls = 128, most_records = 1 << 16 };

// Errors of cuda.h.
enum {
    invalid_value = 1,
    out_of_memory = 2,
    no_device = 100,
    invalid_device = 101,
    invalid_context = 201,
    not_found = 500,
    illegal_address = 700,
    not_recordable = 900,
    recording_spoilt = 901,
};

typedef struct {
    char name[64];
    stand_in_launch launch;
    uint64_t parameters[most_parameters];
} record;

typedef enum { COPY, FILL, MARK, LAUNCH } kind;

typedef struct {
    kind kind;
    uint64_t target, source;
    size_t bytes;
    int value;
    struct event *event;
    record record;
} operation;

typedef struct graph {
    operation *operations;
    int count;
} graph;

typedef struct queue {
    graph work;
    graph *recording;  // else null
    int is_spoilt;
    struct queue *next;
} queue;

typedef struct event {
    int pending;  // marks in queues
    double time;  // of the last one that was reached, in milliseconds
    queue *queue;
} event;

typedef struct function {
    char name[64];
    int shared, parameter_count;
} function;

extern stand_in_gpu stand_in_the_gpu;

// Takes the lock until the end of the block, counts the call, and answers for it if it is to fail.
#define ENTER(NAME)                                                               \
    __attribute__((cleanup(stand_in_unlock))) int held = stand_in_lock();         \
    (void)held;                                                                   \
    int injected = stand_in_call(NAME);                                           \
    if (injected) return injected
#define ENTER_IN_CONTEXT(NAME)                                                    \
    ENTER(NAME);                                                                  \
    if (!stand_in_has_context()) return invalid_context

int stand_in_lock(void);
void stand_in_unlock(int *);
int stand_in_call(const char *function);
int stand_in_has_context(void);

// Puts an operation into a queue, or into its record.
int stand_in_enqueue(queue *, operation);

// Does what a kernel does, as far as the stand-in knows it.
void stand_in_run(const record *);

// Members of the driver's table.
int stand_in_load_module(void **module, const void *image);
int stand_in_module_function(void **result, void *module, const char *name);
int stand_in_set_function_attribute(void *function, int attribute, int value);
int stand_in_occupancy(int *count, void *function, int threads, size_t shared);
int stand_in_launch_kernel(const void *config, void *function, void **parameters, void **extra);
