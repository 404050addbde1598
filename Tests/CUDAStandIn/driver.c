#include "state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>

stand_in_gpu stand_in_the_gpu;

typedef struct block {
    struct block *next;
    uint64_t address;
    size_t bytes;
    void *memory;
} block;

// Bytes of fresh memory that are filled with rubbish.
enum { most_rubbish = 1 << 16 };

static block *blocks;
static size_t live_bytes;
static int live_pinned, live_events;
static queue *queues;
static record *records;
static int record_count;
static thread_local int has_context;
static thread_local int is_recording;

size_t stand_in_live_bytes(void) { return live_bytes; }
int stand_in_live_pinned(void) { return live_pinned; }
int stand_in_live_events(void) { return live_events; }
int stand_in_launch_count(void) { return record_count; }
stand_in_launch stand_in_launch_at(int index) { return records[index].launch; }
const char *stand_in_launch_name(int index) { return records[index].name; }
uint64_t stand_in_launch_parameter(int index, int place) { return records[index].parameters[place]; }
int stand_in_has_context(void) { return has_context; }

// Queues stay: a device of an earlier test may still hold one.
void stand_in_forget_driver(void) {
    record_count = 0;
    is_recording = 0;
}

// MARK: What is enqueued

static void append(graph *work, operation one) {
    if ((work->count & (work->count - 1)) == 0)
        work->operations = realloc(work->operations, (work->count ? 2 * work->count : 1) * sizeof one);
    work->operations[work->count++] = one;
}

int stand_in_enqueue(queue *queue, operation one) {
    append(queue->recording ? queue->recording : &queue->work, one);
    return 0;
}

static int is_allocated(uint64_t address, size_t bytes) {
    for (block *each = blocks; each; each = each->next)
        if (address >= each->address && address - each->address <= each->bytes &&
            bytes <= each->bytes - (address - each->address))
            return 1;
    return 0;
}

// Milliseconds that a kernel takes: 1, but a product by algorithm 1 half of it, and by 2 twice as much.
static double time_of(const record *launched) {
    static const double times[] = {1, 0.5, 2};
    return strcmp(launched->name, "multiply") ? 1 : times[launched->parameters[6] >> 32];
}

static double now;

static void run(const operation *one) {
    switch (one->kind) {
        case COPY: memcpy((void *)one->target, (void *)one->source, one->bytes); break;
        case FILL: memset((void *)one->target, one->value, one->bytes); break;
        case MARK:
            one->event->pending--;
            one->event->time = now;
            break;
        case LAUNCH:
            now += time_of(&one->record);
            if (record_count == most_records) abort();
            if (!records) records = malloc(most_records * sizeof *records);
            records[record_count++] = one->record;
            stand_in_run(&one->record);
    }
}

static void work_off(queue *queue) {
    for (int i = 0; i < queue->work.count; i++) run(&queue->work.operations[i]);
    free(queue->work.operations);
    queue->work = (graph){0};
}

static void work_all_off(void) {
    for (queue *each = queues; each; each = each->next) work_off(each);
}

// What cannot be recorded spoils the record of this thread.
static int refuse(void) {
    if (!is_recording) return 0;
    for (queue *each = queues; each; each = each->next) each->is_spoilt = each->recording != 0;
    return not_recordable;
}

// MARK: The device

static int init(unsigned flags) {
    (void)flags;
    ENTER("init");
    return stand_in_the_gpu.count ? 0 : no_device;
}

static int driver_version(int *version) {
    ENTER("driver_version");
    *version = stand_in_the_gpu.driver_version;
    return 0;
}

static int device_count(int *count) {
    ENTER("device_count");
    *count = stand_in_the_gpu.count;
    return 0;
}

static int device(int *device, int ordinal) {
    ENTER("device");
    if (ordinal < 0 || ordinal >= stand_in_the_gpu.count) return invalid_device;
    *device = ordinal;
    return 0;
}

static int device_name(char *name, int length, int device) {
    ENTER("device_name");
    snprintf(name, (size_t)length, "Stand-in %d", device);
    return 0;
}

static int device_attribute(int *value, int attribute, int device) {
    (void)device;
    ENTER("device_attribute");
    switch (attribute) {
        case 16: *value = stand_in_the_gpu.processors; return 0;
        case 75: *value = stand_in_the_gpu.major; return 0;
        case 76: *value = stand_in_the_gpu.minor; return 0;
        case 97: *value = stand_in_the_gpu.shared_bytes; return 0;
        default: return invalid_value;
    }
}

static int retain_context(void **context, int device) {
    (void)device;
    ENTER("retain_context");
    *context = &queues;
    return 0;
}

static int set_context(void *context) {
    ENTER("set_context");
    has_context = context != 0;
    return context ? 0 : invalid_context;
}

// MARK: Memory

static int memory_info(size_t *free, size_t *total) {
    ENTER_IN_CONTEXT("memory_info");
    *total = stand_in_the_gpu.memory_bytes;
    *free = *total > live_bytes ? *total - live_bytes : 0;
    return 0;
}

static int allocate(vireo_address *address, size_t bytes) {
    ENTER_IN_CONTEXT("allocate");
    if (refuse()) return not_recordable;
    if (!bytes) return invalid_value;
    if (bytes > stand_in_the_gpu.memory_bytes || live_bytes > stand_in_the_gpu.memory_bytes - bytes) return out_of_memory;
    block *made = malloc(sizeof *made);
    *made = (block){.next = blocks, .bytes = bytes, .memory = aligned_alloc(256, (bytes + 255) / 256 * 256)};
    memset(made->memory, 0xcd, bytes < most_rubbish ? bytes : most_rubbish);
    made->address = *address = (uint64_t)made->memory;
    blocks = made;
    live_bytes += bytes;
    return 0;
}

static int give_back(vireo_address address) {
    ENTER_IN_CONTEXT("free");
    if (refuse()) return not_recordable;
    work_all_off();
    for (block **link = &blocks; *link; link = &(*link)->next) {
        block *found = *link;
        if (found->address != address) continue;
        *link = found->next;
        live_bytes -= found->bytes;
        free(found->memory);
        free(found);
        return 0;
    }
    return invalid_value;
}

static int allocate_host(void **pointer, size_t bytes, unsigned flags) {
    (void)flags;
    ENTER_IN_CONTEXT("allocate_host");
    if (refuse()) return not_recordable;
    *pointer = malloc(bytes);
    live_pinned++;
    return 0;
}

static int free_host(void *pointer) {
    ENTER_IN_CONTEXT("free_host");
    work_all_off();
    free(pointer);
    live_pinned--;
    return 0;
}

static int copy_in(vireo_address target, const void *source, size_t bytes, void *stream) {
    ENTER_IN_CONTEXT("copy_in");
    if (!is_allocated(target, bytes)) return invalid_value;
    return stand_in_enqueue(
        stream, (operation){.kind = COPY, .target = target, .source = (uint64_t)source, .bytes = bytes});
}

static int copy_out(void *target, vireo_address source, size_t bytes, void *stream) {
    ENTER_IN_CONTEXT("copy_out");
    if (!is_allocated(source, bytes)) return invalid_value;
    return stand_in_enqueue(
        stream, (operation){.kind = COPY, .target = (uint64_t)target, .source = source, .bytes = bytes});
}

static int copy(vireo_address target, vireo_address source, size_t bytes, void *stream) {
    ENTER_IN_CONTEXT("copy");
    if (!is_allocated(target, bytes) || !is_allocated(source, bytes)) return invalid_value;
    return stand_in_enqueue(stream, (operation){.kind = COPY, .target = target, .source = source, .bytes = bytes});
}

static int fill(vireo_address target, unsigned char value, size_t bytes, void *stream) {
    ENTER_IN_CONTEXT("fill");
    if (!is_allocated(target, bytes)) return invalid_value;
    return stand_in_enqueue(stream, (operation){.kind = FILL, .target = target, .bytes = bytes, .value = value});
}

// MARK: Queues and events

static int create_stream(void **stream, unsigned flags) {
    (void)flags;
    ENTER_IN_CONTEXT("create_stream");
    queue *made = calloc(1, sizeof *made);
    made->next = queues;
    *stream = queues = made;
    return 0;
}

static int destroy_stream(void *stream) {
    (void)stream;
    ENTER("destroy_stream");
    return 0;
}

static int synchronize(void *stream) {
    ENTER_IN_CONTEXT("synchronize");
    if (refuse()) return not_recordable;
    work_off(stream);
    return 0;
}

static int create_event(void **made, unsigned flags) {
    (void)flags;
    ENTER_IN_CONTEXT("create_event");
    *made = calloc(1, sizeof(event));
    live_events++;
    return 0;
}

static int destroy_event(void *pointer) {
    ENTER("destroy_event");
    event *gone = pointer;
    if (gone->queue) work_off(gone->queue);
    free(gone);
    live_events--;
    return 0;
}

static int mark(void *pointer, void *stream) {
    ENTER_IN_CONTEXT("record");
    event *marked = pointer;
    marked->queue = stream;
    marked->pending++;
    return stand_in_enqueue(stream, (operation){.kind = MARK, .event = marked});
}

static int wait_event(void *pointer) {
    ENTER("wait_event");
    if (refuse()) return not_recordable;
    event *awaited = pointer;
    // Work behind the mark is left lying.
    while (awaited->pending > 0) {
        graph *work = &awaited->queue->work;
        run(&work->operations[0]);
        graph left = {0};
        for (int i = 1; i < work->count; i++) append(&left, work->operations[i]);
        free(work->operations);
        *work = left;
    }
    return 0;
}

static int elapsed(float *milliseconds, void *start, void *end) {
    ENTER("elapsed");
    *milliseconds = (float)(((event *)end)->time - ((event *)start)->time);
    return 0;
}

// MARK: Records of work

static int begin_capture(void *stream, int mode) {
    (void)mode;
    ENTER_IN_CONTEXT("begin_capture");
    queue *recorded = stream;
    recorded->recording = calloc(1, sizeof(graph));
    recorded->is_spoilt = 0;
    is_recording = 1;
    return 0;
}

static int end_capture(void *stream, void **result) {
    ENTER_IN_CONTEXT("end_capture");
    queue *recorded = stream;
    is_recording = 0;
    *result = recorded->is_spoilt ? 0 : recorded->recording;
    recorded->recording = 0;
    return recorded->is_spoilt ? recording_spoilt : 0;
}

static int instantiate(void **executable, void *recorded, unsigned long long flags) {
    (void)flags;
    ENTER_IN_CONTEXT("instantiate");
    graph *made = calloc(1, sizeof *made);
    for (int i = 0; i < ((graph *)recorded)->count; i++) append(made, ((graph *)recorded)->operations[i]);
    *executable = made;
    return 0;
}

static int launch_graph(void *executable, void *stream) {
    ENTER_IN_CONTEXT("launch_graph");
    const graph *work = executable;
    for (int i = 0; i < work->count; i++) stand_in_enqueue(stream, work->operations[i]);
    return 0;
}

static void release(graph *gone) {
    free(gone->operations);
    free(gone);
}

static int destroy_graph(void *recorded) {
    ENTER("destroy_graph");
    release(recorded);
    return 0;
}

static int destroy_executable(void *executable) {
    ENTER("destroy_executable");
    release(executable);
    return 0;
}

static int error_text(int error, const char **text) {
    static thread_local char buffer[64];
    snprintf(buffer, sizeof buffer, "error %d of the stand-in", error);
    *text = buffer;
    return 0;
}

// GPUs next to each other reach each other's memory.
static int can_access_peer(int *can, int device, int peer) {
    ENTER("can_access_peer");
    *can = device - peer == 1 || peer - device == 1;
    return 0;
}

static int enable_peer(void *context, unsigned flags) {
    (void)flags;
    ENTER_IN_CONTEXT("enable_peer");
    return context ? 0 : invalid_context;
}

vireo_driver stand_in_driver(void) {
    return (vireo_driver){
        .init = init,
        .driver_version = driver_version,
        .device_count = device_count,
        .device = device,
        .device_name = device_name,
        .device_attribute = device_attribute,
        .retain_context = retain_context,
        .set_context = set_context,
        .memory_info = memory_info,
        .allocate = allocate,
        .free = give_back,
        .allocate_host = allocate_host,
        .free_host = free_host,
        .copy_in = copy_in,
        .copy_out = copy_out,
        .copy = copy,
        .fill = fill,
        .create_stream = create_stream,
        .destroy_stream = destroy_stream,
        .synchronize = synchronize,
        .create_event = create_event,
        .destroy_event = destroy_event,
        .record = mark,
        .wait_event = wait_event,
        .elapsed = elapsed,
        .load_module = stand_in_load_module,
        .module_function = stand_in_module_function,
        .set_function_attribute = stand_in_set_function_attribute,
        .occupancy = stand_in_occupancy,
        .launch = stand_in_launch_kernel,
        .begin_capture = begin_capture,
        .end_capture = end_capture,
        .instantiate = instantiate,
        .launch_graph = launch_graph,
        .destroy_graph = destroy_graph,
        .destroy_executable = destroy_executable,
        .error_text = error_text,
        .can_access_peer = can_access_peer,
        .enable_peer = enable_peer,
    };
}
