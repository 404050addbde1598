#include "kernels.h"
#include "pool.h"

// Rows of a task: enough to make up for packing the keys and values once a task.
enum { tile_rows = 192 };

struct paged {
    vireo_pool *pool;
    const struct vireo_paged_attention_call *call;
    size_t tiles, tile_queries;
};

static size_t tiles_of(const struct paged *paged, size_t sequence) {
    const int32_t *starts = paged->call->query_starts;
    size_t queries = (size_t)(starts[sequence + 1] - starts[sequence]);
    return (queries + paged->tile_queries - 1) / paged->tile_queries;
}

// Tiles are taken from the last to the first, because the later ones of a sequence see more.
static void paged_task(void *context, size_t task, size_t worker) {
    const struct paged *paged = context;
    const struct vireo_paged_attention_call *call = paged->call;
    const struct vireo_cache *cache = &call->cache;
    size_t tile = paged->tiles - 1 - task / cache->heads, head = task % cache->heads, sequence = 0;
    for (; tile >= tiles_of(paged, sequence); sequence++) tile -= tiles_of(paged, sequence);
    size_t start = (size_t)call->query_starts[sequence];
    size_t queries = (size_t)call->query_starts[sequence + 1] - start, tiles = tiles_of(paged, sequence);
    size_t first = tile * queries / tiles, last = (tile + 1) * queries / tiles;
    size_t dim = cache->head_dim, group = call->heads / cache->heads,
           element = cache->type == vireo_type_f32 ? 4 : 2;
    size_t width = (call->heads + 2 * cache->heads) * dim, head_bytes = cache->page_size * dim * element;
    struct vireo_attention attention = {
        .queries = call->qkv + (start + first) * width + head * group * dim,
        .out = call->out + ((start + first) * call->heads + head * group) * dim,
        .query_stride = width,
        .out_stride = call->heads * dim,
        .query_count = last - first,
        .group = group,
        .head_dim = dim,
        .scale = call->scale,
        .visible = (size_t)call->context_lengths[sequence] - queries + first + 1,
        .visible_growth = 1,
        .sights = call->sights ? call->sights + start + first : NULL,
        .place = (size_t)call->context_lengths[sequence] - queries + first,
        .window = call->window,
        .type = cache->type,
        .keys = (const char *)cache->keys + head * head_bytes,
        .values = (const char *)cache->values + head * head_bytes,
        .stored = cache->type,
        .pages = call->page_table + sequence * call->pages_per_sequence,
        .page_size = cache->page_size,
        .page_stride = cache->heads * head_bytes,
        .row_stride = dim * element,
    };
    vireo_pool_kernels(paged->pool)->attend(&attention, vireo_pool_worker_scratch(paged->pool, worker));
}

// Whether every query of a sequence sees itself and nothing beyond the context, and none less than the one before.
static bool sees(const struct vireo_paged_attention_call *call, size_t sequence) {
    if (!call->sights) return true;
    int32_t start = call->query_starts[sequence], end = call->query_starts[sequence + 1];
    int32_t length = call->context_lengths[sequence], least = length - (end - start) + 1;
    for (int32_t t = start; t < end; t++, least++) {
        if (call->sights[t] < least || call->sights[t] > length) return false;
        if (t > start && call->sights[t] < call->sights[t - 1]) return false;
    }
    return true;
}

// Whether every sequence's queries, context, pages and sights exist.
static bool sound(const struct vireo_paged_attention_call *call) {
    if (call->query_starts[0] < 0 || (size_t)call->query_starts[call->sequences] > call->tokens) return false;
    for (size_t s = 0; s < call->sequences; s++) {
        int64_t queries = (int64_t)call->query_starts[s + 1] - call->query_starts[s],
                length = call->context_lengths[s];
        if (queries < 0 || length < queries) return false;
        size_t pages = ((size_t)length + call->cache.page_size - 1) / call->cache.page_size;
        if (pages > call->pages_per_sequence) return false;
        for (size_t i = 0; i < pages; i++) {
            int32_t page = call->page_table[s * call->pages_per_sequence + i];
            if (page < 0 || (size_t)page >= call->cache.pages) return false;
        }
        if (!sees(call, s)) return false;
    }
    return true;
}

bool vireo_paged_attention(vireo_pool *pool, const struct vireo_paged_attention_call *call) {
    if (!sound(call)) return false;
    size_t group = call->heads / call->cache.heads;
    struct paged paged = {
        .pool = pool, .call = call, .tile_queries = group < tile_rows ? tile_rows / group : 1};
    for (size_t s = 0; s < call->sequences; s++) paged.tiles += tiles_of(&paged, s);
    pool = paged.pool = vireo_pool_enter(pool);
    bool room =
        vireo_pool_reserve(pool, vireo_attention_scratch(paged.tile_queries * group, call->cache.head_dim));
    if (room) vireo_pool_run(pool, paged.tiles * call->cache.heads, paged_task, &paged);
    vireo_pool_unlock(pool);
    return room;
}

struct full {
    vireo_pool *pool;
    const struct vireo_full_attention_call *call;
    size_t tiles;
};

static void full_task(void *context, size_t task, size_t worker) {
    const struct full *full = context;
    const struct vireo_full_attention_call *call = full->call;
    size_t tile = task % full->tiles, head = task / full->tiles % call->heads;
    size_t sequence = task / full->tiles / call->heads, dim = call->head_dim, width = 3 * call->heads * dim;
    size_t start = call->starts ? (size_t)call->starts[sequence] : sequence * call->length;
    size_t length = call->starts ? (size_t)call->starts[sequence + 1] - start : call->length;
    size_t tiles = (length + tile_rows - 1) / tile_rows;
    if (tile >= tiles) return;
    size_t first = tile * length / tiles, last = (tile + 1) * length / tiles;
    const float *rows = call->qkv + start * width + head * dim;
    struct vireo_attention attention = {
        .queries = rows + first * width,
        .out = call->out + ((start + first) * call->heads + head) * dim,
        .query_stride = width,
        .out_stride = call->heads * dim,
        .query_count = last - first,
        .group = 1,
        .head_dim = dim,
        .scale = call->scale,
        .visible = length,
        .type = call->type,
        .keys = (const char *)(rows + call->heads * dim),
        .values = (const char *)(rows + 2 * call->heads * dim),
        .stored = vireo_type_f32,
        .row_stride = width * sizeof(float),
    };
    vireo_pool_kernels(full->pool)->attend(&attention, vireo_pool_worker_scratch(full->pool, worker));
}

// Whether the sequences are `tokens` rows in all, none longer than `length`.
static bool whole(const struct vireo_full_attention_call *call) {
    if (!call->starts) return call->sequences * call->length == call->tokens;
    if (call->starts[0] != 0) return false;
    for (size_t s = 0; s < call->sequences; s++)
        if (call->starts[s + 1] < call->starts[s]
            || (size_t)(call->starts[s + 1] - call->starts[s]) > call->length)
            return false;
    return (size_t)call->starts[call->sequences] == call->tokens;
}

bool vireo_full_attention(vireo_pool *pool, const struct vireo_full_attention_call *call) {
    if (!whole(call)) return false;
    struct full full = {.pool = pool, .call = call, .tiles = (call->length + tile_rows - 1) / tile_rows};
    pool = full.pool = vireo_pool_enter(pool);
    bool room = vireo_pool_reserve(pool, vireo_attention_scratch(tile_rows, call->head_dim));
    if (room) vireo_pool_run(pool, call->sequences * call->heads * full.tiles, full_task, &full);
    vireo_pool_unlock(pool);
    return room;
}
