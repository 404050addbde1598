#include <string.h>

#include "kernels.h"
#include "pool.h"

// Values a task should have at least.
enum { grain_values = 8192 };

static size_t grain(size_t columns) {
    return columns >= grain_values ? 1 : grain_values / (columns ? columns : 1);
}

struct rows {
    const struct vireo_kernels *kernels;
    const float *x, *weight, *bias;
    const int32_t *indices;
    size_t stride, columns, out_stride;
    float epsilon;
    float *out;
};

static void rms_norm(void *context, size_t begin, size_t end) {
    struct rows *r = context;
    for (size_t row = begin; row < end; row++) {
        r->kernels->rms_norm(
            r->x + row * r->stride, r->columns, r->weight, r->epsilon, r->out + row * r->out_stride);
    }
}

void vireo_rms_norm(
    vireo_pool *pool, const float *x, size_t rows, size_t stride, size_t columns, const float *weight,
    float epsilon, float *out, size_t out_stride) {
    struct rows r = {
        .kernels = vireo_pool_kernels(pool),
        .x = x,
        .weight = weight,
        .stride = stride,
        .columns = columns,
        .out_stride = out_stride,
        .epsilon = epsilon,
        .out = out,
    };
    vireo_parallel(pool, rows, grain(columns), rms_norm, &r);
}

static void layer_norm(void *context, size_t begin, size_t end) {
    struct rows *r = context;
    for (size_t row = begin; row < end; row++) {
        r->kernels->layer_norm(
            r->x + row * r->columns, r->columns, r->weight, r->bias, r->epsilon, r->out + row * r->columns);
    }
}

void vireo_layer_norm(
    vireo_pool *pool, const float *x, size_t rows, size_t columns, const float *weight, const float *bias,
    float epsilon, float *out) {
    struct rows r = {
        .kernels = vireo_pool_kernels(pool),
        .x = x,
        .weight = weight,
        .bias = bias,
        .columns = columns,
        .epsilon = epsilon,
        .out = out,
    };
    vireo_parallel(pool, rows, grain(columns), layer_norm, &r);
}

struct gated {
    void (*multiply)(const float *x, size_t columns, float *out);
    const float *x;
    size_t columns;
    float *out;
};

static void multiply_gated(void *context, size_t begin, size_t end) {
    struct gated *r = context;
    for (size_t row = begin; row < end; row++) {
        r->multiply(r->x + row * 2 * r->columns, r->columns, r->out + row * r->columns);
    }
}

void vireo_silu_multiply(vireo_pool *pool, const float *x, size_t rows, size_t columns, float *out) {
    struct gated r = {vireo_pool_kernels(pool)->silu_multiply, x, columns, out};
    vireo_parallel(pool, rows, grain(columns), multiply_gated, &r);
}

void vireo_gelu_multiply(vireo_pool *pool, const float *x, size_t rows, size_t columns, float *out) {
    struct gated r = {vireo_pool_kernels(pool)->gelu_multiply, x, columns, out};
    vireo_parallel(pool, rows, grain(columns), multiply_gated, &r);
}

struct added_norm {
    const struct vireo_kernels *kernels;
    float *x, *out;
    const float *weight;
    size_t columns;
    float epsilon;
};

static void add_norm(void *context, size_t begin, size_t end) {
    const struct added_norm *a = context;
    for (size_t row = begin; row < end; row++) {
        float *x = a->x + row * a->columns, *out = a->out + row * a->columns;
        a->kernels->rms_norm(x, a->columns, a->weight, a->epsilon, x);
        a->kernels->add(out, x, a->columns, out);
    }
}

void vireo_add_norm(
    vireo_pool *pool, float *x, size_t rows, size_t columns, const float *weight, float epsilon, float *out) {
    struct added_norm a = {vireo_pool_kernels(pool), x, out, weight, columns, epsilon};
    vireo_parallel(pool, rows, grain(columns), add_norm, &a);
}

static void gather(void *context, size_t begin, size_t end) {
    struct rows *r = context;
    for (size_t row = begin; row < end; row++) {
        memcpy(
            r->out + row * r->columns, r->x + (size_t)r->indices[row] * r->columns,
            r->columns * sizeof(float));
    }
}

bool vireo_gather_rows(
    vireo_pool *pool, const float *x, size_t row_count, size_t columns, const int32_t *indices, size_t count,
    float *out) {
    for (size_t i = 0; i < count; i++) {
        if (indices[i] < 0 || (size_t)indices[i] >= row_count) return false;
    }
    struct rows r = {.x = x, .indices = indices, .columns = columns, .out = out};
    vireo_parallel(pool, count, grain(columns), gather, &r);
    return true;
}

void vireo_sum_everywhere(float *const *parts, size_t count, size_t first, size_t last) {
    enum { block = 1024 };
    float sum[block];
    for (size_t start = first; start < last; start += block) {
        size_t size = last - start < block ? last - start : block;
        memcpy(sum, parts[0] + start, size * sizeof(float));
        for (size_t j = 1; j < count; j++) {
            const float *part = parts[j] + start;
            for (size_t i = 0; i < size; i++) sum[i] += part[i];
        }
        for (size_t k = 0; k < count; k++) memcpy(parts[k] + start, sum, size * sizeof(float));
    }
}

struct added {
    const float *table, *weights;
    const int32_t *rows;
    size_t columns, terms;
    float *out;
};

static void add_rows(void *context, size_t begin, size_t end) {
    const struct added *a = context;
    for (size_t t = begin; t < end; t++) {
        float *out = a->out + t * a->columns;
        for (size_t j = t * a->terms; j < (t + 1) * a->terms; j++) {
            if (a->rows[j] < 0) continue;
            const float *row = a->table + (size_t)a->rows[j] * a->columns;
            float weight = a->weights ? a->weights[j] : 1;
            for (size_t c = 0; c < a->columns; c++) out[c] += weight * row[c];
        }
    }
}

bool vireo_add_rows(
    vireo_pool *pool, const float *table, size_t row_count, size_t columns, const int32_t *rows,
    const float *weights, size_t terms, size_t count, float *out) {
    for (size_t i = 0; i < count * terms; i++)
        if (rows[i] >= 0 && (size_t)rows[i] >= row_count) return false;
    struct added added = {table, weights, rows, columns, terms, out};
    vireo_parallel(pool, count, grain(columns), add_rows, &added);
    return true;
}

struct embedding {
    const struct vireo_kernels *kernels;
    const struct vireo_embed_call *call;
};

static void embed(void *context, size_t begin, size_t end) {
    struct embedding *e = context;
    const struct vireo_embed_call *call = e->call;
    size_t row_bytes = call->columns * (call->type == vireo_type_f32 ? 4 : 2);
    for (size_t t = begin; t < end; t++) {
        float *out = call->out + t * call->columns;
        int32_t image = call->image_rows[t], id = call->ids[t];
        size_t place = (size_t)id - call->first_id;
        if (image >= 0 && (size_t)image < call->image_count) {
            memcpy(out, call->images + (size_t)image * call->columns, call->columns * sizeof(float));
        } else if (image < 0 && id >= 0 && (size_t)id >= call->first_id && place < call->vocabulary) {
            const char *row = (const char *)call->table + place * row_bytes;
            e->kernels->convert(row, call->type, out, vireo_type_f32, call->columns);
            if (call->scale != 1)
                for (size_t c = 0; c < call->columns; c++) out[c] *= call->scale;
        } else {
            memset(out, 0, call->columns * sizeof(float));
        }
    }
}

void vireo_embed(vireo_pool *pool, const struct vireo_embed_call *call) {
    struct embedding e = {vireo_pool_kernels(pool), call};
    vireo_parallel(pool, call->tokens, grain(call->columns), embed, &e);
}
