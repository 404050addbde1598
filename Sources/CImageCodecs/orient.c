/* The eight EXIF orientations: every one is a start and two steps through the source. */

#include "CImageCodecs.h"

#include <string.h>

/* Copies pixels `step` bytes apart to adjacent ones. Those in between move as four bytes, the last of which the next
   pixel overwrites; the first and last of a run move as three, for they may end the source or border on pixels done. */
static void copy_pixels(const uint8_t *from, ptrdiff_t step, size_t count, uint8_t *to) {
    memcpy(to, from, 3);
    if (count == 1) return;
    for (size_t x = 1; x + 1 < count; x++) memcpy(to + 3 * x, from + (ptrdiff_t)x * step, 4);
    memcpy(to + 3 * (count - 1), from + (ptrdiff_t)(count - 1) * step, 3);
}

void vireo_orient_rgb8(const uint8_t *source, size_t width, size_t height, int orientation, uint8_t *out) {
    ptrdiff_t w = (ptrdiff_t)width, h = (ptrdiff_t)height;
    ptrdiff_t first = 0, right = 1, down = w; /* in pixels of the source */
    switch (orientation) {
    case 2: first = w - 1; right = -1; down = w; break;            /* mirrored */
    case 3: first = w * h - 1; right = -1; down = -w; break;       /* half a turn */
    case 4: first = (h - 1) * w; right = 1; down = -w; break;      /* upside down, mirrored */
    case 5: first = 0; right = w; down = 1; break;                 /* transposed */
    case 6: first = (h - 1) * w; right = -w; down = 1; break;      /* a quarter turn clockwise */
    case 7: first = w * h - 1; right = -w; down = -1; break;       /* transposed over the other diagonal */
    case 8: first = w - 1; right = w; down = -1; break;            /* a quarter turn anticlockwise */
    default: memcpy(out, source, width * height * 3); return;
    }
    size_t columns = orientation >= 5 ? height : width, rows = orientation >= 5 ? width : height;
    enum { side = 32 }; /* blocks of side x side pixels keep the source's lines in the cache */
    for (size_t top = 0; top < rows; top += side) {
        size_t bottom = top + side < rows ? top + side : rows;
        for (size_t start = 0; start < columns; start += side) {
            size_t end = start + side < columns ? start + side : columns;
            for (size_t y = top; y < bottom; y++) {
                const uint8_t *from = source + 3 * (first + (ptrdiff_t)start * right + (ptrdiff_t)y * down);
                uint8_t *to = out + 3 * (y * columns + start);
                copy_pixels(from, 3 * right, end - start, to);
            }
        }
    }
}
