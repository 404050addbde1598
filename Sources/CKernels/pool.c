#define _GNU_SOURCE
#include "pool.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernels.h"

// Turns of a spin before a thread sleeps: some 50 microseconds, so that threads stay awake from operator to operator.
// Measured with a 135M model on two cores, against a fifth of it: decode 74 to 90 tokens/s; with one of the cores taken by
// another program 56 to 46.
enum { spin_turns = 1500 };

struct worker {
    vireo_pool *pool;
    pthread_t thread;
    size_t index;
};

// `ticket` holds the number of tasks not yet taken. The fields of a job are written before its tickets are
// given out, and the next job's only after all of its tasks are done, so whoever has taken a ticket reads its
// own job.
struct vireo_pool {
    _Alignas(64) _Atomic uint32_t ticket;
    _Alignas(64) _Atomic uint32_t done;
    _Alignas(64) _Atomic uint32_t sleepers;
    _Atomic uint32_t caller_sleeps;
    _Atomic uint32_t ended;
    vireo_task task;
    void *context;
    uint32_t count;
    size_t threads;
    const struct vireo_kernels *kernels;
    pthread_mutex_t lock;
    // Another pool for calls that find this one in use; written before there are calls.
    vireo_pool *next;
    void *scratch;
    size_t scratch_bytes;
    void *worker_scratch;
    size_t worker_bytes;
    struct worker workers[];
};

static inline void pause_briefly(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void sleep_while(_Atomic uint32_t *word, uint32_t value) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void wake(_Atomic uint32_t *word, int count) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

// Takes and runs tasks until none is left.
static void drain(vireo_pool *pool, size_t worker) {
    uint32_t left = atomic_load_explicit(&pool->ticket, memory_order_acquire);
    while (left > 0) {
        if (!atomic_compare_exchange_weak_explicit(
                &pool->ticket, &left, left - 1, memory_order_acq_rel, memory_order_acquire)) {
            continue;
        }
        uint32_t count = pool->count;
        pool->task(pool->context, count - left, worker);
        if (atomic_fetch_add_explicit(&pool->done, 1, memory_order_seq_cst) + 1 == count &&
            atomic_load_explicit(&pool->caller_sleeps, memory_order_seq_cst)) {
            wake(&pool->done, 1);
        }
        left = atomic_load_explicit(&pool->ticket, memory_order_acquire);
    }
}

static void *work(void *argument) {
    struct worker *worker = argument;
    vireo_pool *pool = worker->pool;
    for (;;) {
        for (int turn = 0; turn < spin_turns; turn++) {
            if (atomic_load_explicit(&pool->ticket, memory_order_acquire) > 0) break;
            pause_briefly();
        }
        if (atomic_load_explicit(&pool->ticket, memory_order_acquire) == 0) {
            // A caller stores the ticket before it reads `sleepers`, we the other way round: one sees the
            // other.
            atomic_fetch_add(&pool->sleepers, 1);
            if (!atomic_load(&pool->ended)) sleep_while(&pool->ticket, 0);
            atomic_fetch_sub(&pool->sleepers, 1);
        }
        if (atomic_load(&pool->ended)) return NULL;
        drain(pool, worker->index);
    }
}

void vireo_pool_run(vireo_pool *pool, size_t count, vireo_task task, void *context) {
    if (count <= 1 || pool->threads == 1) {
        for (size_t index = 0; index < count; index++) task(context, index, 0);
        return;
    }
    pool->task = task;
    pool->context = context;
    pool->count = (uint32_t)count;
    atomic_store(&pool->done, 0);
    atomic_store(&pool->ticket, (uint32_t)count);
    if (atomic_load(&pool->sleepers) > 0)
        wake(&pool->ticket, (int)(count < pool->threads ? count : pool->threads));
    drain(pool, 0);
    for (int turn = 0; turn < spin_turns; turn++) {
        if (atomic_load(&pool->done) == count) return;
        pause_briefly();
    }
    atomic_store(&pool->caller_sleeps, 1);
    for (uint32_t done = atomic_load(&pool->done); done != count; done = atomic_load(&pool->done)) {
        sleep_while(&pool->done, done);
    }
    atomic_store(&pool->caller_sleeps, 0);
}

struct ranges {
    vireo_range range;
    void *context;
    size_t count, chunk;
};

static void run_range(void *context, size_t task, size_t worker) {
    (void)worker;
    struct ranges *ranges = context;
    size_t begin = task * ranges->chunk, end = begin + ranges->chunk;
    ranges->range(ranges->context, begin, end < ranges->count ? end : ranges->count);
}

void vireo_parallel(vireo_pool *pool, size_t count, size_t grain, vireo_range range, void *context) {
    if (count == 0) return;
    size_t chunk = (count + pool->threads * 4 - 1) / (pool->threads * 4);
    if (chunk < grain) chunk = grain;
    if (chunk >= count) {
        range(context, 0, count);
        return;
    }
    struct ranges ranges = {range, context, count, chunk};
    pool = vireo_pool_enter(pool);
    vireo_pool_run(pool, (count + chunk - 1) / chunk, run_range, &ranges);
    vireo_pool_unlock(pool);
}

void vireo_pool_lock(vireo_pool *pool) { pthread_mutex_lock(&pool->lock); }
void vireo_pool_unlock(vireo_pool *pool) { pthread_mutex_unlock(&pool->lock); }

vireo_pool *vireo_pool_enter(vireo_pool *pool) {
    for (vireo_pool *team = pool; team; team = team->next)
        if (pthread_mutex_trylock(&team->lock) == 0) return team;
    vireo_pool_lock(pool);
    return pool;
}

void vireo_pool_add(vireo_pool *pool, vireo_pool *team) {
    team->next = pool->next;
    pool->next = team;
}

size_t vireo_pool_threads(const vireo_pool *pool) { return pool->threads; }
const struct vireo_kernels *vireo_pool_kernels(const vireo_pool *pool) { return pool->kernels; }

// Makes `*memory` at least `byte_count` long; what it held is lost.
static bool grow(void **memory, size_t *size, size_t byte_count) {
    if (byte_count <= *size) return true;
    vireo_free(*memory, *size);
    *memory = vireo_allocate(byte_count);
    *size = *memory ? byte_count : 0;
    return *memory != NULL;
}

void *vireo_pool_scratch(vireo_pool *pool, size_t byte_count) {
    // Without memory for a few rows of activations nothing can go on.
    if (!grow(&pool->scratch, &pool->scratch_bytes, byte_count)) abort();
    return pool->scratch;
}

bool vireo_pool_reserve(vireo_pool *pool, size_t byte_count) {
    byte_count = (byte_count + 127) / 128 * 128;
    if (byte_count <= pool->worker_bytes) return true;
    size_t size = pool->worker_bytes * pool->threads;
    bool grown = grow(&pool->worker_scratch, &size, byte_count * pool->threads);
    pool->worker_bytes = grown ? byte_count : 0;
    return grown;
}

void *vireo_pool_worker_scratch(vireo_pool *pool, size_t worker) {
    return (char *)pool->worker_scratch + worker * pool->worker_bytes;
}

vireo_pool *vireo_pool_create(int thread_count, int level) {
    size_t threads = thread_count < 1 ? 1 : (size_t)thread_count;
    vireo_pool *pool;
    size_t size = sizeof(vireo_pool) + threads * sizeof(struct worker);
    if (posix_memalign((void **)&pool, 64, size) != 0) return NULL;
    *pool = (vireo_pool){.kernels = vireo_kernels_of_level(level), .threads = threads};
    pthread_mutex_init(&pool->lock, NULL);
    for (size_t index = 1; index < threads; index++) {
        struct worker *worker = &pool->workers[index];
        *worker = (struct worker){.pool = pool, .index = index};
        if (pthread_create(&worker->thread, NULL, work, worker) != 0) {
            pool->threads = index;
            break;
        }
    }
    return pool;
}

void vireo_pool_destroy(vireo_pool *pool) {
    atomic_store(&pool->ended, 1);
    for (size_t index = 1; index < pool->threads; index++) {
        // A thread may be between its look at `ended` and its sleep, so wake until it has left.
        while (pthread_tryjoin_np(pool->workers[index].thread, NULL) != 0) {
            wake(&pool->ticket, (int)pool->threads);
            usleep(50);
        }
    }
    vireo_free(pool->scratch, pool->scratch_bytes);
    vireo_free(pool->worker_scratch, pool->worker_bytes * pool->threads);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}
