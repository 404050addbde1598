// One block of a linear layer with its epilogue.

INLINE vfloat finish(vfloat v, enum vireo_epilogue epilogue, vfloat scale, vfloat residual) {
    switch (epilogue) {
        case vireo_epilogue_none: return v;
        case vireo_epilogue_gelu: return gelu(v);
        case vireo_epilogue_tanh_gelu:
            // 1 + tanh(u) = 2 / (1 + exp(-2 u))
            return v / (1.0f + exponential(-1.5957691f * multiply_add(0.044715f * v * v, v, v)));
        case vireo_epilogue_logistic_gelu: return v / (1.0f + exponential(-1.702f * v));
        case vireo_epilogue_add: return residual + v;
        case vireo_epilogue_scale_add: return multiply_add(scale, v, residual);
    }
}

static void finish_row(
    const struct vireo_linear_call *call, const float *tile, size_t row, size_t column, size_t count) {
    const float *bias = call->bias ? call->bias + column : NULL;
    const float *scale = call->epilogue == vireo_epilogue_scale_add ? call->scale + column : NULL;
    const float *residual =
        call->epilogue >= vireo_epilogue_add ? call->residual + row * call->n + column : NULL;
    float *out = call->out + row * call->n + column;
    FOR_VECTORS(
        count, vfloat v = load(tile + i) + (bias ? load(bias + i) : all(0));
        store(
            out + i,
            finish(
                v, call->epilogue, scale ? load(scale + i) : all(0), residual ? load(residual + i) : all(0))),
        vfloat v = load_some(tile + i, some, 0) + (bias ? load_some(bias + i, some, 0) : all(0));
        vfloat factor = scale ? load_some(scale + i, some, 0) : all(0);
        vfloat before = residual ? load_some(residual + i, some, 0) : all(0);
        store_some(out + i, finish(v, call->epilogue, factor, before), some));
}

static void linear_block(
    const struct vireo_linear_call *call, const void *block, size_t row, size_t rows, size_t first,
    size_t last) {
    enum { tile_panels = 4, tile_columns = tile_panels * panel_columns };
    _Alignas(64) float tile[BLOCK_ROWS * tile_columns];
    size_t steps = vireo_steps(call->k, call->type);
    for (size_t panel = first; panel < last; panel += tile_panels) {
        size_t panels = last - panel < tile_panels ? last - panel : tile_panels;
        const char *weights = (const char *)call->weights + panel * steps * step_bytes;
        multiply(
            call->type, steps, packed, block, rows, weights, steps * step_bytes, panels, tile, tile_columns,
            false);
        size_t column = panel * panel_columns, left = call->n - column;
        size_t count = left < panels * panel_columns ? left : panels * panel_columns;
        for (size_t r = 0; r < rows; r++) finish_row(call, tile + r * tile_columns, row + r, column, count);
    }
}
