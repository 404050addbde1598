// Passes over a row of logits.

static float largest(const float *x, size_t count, size_t *index) {
    vfloat best = all(-INFINITY);
    vint where = {}, place = {}, nan = {};
    for (int lane = 0; lane < LANES; lane++) place[lane] = lane;
    for (size_t i = 0; i < count; i += LANES, place += LANES) {
        vfloat v = count - i < LANES ? load_some(x + i, count - i, -INFINITY) : load(x + i);
        vint above = v > best;
        best = choose(above, v, best);
        where = (place & above) | (where & ~above);
        nan |= v != v;
    }
    *index = 0;
    float value = -INFINITY;
    for (int lane = 0; lane < LANES; lane++) {
        if (nan[lane]) return NAN;
        size_t candidate = (size_t)where[lane];
        if (best[lane] > value || (best[lane] == value && candidate < *index)) {
            value = best[lane];
            *index = candidate;
        }
    }
    return value;
}

static double sum_exp(const float *x, size_t count, float shift, float factor) {
    // Runs are short enough for an f32 to add up without loss that matters.
    enum { run = 256 * LANES };
    double total = 0;
    for (size_t begin = 0; begin < count; begin += run) {
        const float *values = x + begin;
        size_t length = count - begin < run ? count - begin : run;
        vfloat sum = all(0);
        FOR_VECTORS(
            length, sum += exponential((load(values + i) - shift) * factor),
            sum += exponential((load_some(values + i, some, -INFINITY) - shift) * factor));
        total += sum_lanes(sum);
    }
    return total;
}

static size_t count_above(const float *x, size_t count, float threshold) {
    vint total = {};
    FOR_VECTORS(
        count, total -= load(x + i) > threshold, total -= load_some(x + i, some, -INFINITY) > threshold);
    size_t sum = 0;
    for (int lane = 0; lane < LANES; lane++) sum += (size_t)total[lane];
    return sum;
}
