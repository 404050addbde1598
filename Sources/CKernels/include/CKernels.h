// The hot loops of the CPU backend. Matrices are dense and row-major; sizes are counts of elements unless
// they say bytes.
#ifndef CKERNELS_H
#define CKERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What a processor can do, each level including those before it.
enum vireo_level {
    vireo_level_portable = 0,
    vireo_level_avx2 = 1,
    vireo_level_avx512 = 2,
    vireo_level_avx512vnni = 3,
    vireo_level_avx512bf16 = 4,
};

// Floating-point element types, and what else weights of products can be: int8 and int4 have
// a scale for each 64 values of a row. Rows of the left side are then rounded to 8 bits, likewise.
enum vireo_type {
    vireo_type_f32 = 0,
    vireo_type_bf16 = 1,
    vireo_type_f16 = 2,
    vireo_type_int8 = 3,
    vireo_type_int4 = 4,
};

// Threads that share out the tasks of one call, the kernels they use, and their scratch memory.
typedef struct vireo_pool vireo_pool;

// The best level of this processor.
int vireo_best_level(void);
// The level that is fastest on this processor.
int vireo_preferred_level(void);
// A pool of `thread_count` threads, the caller's counted, at the lower of `level` and the best; null without
// memory.
vireo_pool *vireo_pool_create(int thread_count, int level);
// Lets calls that find `pool` in use run on `team`, which is as large; to be said before there are calls.
void vireo_pool_add(vireo_pool *pool, vireo_pool *team);
// Ends its threads; those of teams that were added are their own.
void vireo_pool_destroy(vireo_pool *pool);

// Zeroed memory aligned to 64 bytes, null when there is none.
void *vireo_allocate(size_t byte_count);
// Gives back what `vireo_allocate` gave for as many bytes.
void vireo_free(void *address, size_t byte_count);
// Bytes of memory that can still be had.
size_t vireo_available_bytes(void);

// target[i] = source[i]; neither needs to be aligned.
void vireo_convert(
    vireo_pool *pool, const void *source, enum vireo_type from, void *target, enum vireo_type to,
    size_t count);

// Bytes of packed weights [n, k] in `type` (not f16).
size_t vireo_packed_byte_count(size_t n, size_t k, enum vireo_type type);
// Packs source [rows, k] as the rows from `first_row` on of zeroed packed weights of type `to`.
void vireo_pack_rows(
    vireo_pool *pool, const void *source, enum vireo_type from, size_t rows, size_t k, size_t first_row,
    void *packed, enum vireo_type to);

// What follows a product.
enum vireo_epilogue {
    vireo_epilogue_none = 0,
    vireo_epilogue_gelu = 1,
    vireo_epilogue_tanh_gelu = 2,
    vireo_epilogue_logistic_gelu = 3,
    vireo_epilogue_add = 4,
    vireo_epilogue_scale_add = 5,
};

// out[m, n] = epilogue(sum_k x[m, k] * weights[n, k] + bias[n]).
struct vireo_linear_call {
    const float *x;        // [m, k]
    const void *weights;   // packed [n, k]
    enum vireo_type type;  // of the weights
    size_t m, n, k;
    const float *bias;  // [n] or null
    enum vireo_epilogue epilogue;
    const float *residual;  // [m, n], for add and scale_add
    const float *scale;     // [n], for scale_add
    float *out;             // [m, n]
};
void vireo_linear(vireo_pool *pool, const struct vireo_linear_call *call);

// Rows of `columns` values that begin `stride` values apart; out rows likewise, out_stride apart.
void vireo_rms_norm(
    vireo_pool *pool, const float *x, size_t rows, size_t stride, size_t columns, const float *weight,
    float epsilon, float *out, size_t out_stride);
void vireo_layer_norm(
    vireo_pool *pool, const float *x, size_t rows, size_t columns, const float *weight, const float *bias,
    float epsilon, float *out);
// out[r, i] = silu(x[r, i]) * x[r, columns + i]; x is [rows, 2 * columns].
void vireo_silu_multiply(vireo_pool *pool, const float *x, size_t rows, size_t columns, float *out);
// The same with the GELU by a tanh.
void vireo_gelu_multiply(vireo_pool *pool, const float *x, size_t rows, size_t columns, float *out);
// out[r] += the norm of x[r], which takes the place of x.
void vireo_add_norm(
    vireo_pool *pool, float *x, size_t rows, size_t columns, const float *weight, float epsilon, float *out);
// out[r] = x[indices[r]]; false, and nothing done, when an index is not a row of x [row_count, columns].
bool vireo_gather_rows(
    vireo_pool *pool, const float *x, size_t row_count, size_t columns, const int32_t *indices, size_t count,
    float *out);

// out[t] += sum_j weights[t, j] * table[rows[t, j]] over j < terms whose row is not below zero; weights may be null for
// ones. False, and nothing done, when a row is beyond table [row_count, columns].
bool vireo_add_rows(
    vireo_pool *pool, const float *table, size_t row_count, size_t columns, const int32_t *rows,
    const float *weights, size_t terms, size_t count, float *out);

// parts[k][i] = sum_j parts[j][i] for all k, added in the order of j, for first <= i < last.
void vireo_sum_everywhere(float *const *parts, size_t count, size_t first, size_t last);

// out[t] = image_rows[t] < 0 ? scale * table[ids[t]] : images[image_rows[t]].
struct vireo_embed_call {
    const int32_t *ids, *image_rows;  // [tokens]
    const void *table;                // [vocabulary, columns], of the ids from first_id on
    enum vireo_type type;             // of the table: f32 or bf16
    float scale;
    const float *images;  // [images_count, columns]
    size_t tokens, first_id, vocabulary, image_count, columns;
    float *out;  // [tokens, columns]
};
// Zeros for ids and rows that are not there.
void vireo_embed(vireo_pool *pool, const struct vireo_embed_call *call);

// Keys and values of one layer in pages: [pages, heads, page_size, head_dim] each.
struct vireo_cache {
    void *keys, *values;
    enum vireo_type type;  // f32 or bf16
    size_t pages, heads, page_size, head_dim;
};

// Norms and rotates queries in place, keys into the cache, where the values go as they are.
struct vireo_rotary_call {
    float *qkv;  // [tokens, (heads + 2 * cache.heads) * head_dim]
    size_t tokens, heads;
    const float *query_weight, *key_weight;  // of the RMS norm over each head, [head_dim]; both null for none
    float epsilon;                           // of that norm
    const float *cosines, *sines;            // [table_rows, half]
    size_t table_rows, half;                 // the first 2 * half values of a head turn, the others stay
    const int32_t *positions;                // [axis_count, tokens]
    size_t axis_count;
    const int32_t *axes;   // [half], which position turns a pair; null for the first
    const int32_t *slots;  // [tokens]; null to turn keys in place and store nothing
    struct vireo_cache cache;
};
// False, and nothing done, when a position or a slot is out of range.
bool vireo_rotate_and_store(vireo_pool *pool, const struct vireo_rotary_call *call);

// Causal attention of packed sequences over their pages. A query sees keys up to its own place, or below its entry of
// sights, which lie beyond its place and never fall within a sequence; of those up to its place only the last `window`,
// which is zero for all.
struct vireo_paged_attention_call {
    const float *qkv;  // [tokens, (heads + 2 * cache.heads) * head_dim]
    size_t heads, tokens, sequences, pages_per_sequence;
    float scale;
    const int32_t *query_starts;     // [sequences + 1]
    const int32_t *context_lengths;  // [sequences]
    const int32_t *page_table;       // [sequences, pages_per_sequence]
    const int32_t *sights;           // [tokens] or null
    size_t window;
    struct vireo_cache cache;
    float *out;  // [tokens, heads * head_dim]
};
// False, and nothing done, when a length, a page or a sight is out of range or scratch memory is lacking.
bool vireo_paged_attention(vireo_pool *pool, const struct vireo_paged_attention_call *call);

// Attention without a mask within sequences.
struct vireo_full_attention_call {
    const float *qkv;  // [tokens, 3 * heads * head_dim]
    size_t tokens, sequences, length, heads, head_dim;
    const int32_t *starts;  // [sequences + 1]; null where all sequences have `length` tokens, else the most
    float scale;
    enum vireo_type type;  // what queries, keys, values and probabilities are rounded to: f32 or bf16
    float *out;            // [tokens, heads * head_dim]
};
// False, and nothing done, when the starts do not rise from zero to all tokens or scratch memory is lacking.
bool vireo_full_attention(vireo_pool *pool, const struct vireo_full_attention_call *call);

// out[(n * P + p), (c * s + y) * s + x] = table[c][tiles[n, py * s + y, px * s + x, c]].
struct vireo_patch_call {
    const uint8_t *tiles;  // [count, size, size, 3]
    size_t count, size, patch;
    const float *table;  // [3, 256]
    float *out;          // [count * (size / patch)^2, 3 * patch * patch]
};
void vireo_patch_rows(vireo_pool *pool, const struct vireo_patch_call *call);
// out[n, 0] = class_token + positions[0]; out[n, 1 + p] = patches[n * P + p] + positions[1 + p].
void vireo_add_positions(
    vireo_pool *pool, const float *patches, const float *class_token, const float *positions, size_t count,
    size_t patch_count, size_t columns, float *out);
// out[n, (i, j)] = the four cells (2i, 2j), (2i, 2j+1), (2i+1, 2j), (2i+1, 2j+1) of x [count, 1 + side^2,
// columns].
void vireo_pixel_shuffle(
    vireo_pool *pool, const float *x, size_t count, size_t side, size_t columns, float *out);

// What is done to one row's logits, see LogitChanges; `limits` says whether only the allowed may be chosen.
struct vireo_logit_changes {
    const int32_t *counted, *counts, *raised, *biased, *allowed;
    const float *biases;
    size_t counted_count, raised_count, biased_count, allowed_count;
    float repetition, frequency, presence, raise;
    bool limits;
};
// One row's rule, see SamplingRow; `given` is negative for a token to be chosen.
struct vireo_sampling_row {
    struct vireo_logit_changes changes;
    double uniform;
    const int32_t *banned;
    size_t banned_count, vocabulary, top_count;
    int64_t top_k;
    float temperature, top_p, min_p;
    int32_t given;
};
// A token and its log-probability.
struct vireo_candidate {
    int32_t id;
    float logprob;
};
// One row's result; `top` points at room for the row's top_count candidates.
struct vireo_sampled {
    int32_t id, rank;
    float logprob;
    size_t top_count;
    struct vireo_candidate *top;
};
// Chooses a token of each row of logits [count, width]; false when there is no scratch memory.
bool vireo_sample(
    vireo_pool *pool, const float *logits, size_t count, size_t width, const struct vireo_sampling_row *rows,
    struct vireo_sampled *results);

#endif
