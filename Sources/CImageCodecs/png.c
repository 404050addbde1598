/* PNG by libpng, without its transformations: rows arrive as stored and are converted here as Pillow converts them.
   Grey of 16 bits is clipped to 255, colour of 16 bits keeps its high byte, a colour key is compared as stored. */

#include "CImageCodecs.h"
#include "composite.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

/* What the library's callbacks share. */
typedef struct {
    const uint8_t *next;
    size_t left;
    jmp_buf exit;
    int status;
} vireo_png_state;

/* How a stored row becomes RGB8. */
typedef struct {
    int kind;                /* PNG_COLOR_TYPE_… */
    int depth;               /* bits a sample */
    int has_key;             /* whether key is a transparent colour */
    uint16_t key[3];
    uint8_t colours[256][3]; /* for samples of up to 8 bits: palette or grey ramp, laid on white */
} vireo_png_layout;

static _Noreturn void on_error(png_structp codec, png_const_charp message) {
    (void)message;
    vireo_png_state *state = png_get_error_ptr(codec);
    longjmp(state->exit, 1);
}

static void on_warning(png_structp codec, png_const_charp message) {
    (void)codec;
    (void)message;
}

static void read_bytes(png_structp codec, png_bytep out, size_t count) {
    vireo_png_state *state = png_get_io_ptr(codec);
    if (count > state->left) {
        state->status = VIREO_IMAGE_TRUNCATED;
        png_error(codec, "cut");
    }
    memcpy(out, state->next, count);
    state->next += count;
    state->left -= count;
}

/* Fills layout->colours for a palette: entries the file lacks are opaque black. */
static void make_palette(png_structp codec, png_infop facts, vireo_png_layout *layout) {
    png_colorp palette = NULL;
    png_bytep alpha = NULL;
    int colour_count = 0, alpha_count = 0;
    if (!png_get_PLTE(codec, facts, &palette, &colour_count)) png_error(codec, "no palette");
    png_get_tRNS(codec, facts, &alpha, &alpha_count, NULL);
    for (int i = 0; i < colour_count && i < 256; i++) {
        uint8_t a = alpha && i < alpha_count ? alpha[i] : 255;
        layout->colours[i][0] = vireo_on_white(palette[i].red, a);
        layout->colours[i][1] = vireo_on_white(palette[i].green, a);
        layout->colours[i][2] = vireo_on_white(palette[i].blue, a);
    }
}

/* Fills layout->colours for grey of 1, 2, 4 or 8 bits. */
static void make_ramp(vireo_png_layout *layout) {
    int top = (1 << layout->depth) - 1;
    for (int i = 0; i <= top; i++) {
        int clear = layout->has_key && (layout->key[0] & top) == i;
        memset(layout->colours[i], clear ? 255 : i * 255 / top, 3);
    }
}

static void read_layout(png_structp codec, png_infop facts, vireo_png_layout *layout) {
    memset(layout, 0, sizeof *layout);
    layout->kind = png_get_color_type(codec, facts);
    layout->depth = png_get_bit_depth(codec, facts);
    if (layout->kind == PNG_COLOR_TYPE_PALETTE) {
        make_palette(codec, facts, layout);
        return;
    }
    png_color_16p key = NULL;
    if (!(layout->kind & PNG_COLOR_MASK_ALPHA) && png_get_tRNS(codec, facts, NULL, NULL, &key) && key) {
        uint16_t mask = layout->depth == 16 ? 0xffff : (uint16_t)((1 << layout->depth) - 1);
        int grey = layout->kind == PNG_COLOR_TYPE_GRAY;
        layout->has_key = 1;
        layout->key[0] = (grey ? key->gray : key->red) & mask;
        layout->key[1] = key->green & mask;
        layout->key[2] = key->blue & mask;
    }
    if (layout->kind == PNG_COLOR_TYPE_GRAY && layout->depth <= 8) make_ramp(layout);
}

/* Samples of up to 8 bits, packed from the high bits down, through the table. */
static void convert_indexed(const vireo_png_layout *layout, const uint8_t *row, size_t width, uint8_t *out) {
    int depth = layout->depth, mask = (1 << depth) - 1;
    for (size_t x = 0; x < width; x++, out += 3) {
        size_t bit = x * (size_t)depth;
        int index = (row[bit >> 3] >> (8 - depth - (int)(bit & 7))) & mask;
        memcpy(out, layout->colours[index], 3);
    }
}

static void convert_grey16(const vireo_png_layout *layout, const uint8_t *row, size_t width, uint8_t *out) {
    for (size_t x = 0; x < width; x++, row += 2, out += 3) {
        int value = row[0] << 8 | row[1];
        int clear = layout->has_key && value == layout->key[0];
        memset(out, clear || value > 255 ? 255 : value, 3);
    }
}

/* RGB of 8 or 16 bits; step is the bytes of a sample. */
static void convert_colour(const vireo_png_layout *layout, const uint8_t *row, size_t width, uint8_t *out) {
    size_t step = (size_t)layout->depth / 8;
    if (step == 1 && !layout->has_key) {
        memcpy(out, row, width * 3);
        return;
    }
    for (size_t x = 0; x < width; x++, row += 3 * step, out += 3) {
        int same = 0;
        for (size_t channel = 0; channel < 3; channel++) {
            const uint8_t *sample = row + channel * step;
            uint16_t stored = step == 2 ? (uint16_t)(sample[0] << 8 | sample[1]) : sample[0];
            same += stored == layout->key[channel];
            out[channel] = sample[0];
        }
        if (layout->has_key && same == 3) memset(out, 255, 3);
    }
}

/* Grey or colour with alpha, of 8 or 16 bits. */
static void convert_alpha(const vireo_png_layout *layout, const uint8_t *row, size_t width, uint8_t *out) {
    size_t step = (size_t)layout->depth / 8;
    size_t colours = layout->kind == PNG_COLOR_TYPE_GRAY_ALPHA ? 1 : 3;
    for (size_t x = 0; x < width; x++, row += (colours + 1) * step, out += 3) {
        uint8_t alpha = row[colours * step];
        for (size_t channel = 0; channel < 3; channel++)
            out[channel] = vireo_on_white(row[colours == 3 ? channel * step : 0], alpha);
    }
}

static void convert_row(const vireo_png_layout *layout, const uint8_t *row, size_t width, uint8_t *out) {
    if (layout->kind & PNG_COLOR_MASK_ALPHA) convert_alpha(layout, row, width, out);
    else if (layout->kind == PNG_COLOR_TYPE_RGB) convert_colour(layout, row, width, out);
    else if (layout->depth == 16) convert_grey16(layout, row, width, out);
    else convert_indexed(layout, row, width, out);
}

/* Reads the rows of every pass; those of an interlaced file are spread over out. */
static void decode_rows(png_structp codec, const vireo_png_layout *layout, uint32_t width, uint32_t height,
                        int interlaced, uint8_t *row, uint8_t *colours, uint8_t *out) {
    if (!interlaced) {
        for (size_t y = 0; y < height; y++) {
            png_read_row(codec, row, NULL);
            convert_row(layout, row, width, out + y * width * 3);
        }
        return;
    }
    for (int pass = 0; pass < PNG_INTERLACE_ADAM7_PASSES; pass++) {
        uint32_t columns = PNG_PASS_COLS(width, pass), rows = PNG_PASS_ROWS(height, pass);
        if (columns == 0) continue;
        for (uint32_t y = 0; y < rows; y++) {
            png_read_row(codec, row, NULL);
            convert_row(layout, row, columns, colours);
            uint8_t *line = out + (size_t)PNG_ROW_FROM_PASS_ROW(y, pass) * width * 3;
            for (uint32_t x = 0; x < columns; x++)
                memcpy(line + (size_t)PNG_COL_FROM_PASS_COL(x, pass) * 3, colours + (size_t)x * 3, 3);
        }
    }
}

int vireo_png_decode(const uint8_t *bytes, size_t count, uint32_t width, uint32_t height, uint8_t *out) {
    vireo_png_state state = {.next = bytes, .left = count, .status = VIREO_IMAGE_CORRUPT};
    png_structp codec = png_create_read_struct(PNG_LIBPNG_VER_STRING, &state, on_error, on_warning);
    if (!codec) return VIREO_IMAGE_NO_MEMORY;
    png_infop facts = NULL;
    uint8_t *volatile rows = NULL;
    int status = VIREO_IMAGE_OK;
    if (setjmp(state.exit)) {
        free(rows);
        png_destroy_read_struct(&codec, &facts, NULL);
        return state.status;
    }
    facts = png_create_info_struct(codec);
    if (!facts) {
        state.status = VIREO_IMAGE_NO_MEMORY;
        png_error(codec, "no memory");
    }
    png_set_read_fn(codec, &state, read_bytes);
    png_set_user_limits(codec, width, height);
    png_set_crc_action(codec, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    /* Only what makes pixels is kept: text, profiles and metadata are neither inflated nor stored. */
    png_set_keep_unknown_chunks(codec, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_read_info(codec, facts);
    if (png_get_image_width(codec, facts) != width || png_get_image_height(codec, facts) != height)
        png_error(codec, "size");
    vireo_png_layout layout;
    read_layout(codec, facts, &layout);
    size_t row_bytes = png_get_rowbytes(codec, facts);
    rows = malloc(row_bytes + (size_t)width * 3);
    if (!rows) {
        state.status = VIREO_IMAGE_NO_MEMORY;
        png_error(codec, "no memory");
    }
    int interlaced = png_get_interlace_type(codec, facts) != PNG_INTERLACE_NONE;
    decode_rows(codec, &layout, width, height, interlaced, rows, rows + row_bytes, out);
    png_read_end(codec, NULL);
    free(rows);
    png_destroy_read_struct(&codec, &facts, NULL);
    return status;
}
