/* GIF by giflib: the first frame on the screen, as Pillow shows it. What the frame leaves uncovered is transparent
   when the frame has a transparent index, and colour 0 otherwise. */

#include "CImageCodecs.h"

#include <stdlib.h>
#include <string.h>

#include <gif_lib.h>

/* The bytes not yet read. */
typedef struct {
    const uint8_t *next;
    size_t left;
    int cut;
} vireo_gif_state;

static int read_bytes(GifFileType *file, GifByteType *out, int count) {
    vireo_gif_state *state = file->UserData;
    if (count < 0) return 0;
    if ((size_t)count > state->left) {
        state->cut = 1;
        count = (int)state->left;
    }
    memcpy(out, state->next, (size_t)count);
    state->next += count;
    state->left -= (size_t)count;
    return count;
}

/* Reads up to the first image descriptor; the transparent index goes to clear (-1 for none). */
static int find_frame(GifFileType *file, int *clear) {
    *clear = NO_TRANSPARENT_COLOR;
    for (;;) {
        GifRecordType record;
        if (DGifGetRecordType(file, &record) == GIF_ERROR) return 0;
        if (record == IMAGE_DESC_RECORD_TYPE) return DGifGetImageDesc(file) == GIF_OK;
        if (record != EXTENSION_RECORD_TYPE) return 0;
        int code = 0;
        GifByteType *block = NULL;
        if (DGifGetExtension(file, &code, &block) == GIF_ERROR) return 0;
        GraphicsControlBlock control;
        if (block && code == GRAPHICS_EXT_FUNC_CODE && DGifExtensionToGCB(block[0], block + 1, &control) == GIF_OK)
            *clear = control.TransparentColor;
        while (block)
            if (DGifGetExtensionNext(file, &block) == GIF_ERROR) return 0;
    }
}

/* Fills the 256 colours: a file without a colour table is grey, entries a table lacks are black. */
static void make_colours(const GifFileType *file, int clear, uint8_t colours[256][3]) {
    const ColorMapObject *map = file->Image.ColorMap ? file->Image.ColorMap : file->SColorMap;
    for (int i = 0; i < 256; i++) {
        if (!map) memset(colours[i], i, 3);
        else if (i < map->ColorCount) memcpy(colours[i], &map->Colors[i], 3);
        else memset(colours[i], 0, 3);
    }
    if (clear >= 0 && clear < 256) memset(colours[clear], 255, 3);
}

static int decode_frame(GifFileType *file, size_t width, size_t height, uint8_t *out) {
    int clear;
    if (!find_frame(file, &clear)) return VIREO_IMAGE_CORRUPT;
    size_t left = (size_t)file->Image.Left, top = (size_t)file->Image.Top;
    size_t columns = (size_t)file->Image.Width, rows = (size_t)file->Image.Height;
    if (columns == 0 || rows == 0 || left + columns > width || top + rows > height) return VIREO_IMAGE_CORRUPT;
    uint8_t colours[256][3];
    make_colours(file, clear, colours);
    if (columns < width || rows < height) {
        const uint8_t *base = colours[clear >= 0 && clear < 256 ? clear : 0];
        for (size_t i = 0; i < width * height; i++) memcpy(out + i * 3, base, 3);
    }
    uint8_t *line = malloc(columns);
    if (!line) return VIREO_IMAGE_NO_MEMORY;
    static const size_t starts[4] = {0, 4, 2, 1}, steps[4] = {8, 8, 4, 2};
    int interlaced = file->Image.Interlace, passes = interlaced ? 4 : 1, status = VIREO_IMAGE_OK;
    for (int pass = 0; pass < passes && status == VIREO_IMAGE_OK; pass++) {
        size_t start = interlaced ? starts[pass] : 0, step = interlaced ? steps[pass] : 1;
        for (size_t y = start; y < rows; y += step) {
            if (DGifGetLine(file, line, (int)columns) == GIF_ERROR) {
                status = VIREO_IMAGE_CORRUPT;
                break;
            }
            uint8_t *to = out + ((top + y) * width + left) * 3;
            for (size_t x = 0; x < columns; x++) memcpy(to + x * 3, colours[line[x]], 3);
        }
    }
    free(line);
    return status;
}

int vireo_gif_decode(const uint8_t *bytes, size_t count, uint32_t width, uint32_t height, uint8_t *out) {
    vireo_gif_state state = {.next = bytes, .left = count, .cut = 0};
    int code = 0;
    GifFileType *file = DGifOpen(&state, read_bytes, &code);
    if (!file) return state.cut ? VIREO_IMAGE_TRUNCATED : VIREO_IMAGE_CORRUPT;
    int status = decode_frame(file, width, height, out);
    DGifCloseFile(file, &code);
    return status == VIREO_IMAGE_CORRUPT && state.cut ? VIREO_IMAGE_TRUNCATED : status;
}
