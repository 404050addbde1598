// Inside of the thread pool, for the other kernels.
#ifndef VIREO_POOL_H
#define VIREO_POOL_H

#include "CKernels.h"

struct vireo_kernels;

// One task of a call; `worker` counts from 0 (the caller) to the thread count.
typedef void (*vireo_task)(void *context, size_t task, size_t worker);
// A run of rows of a call.
typedef void (*vireo_range)(void *context, size_t begin, size_t end);

// Enters and leaves a pool: one call at a time uses its threads and scratch.
void vireo_pool_lock(vireo_pool *pool);
// Enters the pool or one of its teams, whichever is idle; the call goes on with what this returns, and leaves it.
vireo_pool *vireo_pool_enter(vireo_pool *pool);
void vireo_pool_unlock(vireo_pool *pool);
// Runs tasks 0 to count - 1, in any order, on all threads; the caller, who holds the lock, works too.
void vireo_pool_run(vireo_pool *pool, size_t count, vireo_task task, void *context);
// Enters the pool and cuts 0 ..< count into runs of at least `grain` that the threads share.
void vireo_parallel(vireo_pool *pool, size_t count, size_t grain, vireo_range range, void *context);
// Memory shared by a call's tasks, aligned to 64 bytes and valid while the lock is held.
void *vireo_pool_scratch(vireo_pool *pool, size_t byte_count);
// Room for `byte_count` bytes a worker; then each worker's part.
bool vireo_pool_reserve(vireo_pool *pool, size_t byte_count);
void *vireo_pool_worker_scratch(vireo_pool *pool, size_t worker);
size_t vireo_pool_threads(const vireo_pool *pool);
const struct vireo_kernels *vireo_pool_kernels(const vireo_pool *pool);

#endif
