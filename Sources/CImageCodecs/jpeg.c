/* JPEG by libjpeg-turbo: exact integer DCT and smooth chroma upsampling, as Pillow decodes. */

#include "CImageCodecs.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

/* Scans after which a progressive file is refused: encoders write about ten. */
enum { scan_limit = 100 };

/* What the library's callbacks share; the library sees its first member. */
typedef struct {
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    jmp_buf exit;
    int status;
} vireo_jpeg_state;

static _Noreturn void leave(j_common_ptr codec, int status) {
    vireo_jpeg_state *state = (vireo_jpeg_state *)codec->err;
    state->status = status;
    longjmp(state->exit, 1);
}

static void on_error(j_common_ptr codec) {
    int status = VIREO_IMAGE_CORRUPT;
    switch (codec->err->msg_code) {
    case JERR_OUT_OF_MEMORY: case JERR_NO_BACKING_STORE: status = VIREO_IMAGE_NO_MEMORY; break;
    case JERR_BAD_PRECISION: case JERR_SOF_UNSUPPORTED: case JERR_ARITH_NOTIMPL: case JERR_CONVERSION_NOTIMPL:
    case JERR_FRACT_SAMPLE_NOTIMPL: case JERR_CCIR601_NOTIMPL:
        status = VIREO_IMAGE_UNSUPPORTED; break;
    default: break;
    }
    leave(codec, status);
}

/* Warnings that mean invented pixels end the decoding; the others are harmless. */
static void on_message(j_common_ptr codec, int level) {
    if (level >= 0) return;
    switch (codec->err->msg_code) {
    case JWRN_JPEG_EOF: case JWRN_HIT_MARKER: leave(codec, VIREO_IMAGE_TRUNCATED);
    case JWRN_HUFF_BAD_CODE: case JWRN_ARITH_BAD_CODE: case JWRN_MUST_RESYNC: leave(codec, VIREO_IMAGE_CORRUPT);
    default: break;
    }
}

static void on_output(j_common_ptr codec) { (void)codec; }

static void on_progress(j_common_ptr codec) {
    if (((j_decompress_ptr)codec)->input_scan_number > scan_limit) leave(codec, VIREO_IMAGE_TOO_COMPLEX);
}

static void start_source(j_decompress_ptr codec) { (void)codec; }

/* All bytes are there from the start, so a wish for more means that the file is cut. */
static boolean fill_source(j_decompress_ptr codec) {
    leave((j_common_ptr)codec, VIREO_IMAGE_TRUNCATED);
}

static void skip_source(j_decompress_ptr codec, long count) {
    if (count <= 0) return;
    if ((size_t)count > codec->src->bytes_in_buffer) leave((j_common_ptr)codec, VIREO_IMAGE_TRUNCATED);
    codec->src->next_input_byte += count;
    codec->src->bytes_in_buffer -= (size_t)count;
}

/* a * b / 255, rounded. */
static inline uint32_t product255(uint32_t a, uint32_t b) {
    uint32_t t = a * b + 128;
    return ((t >> 8) + t) >> 8;
}

/* One row of inverted (Adobe) CMYK to RGB: with c, m, y, k as meant, white - k - c * (white - k) / 255. */
static void convert_cmyk_row(const uint8_t *row, size_t width, uint8_t *out) {
    for (size_t x = 0; x < width; x++, row += 4, out += 3) {
        uint32_t light = row[3];
        for (int channel = 0; channel < 3; channel++)
            out[channel] = (uint8_t)(light - product255(255u - row[channel], light));
    }
}

static void decode_rows(j_decompress_ptr codec, uint8_t *out) {
    size_t width = codec->output_width;
    JSAMPARRAY inks = NULL;
    if (codec->out_color_space == JCS_CMYK)
        inks = codec->mem->alloc_sarray((j_common_ptr)codec, JPOOL_IMAGE, (JDIMENSION)(width * 4), 1);
    while (codec->output_scanline < codec->output_height) {
        JSAMPROW row = out;
        if (jpeg_read_scanlines(codec, inks ? inks : &row, 1) != 1) leave((j_common_ptr)codec, VIREO_IMAGE_TRUNCATED);
        if (inks) convert_cmyk_row(inks[0], width, out);
        out += width * 3;
    }
}

int vireo_jpeg_decode(const uint8_t *bytes, size_t count, uint32_t width, uint32_t height, uint8_t *out) {
    struct jpeg_decompress_struct codec;
    vireo_jpeg_state state;
    memset(&codec, 0, sizeof codec);
    memset(&state, 0, sizeof state);
    codec.err = jpeg_std_error(&state.errors);
    state.errors.error_exit = on_error;
    state.errors.emit_message = on_message;
    state.errors.output_message = on_output;
    if (setjmp(state.exit)) {
        jpeg_destroy_decompress(&codec);
        return state.status;
    }
    jpeg_create_decompress(&codec);
    state.source.next_input_byte = bytes;
    state.source.bytes_in_buffer = count;
    state.source.init_source = start_source;
    state.source.fill_input_buffer = fill_source;
    state.source.skip_input_data = skip_source;
    state.source.resync_to_restart = jpeg_resync_to_restart;
    state.source.term_source = start_source;
    codec.src = &state.source;
    state.progress.progress_monitor = on_progress;
    codec.progress = &state.progress;

    jpeg_read_header(&codec, TRUE);
    if (codec.image_width != width || codec.image_height != height) leave((j_common_ptr)&codec, VIREO_IMAGE_CORRUPT);
    switch (codec.num_components) {
    case 1: case 3: codec.out_color_space = JCS_RGB; break;
    case 4: codec.out_color_space = JCS_CMYK; break;
    default: leave((j_common_ptr)&codec, VIREO_IMAGE_UNSUPPORTED);
    }
    /* Coefficients of a progressive file: 2 bytes a sample, up to 4 samples a pixel, and padding to whole blocks. */
    codec.mem->max_memory_to_use = (long)((size_t)(width + 64) * (height + 64) * 10 + (1u << 24));
    jpeg_start_decompress(&codec);
    decode_rows(&codec, out);
    jpeg_finish_decompress(&codec);
    jpeg_destroy_decompress(&codec);
    return VIREO_IMAGE_OK;
}
