#include <string.h>

#include "kernels.h"
#include "pool.h"

struct rotary {
    const struct vireo_kernels *kernels;
    const struct vireo_rotary_call *call;
    float *scratch;
    size_t chunk;
};

// A head of token t into `out`, which may be the head itself: normed if there are weights, then turned.
static void turn(const struct rotary *rotary, size_t t, const float *head, const float *weight, float *out) {
    const struct vireo_rotary_call *call = rotary->call;
    size_t dim = call->cache.head_dim, half = call->half, row = (size_t)call->positions[t] * half;
    if (weight) {
        rotary->kernels->rms_norm(head, dim, weight, call->epsilon, out);
        head = out;
    } else if (out != head) {
        memcpy(out + 2 * half, head + 2 * half, (dim - 2 * half) * sizeof(float));
    }
    rotary->kernels->rotate(head, half, call->cosines + row, call->sines + row, out);
}

static void rotate_task(void *context, size_t task, size_t worker) {
    struct rotary *rotary = context;
    const struct vireo_rotary_call *call = rotary->call;
    const struct vireo_kernels *kernels = rotary->kernels;
    const struct vireo_cache *cache = &call->cache;
    size_t dim = cache->head_dim, width = (call->heads + 2 * cache->heads) * dim;
    size_t element = cache->type == vireo_type_f32 ? 4 : 2;
    float *rotated = rotary->scratch + worker * (dim + 16);
    size_t end = (task + 1) * rotary->chunk < call->tokens ? (task + 1) * rotary->chunk : call->tokens;
    for (size_t t = task * rotary->chunk; t < end; t++) {
        float *query = call->qkv + t * width;
        for (size_t head = 0; head < call->heads; head++, query += dim)
            turn(rotary, t, query, call->query_weight, query);
        const float *key = query, *value = query + cache->heads * dim;
        size_t page = (size_t)call->slots[t] / cache->page_size,
               place = (size_t)call->slots[t] % cache->page_size;
        for (size_t head = 0; head < cache->heads; head++, key += dim, value += dim) {
            size_t offset = ((page * cache->heads + head) * cache->page_size + place) * dim * element;
            turn(rotary, t, key, call->key_weight, rotated);
            kernels->convert(rotated, vireo_type_f32, (char *)cache->keys + offset, cache->type, dim);
            kernels->convert(value, vireo_type_f32, (char *)cache->values + offset, cache->type, dim);
        }
    }
}

bool vireo_rotate_and_store(vireo_pool *pool, const struct vireo_rotary_call *call) {
    for (size_t t = 0; t < call->tokens; t++) {
        if (call->positions[t] < 0 || (size_t)call->positions[t] >= call->table_rows) return false;
        if (call->slots[t] < 0 || (size_t)call->slots[t] / call->cache.page_size >= call->cache.pages)
            return false;
    }
    if (call->tokens == 0) return true;
    struct rotary rotary = {.kernels = vireo_pool_kernels(pool), .call = call};
    size_t threads = vireo_pool_threads(pool);
    rotary.chunk = call->tokens <= 4 ? call->tokens : (call->tokens + threads * 4 - 1) / (threads * 4);
    vireo_pool_lock(pool);
    rotary.scratch = vireo_pool_scratch(pool, threads * (call->cache.head_dim + 16) * sizeof(float));
    vireo_pool_run(pool, (call->tokens + rotary.chunk - 1) / rotary.chunk, rotate_task, &rotary);
    vireo_pool_unlock(pool);
    return true;
}
