// Kernels of the vision tower's ends: pictures to tiles, tiles to patch rows, positions, pixel shuffle.

// MARK: Resizing, with the bytes of Pillow

// Fractional bits of a weight.
enum { WEIGHT_BITS = 22 };

static __device__ __forceinline__ u32 clip(int sum) { return (u32)min(max(sum >> WEIGHT_BITS, 0), 255); }

// Rows of the picture that share a load of the weights.
#ifndef RESIZE_ROWS
#define RESIZE_ROWS 4
#endif

// out(x, y) = clip(½ + Σₖ source[top + y, first[x] + k] · weights[k, x]) for x < outWidth, y < rows
//
// source is u8 [height, width, 3], aligned to 4 bytes; weights i32 [taps, outWidth], zeros past a pixel's
// last tap; taps is a multiple of 4; out is u8 [rows, outWidth, 3].
KERNEL resize_rows(const u8 *source, u8 *out, const int *first, const int *weights, int taps, int width,
                   int height, int top, int rows, int outWidth) {
    let_next_begin();
    previous_done();
    const int x = blockIdx.x * blockDim.x + threadIdx.x;
    if (x >= outWidth) return;
    for (int y = blockIdx.y * RESIZE_ROWS; y < rows; y += gridDim.y * RESIZE_ROWS) {
        // Words of four bytes from the one that holds the first tap's red on; `left` is the picture's last.
        const u32 *words[RESIZE_ROWS];
        int left[RESIZE_ROWS];
        u32 shift[RESIZE_ROWS], carry[RESIZE_ROWS];
        int red[RESIZE_ROWS], green[RESIZE_ROWS], blue[RESIZE_ROWS];
#pragma unroll
        for (int r = 0; r < RESIZE_ROWS; r++) {
            const u64 at = ((u64)(top + min(y + r, rows - 1)) * width + first[x]) * 3;
            const u64 beyond = ((u64)height * width * 3 - 1) / 4 - at / 4;
            words[r] = (const u32 *)source + at / 4;
            left[r] = (int)(beyond < 0x7fffffff ? beyond : 0x7fffffff);
            shift[r] = (u32)(at % 4) * 8;
            carry[r] = words[r][0];
            red[r] = green[r] = blue[r] = 1 << (WEIGHT_BITS - 1);
        }
        for (int k = 0; k < taps; k += 4) {
            int w[4];
#pragma unroll
            for (int j = 0; j < 4; j++) w[j] = weights[(u64)(k + j) * outWidth + x];
            const int next = k / 4 * 3;
#pragma unroll
            for (int r = 0; r < RESIZE_ROWS; r++) {
                const u32 one = words[r][min(next + 1, left[r])], two = words[r][min(next + 2, left[r])];
                const u32 three = words[r][min(next + 3, left[r])];
                const u32 p = __funnelshift_r(carry[r], one, shift[r]);   // red, green, blue, red
                const u32 q = __funnelshift_r(one, two, shift[r]);        // green, blue, red, green
                const u32 s = __funnelshift_r(two, three, shift[r]);      // blue, red, green, blue
                carry[r] = three;
                red[r] += (int)(p & 255) * w[0] + (int)(p >> 24) * w[1] + (int)(q >> 16 & 255) * w[2]
                    + (int)(s >> 8 & 255) * w[3];
                green[r] += (int)(p >> 8 & 255) * w[0] + (int)(q & 255) * w[1] + (int)(q >> 24) * w[2]
                    + (int)(s >> 16 & 255) * w[3];
                blue[r] += (int)(p >> 16 & 255) * w[0] + (int)(q >> 8 & 255) * w[1] + (int)(s & 255) * w[2]
                    + (int)(s >> 24) * w[3];
            }
        }
#pragma unroll
        for (int r = 0; r < RESIZE_ROWS; r++) {
            if (y + r >= rows) continue;
            u8 *pixel = out + ((u64)(y + r) * outWidth + x) * 3;
            pixel[0] = (u8)clip(red[r]);
            pixel[1] = (u8)clip(green[r]);
            pixel[2] = (u8)clip(blue[r]);
        }
    }
}

// N neighbouring bytes of a line a thread: 4 as one word, or 1.
template <int N>
static __device__ __forceinline__ void columns_of(const u8 *source, u8 *out, const int *first,
                                                  const int *weights, int taps, int width, int height,
                                                  int outHeight) {
    const int byte = (blockIdx.x * blockDim.x + threadIdx.x) * N;
    if (byte >= width * 3) return;
    for (int y = blockIdx.y; y < outHeight; y += gridDim.y) {
        int sum[N];
#pragma unroll
        for (int i = 0; i < N; i++) sum[i] = 1 << (WEIGHT_BITS - 1);
#pragma unroll 4
        for (int k = 0; k < taps; k++) {
            const u8 *from = source + (u64)min(first[y] + k, height - 1) * width * 3 + byte;
            const int weight = weights[(u64)k * outHeight + y];
            const u32 bytes = N == 4 ? *(const u32 *)from : *from;
#pragma unroll
            for (int i = 0; i < N; i++) sum[i] += (int)(bytes >> 8 * i & 255) * weight;
        }
        u8 *to = out + (u64)y * width * 3 + byte;
        if constexpr (N == 4)
            *(u32 *)to = clip(sum[0]) | clip(sum[1]) << 8 | clip(sum[2]) << 16 | clip(sum[3]) << 24;
        else *to = (u8)clip(sum[0]);
    }
}

// out(x, y) = clip(½ + Σₖ source[first[y] + k, x] · weights[k, y]) for y < outHeight
//
// source is u8 [height, width, 3], out u8 [outHeight, width, 3], both aligned to 4 bytes; weights i32 [taps,
// outHeight], zeros past a line's last tap.
KERNEL resize_columns(const u8 *source, u8 *out, const int *first, const int *weights, int taps, int width,
                      int height, int outHeight) {
    let_next_begin();
    previous_done();
    if (width % 4 == 0) columns_of<4>(source, out, first, weights, taps, width, height, outHeight);
    else columns_of<1>(source, out, first, weights, taps, width, height, outHeight);
}

// out[n, y, x] = the pixel at (left + x, top + y) of the square's picture, 0 beyond it
//
// squares is i32 [count, 5]: the byte of `images` at which the picture begins, its width and height, left and
// top; out is u8 [count, side, side, 3]. Blocks along y share the lines of a square.
KERNEL cut_squares(const u8 *images, const int *squares, u8 *out, int count, int side) {
    let_next_begin();
    previous_done();
    const int n = blockIdx.x;
    if (n >= count) return;
    const int *square = squares + (u64)n * 5;
    const u8 *image = images + square[0];
    const int width = square[1], height = square[2], left = square[3], top = square[4];
    u8 *to = out + (u64)n * side * side * 3;
    for (int i = blockIdx.y * blockDim.x + threadIdx.x; i < side * side * 3; i += gridDim.y * blockDim.x) {
        const int line = i / (side * 3), byte = i % (side * 3), x = left + byte / 3, y = top + line;
        const int isInside = x >= 0 && x < width && y >= 0 && y < height;
        to[i] = isInside ? image[((long long)y * width + left) * 3 + byte] : 0;
    }
}

// MARK: Tiles to rows

// PATCH is the side of a patch, or 0 where it is known at run time only.
template <int PATCH>
static __device__ __forceinline__ void patches_of(const u8 *tiles, u16 *out, const u16 (*table)[256],
                                                  int size, int patch) {
    const int s = PATCH ? PATCH : patch, side = size / s, count = side * 3 * s * s;
    const u8 *strip = tiles + (u64)blockIdx.x * s * size * 3;
    u16 *to = out + (u64)blockIdx.x * count;
    for (int i = threadIdx.x; i < count; i += blockDim.x) {
        const int column = i % s, line = i / s % s, channel = i / (s * s) % 3, p = i / (3 * s * s);
        to[i] = table[channel][strip[(line * size + p * s + column) * 3 + channel]];
    }
}

// out[n·P + p, (c·s + y)·s + x] = (tiles[n, py·s + y, px·s + x, c] / 255 − mean[c]) / deviation[c]
//
// tiles is u8 [tileCount, size, size, 3], s = patch divides size, P = (size / s)² patches a tile row by row,
// out bf16 [tileCount · P, 3 · s²]. A block turns a strip of s lines into the rows of its size / s patches,
// both in one piece.
KERNEL patch_rows(const u8 *tiles, u16 *out, int tileCount, int size, int patch, float mean0, float mean1,
                  float mean2, float deviation0, float deviation1, float deviation2) {
    let_next_begin();
    __shared__ u16 table[3][256];
    for (int i = threadIdx.x; i < 768; i += blockDim.x) {
        const int channel = i / 256;
        const float mean = channel == 0 ? mean0 : channel == 1 ? mean1 : mean2;
        const float deviation = channel == 0 ? deviation0 : channel == 1 ? deviation1 : deviation2;
        table[channel][i % 256] = narrow(((float)(i % 256) / 255.0f - mean) / deviation);
    }
    __syncthreads();
    previous_done();
    if (blockIdx.x >= (u64)tileCount * (size / patch)) return;
    if (patch == 14) patches_of<14>(tiles, out, table, size, patch);
    else patches_of<0>(tiles, out, table, size, patch);
}

// out[n, 0] = classToken + positions[0], out[n, 1 + p] = patches[n·P + p] + positions[1 + p]
//
// P = patchCount; patches is bf16 [tileCount · P, columns], classToken f32 [columns], positions f32 [1 + P,
// columns], out f32 [tileCount, 1 + P, columns]. A block takes a row.
KERNEL add_positions(const u16 *patches, const float *classToken, const float *positions, float *out,
                     int tileCount, int patchCount, int columns) {
    let_next_begin();
    previous_done();
    const u64 row = blockIdx.x, tile = row / (1 + patchCount), place = row % (1 + patchCount);
    if (tile >= tileCount) return;
    const u16 *patch = patches + (tile * patchCount + place - 1) * columns;
    const float *position = positions + place * columns;
    out += row * columns;
    if (columns % 4 == 0) {
        for (int c = threadIdx.x * 4; c < columns; c += blockDim.x * 4) {
            float4 v = *(const float4 *)(position + c), x;
            if (place == 0) {
                x = *(const float4 *)(classToken + c);
            } else {
                const uint2 pair = *(const uint2 *)(patch + c);
                x = make_float4(widen_low(pair.x), widen_high(pair.x), widen_low(pair.y), widen_high(pair.y));
            }
            *(float4 *)(out + c) = make_float4(x.x + v.x, x.y + v.y, x.z + v.z, x.w + v.w);
        }
    } else {
        for (int c = threadIdx.x; c < columns; c += blockDim.x)
            out[c] = (place == 0 ? classToken[c] : widen(patch[c])) + position[c];
    }
}

template <typename T>
static __device__ __forceinline__ void copy(const T *from, T *to, int count) {
    for (int i = threadIdx.x; i < count; i += blockDim.x) to[i] = from[i];
}

// out[n·h² + i·h + j] = the channels of x[n, 1 + ·] at cells (2i, 2j), (2i, 2j + 1), (2i + 1, 2j), (2i + 1,
// 2j + 1)
//
// h = side / 2; x is f32 [tileCount, 1 + side², columns], out f32 [tileCount · h², 4 · columns]. A block
// takes half a row of out, which is in one piece in x.
KERNEL pixel_shuffle(const float *x, float *out, int tileCount, int side, int columns) {
    let_next_begin();
    previous_done();
    const int half = side / 2;
    const u64 row = blockIdx.x / 2, lower = blockIdx.x % 2;
    if (row >= (u64)tileCount * half * half) return;
    const u64 tile = row / (half * half), i = row / half % half, j = row % half;
    const float *from = x + (tile * (1 + side * side) + 1 + (2 * i + lower) * side + 2 * j) * columns;
    float *to = out + (row * 4 + lower * 2) * columns;
    if (columns % 4 == 0) copy((const float4 *)from, (float4 *)to, columns / 2);
    else copy(from, to, columns * 2);
}
