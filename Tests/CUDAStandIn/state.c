#include "state.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static struct {
    const char *function;
    int count, error, after, times;
} calls[most_calls];
static int call_count;

int stand_in_lock(void) { return pthread_mutex_lock(&mutex); }

void stand_in_unlock(int *held) {
    (void)held;
    pthread_mutex_unlock(&mutex);
}

// The place of a function's counts; names are constants, or those of tests, which are kept.
static int place_of(const char *function) {
    for (int i = 0; i < call_count; i++)
        if (!strcmp(calls[i].function, function)) return i;
    if (call_count == most_calls) abort();
    calls[call_count].function = strdup(function);
    return call_count++;
}

int stand_in_call(const char *function) {
    int i = place_of(function);
    calls[i].count++;
    if (!calls[i].times) return 0;
    if (calls[i].after > 0) {
        calls[i].after--;
        return 0;
    }
    calls[i].times--;
    return calls[i].error;
}

void stand_in_fail(const char *function, int error, int after, int times) {
    __attribute__((cleanup(stand_in_unlock))) int held = stand_in_lock();
    int i = place_of(function);
    calls[i].error = error;
    calls[i].after = after;
    calls[i].times = times;
}

int stand_in_calls(const char *function) {
    __attribute__((cleanup(stand_in_unlock))) int held = stand_in_lock();
    return calls[place_of(function)].count;
}

void stand_in_forget_driver(void);
void stand_in_forget_compiler(void);

void stand_in_reset(stand_in_gpu gpu) {
    __attribute__((cleanup(stand_in_unlock))) int held = stand_in_lock();
    for (int i = 0; i < call_count; i++) calls[i].count = calls[i].times = 0;
    stand_in_the_gpu = gpu;
    stand_in_forget_driver();
    stand_in_forget_compiler();
}
