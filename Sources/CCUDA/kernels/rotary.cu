// Rotary embedding of queries and keys, and the way of keys and values into the paged cache.

static __device__ __forceinline__ void load_four(const u16 *from, float (&v)[4]) {
    const uint2 pair = *(const uint2 *)from;
    v[0] = widen_low(pair.x);
    v[1] = widen_high(pair.x);
    v[2] = widen_low(pair.y);
    v[3] = widen_high(pair.y);
}
static __device__ __forceinline__ void load_four(const float *from, float (&v)[4]) {
    const float4 four = *(const float4 *)from;
    v[0] = four.x;
    v[1] = four.y;
    v[2] = four.z;
    v[3] = four.w;
}
static __device__ __forceinline__ void store_four(u16 *to, const float (&v)[4]) {
    *(uint2 *)to = make_uint2(narrow(v[0], v[1]), narrow(v[2], v[3]));
}

// n[i] = x[i] / √(mean_i x[i]² + ε) · weight[i] for a head x of a query or a key, or x[i] without a weight;
// y[i] = n[i]·cos − n[i + R]·sin, y[i + R] = n[i + R]·cos + n[i]·sin for i < R = rotaryPairs,
// y[i] = n[i] from 2R on.
//
// qkv is bf16 [tokens, (heads + 2 · keyValueHeads) · headDim]: queries, which are replaced, keys and values,
// which go to row slots[t] mod pageSize of page slots[t] / pageSize of bf16 [pages, keyValueHeads, pageSize,
// headDim], or nowhere if the slot is not in 0 ..< slotCount. Without slots keys are replaced as well, and nothing
// is stored. cosines and sines are f32 [positionCount, R]; a position outside is clamped. Pair i turns by
// positions[t], or with axes by positions[axes[i] · tokens + t].
//
// Block x is the token; its heads are dealt to the threads of blocks y, each head to the least power of two
// of lanes that holds headDim / 8. A lane turns 4 pairs: values 4 · lane and R + 4 · lane on; past R it keeps
// 8 values, from 8 · lane on. headDim is a multiple of 8, at most 256, and R one of 4, at most headDim / 2.
KERNEL rotate_and_store(u16 *qkv, const float *cosines, const float *sines, const int *positions,
                        const int *axes, const int *slots, const float *queryWeight, const float *keyWeight, float epsilon,
                        u16 *keys, u16 *values, int tokens, int heads, int keyValueHeads, int headDim,
                        int rotaryPairs, int pageSize, int slotCount, int positionCount) {
    let_next_begin();
    const int token = blockIdx.x, headCount = heads + 2 * keyValueHeads, parts = headDim / 8;
    const int shift = 32 - __clz(parts - 1), item = blockIdx.y * blockDim.x + threadIdx.x;
    const int head = item >> shift, part = item & ((1 << shift) - 1);
    const bool active = token < tokens && head < headCount && part < parts;
    const bool isQuery = head < heads, isKey = !isQuery && head < heads + keyValueHeads;
    const bool turns = (isQuery || isKey) && part * 4 < rotaryPairs && positionCount > 0;
    const int low = part * 4 < rotaryPairs ? part * 4 : part * 8;
    const int high = part * 4 < rotaryPairs ? rotaryPairs + low : low + 4;
    const float *weight = isQuery ? queryWeight : isKey ? keyWeight : nullptr;

    float a[4] = {}, b[4] = {}, lowWeight[4], highWeight[4];
    if (active && weight) {
        load_four(weight + low, lowWeight);
        load_four(weight + high, highWeight);
    }
    previous_done();
    u16 *x = qkv + ((u64)token * headCount + head) * headDim;
    int position = 0, slot = -1;
    if (active) {
        position = min(max(positions[token], 0), positionCount - 1);
        if (slots) slot = slots[token];
        load_four(x + low, a);
        load_four(x + high, b);
    }
    if (queryWeight || keyWeight) {
        float squares = 0.0f;
#pragma unroll
        for (int i = 0; i < 4; i++) squares += a[i] * a[i] + b[i] * b[i];
        for (int step = 1 << shift >> 1; step > 0; step >>= 1)
            squares += __shfl_xor_sync(0xffffffffu, squares, step);
        if (active && weight) {
            const float factor = 1.0f / sqrtf(squares / headDim + epsilon);
#pragma unroll
            for (int i = 0; i < 4; i++) {
                a[i] *= factor * lowWeight[i];
                b[i] *= factor * highWeight[i];
            }
        }
    }
    if (!active) return;
    if (turns) {
        float cosine[4], sine[4];
        if (axes) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const int own = positions[(u64)axes[low + i] * tokens + token];
                const u64 at = (u64)min(max(own, 0), positionCount - 1) * rotaryPairs + low + i;
                cosine[i] = cosines[at];
                sine[i] = sines[at];
            }
        } else {
            load_four(cosines + (u64)position * rotaryPairs + low, cosine);
            load_four(sines + (u64)position * rotaryPairs + low, sine);
        }
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const float first = a[i];
            a[i] = first * cosine[i] - b[i] * sine[i];
            b[i] = b[i] * cosine[i] + first * sine[i];
        }
    }
    u16 *out = x;
    if (!isQuery && !(isKey && !slots)) {
        if (slot < 0 || slot >= slotCount) return;
        const int place = slot % pageSize, target = (head - heads) % keyValueHeads;
        out = (isKey ? keys : values)
            + (((u64)(slot / pageSize) * keyValueHeads + target) * pageSize + place) * headDim;
    }
    store_four(out + low, a);
    store_four(out + high, b);
}
