#include <string.h>

#include "kernels.h"
#include "pool.h"

struct rotary {
    const struct vireo_kernels *kernels;
    const struct vireo_rotary_call *call;
    float *scratch;
    size_t chunk;
};

// Cosines and sines of a token, [half] each.
struct angles {
    const float *cosines, *sines;
};

// The angles of token t; `room` holds 2 * half values.
static struct angles angles_of(const struct vireo_rotary_call *call, size_t t, float *room) {
    size_t half = call->half;
    if (!call->axes) {
        size_t row = (size_t)call->positions[t] * half;
        return (struct angles){call->cosines + row, call->sines + row};
    }
    for (size_t i = 0; i < half; i++) {
        size_t row = (size_t)call->positions[(size_t)call->axes[i] * call->tokens + t] * half;
        room[i] = call->cosines[row + i];
        room[half + i] = call->sines[row + i];
    }
    return (struct angles){room, room + half};
}

// A head into `out`, which may be the head itself: normed if there are weights, then turned.
static void turn(
    const struct rotary *rotary, struct angles angles, const float *head, const float *weight, float *out) {
    const struct vireo_rotary_call *call = rotary->call;
    size_t dim = call->cache.head_dim, half = call->half;
    if (weight) {
        rotary->kernels->rms_norm(head, dim, weight, call->epsilon, out);
        head = out;
    } else if (out != head) {
        memcpy(out + 2 * half, head + 2 * half, (dim - 2 * half) * sizeof(float));
    }
    rotary->kernels->rotate(head, half, angles.cosines, angles.sines, out);
}

static void rotate_task(void *context, size_t task, size_t worker) {
    struct rotary *rotary = context;
    const struct vireo_rotary_call *call = rotary->call;
    const struct vireo_kernels *kernels = rotary->kernels;
    const struct vireo_cache *cache = &call->cache;
    size_t dim = cache->head_dim, width = (call->heads + 2 * cache->heads) * dim;
    size_t element = cache->type == vireo_type_f32 ? 4 : 2;
    float *rotated = rotary->scratch + worker * (2 * dim + 32), *room = rotated + dim + 16;
    size_t end = (task + 1) * rotary->chunk < call->tokens ? (task + 1) * rotary->chunk : call->tokens;
    for (size_t t = task * rotary->chunk; t < end; t++) {
        float *query = call->qkv + t * width;
        struct angles angles = angles_of(call, t, room);
        for (size_t head = 0; head < call->heads; head++, query += dim)
            turn(rotary, angles, query, call->query_weight, query);
        float *key = query;
        if (!call->slots) {
            for (size_t head = 0; head < cache->heads; head++, key += dim)
                turn(rotary, angles, key, call->key_weight, key);
            continue;
        }
        const float *value = query + cache->heads * dim;
        size_t page = (size_t)call->slots[t] / cache->page_size,
               place = (size_t)call->slots[t] % cache->page_size;
        for (size_t head = 0; head < cache->heads; head++, key += dim, value += dim) {
            size_t offset = ((page * cache->heads + head) * cache->page_size + place) * dim * element;
            turn(rotary, angles, key, call->key_weight, rotated);
            kernels->convert(rotated, vireo_type_f32, (char *)cache->keys + offset, cache->type, dim);
            kernels->convert(value, vireo_type_f32, (char *)cache->values + offset, cache->type, dim);
        }
    }
}

bool vireo_rotate_and_store(vireo_pool *pool, const struct vireo_rotary_call *call) {
    for (size_t i = 0; i < call->axis_count * call->tokens; i++)
        if (call->positions[i] < 0 || (size_t)call->positions[i] >= call->table_rows) return false;
    for (size_t i = 0; call->axes && i < call->half; i++)
        if (call->axes[i] < 0 || (size_t)call->axes[i] >= call->axis_count) return false;
    for (size_t t = 0; call->slots && t < call->tokens; t++)
        if (call->slots[t] < 0 || (size_t)call->slots[t] / call->cache.page_size >= call->cache.pages)
            return false;
    if (call->tokens == 0) return true;
    pool = vireo_pool_enter(pool);
    struct rotary rotary = {.kernels = vireo_pool_kernels(pool), .call = call};
    size_t threads = vireo_pool_threads(pool);
    rotary.chunk = call->tokens <= 4 ? call->tokens : (call->tokens + threads * 4 - 1) / (threads * 4);
    rotary.scratch = vireo_pool_scratch(pool, threads * (2 * call->cache.head_dim + 32) * sizeof(float));
    vireo_pool_run(pool, (call->tokens + rotary.chunk - 1) / rotary.chunk, rotate_task, &rotary);
    vireo_pool_unlock(pool);
    return true;
}
