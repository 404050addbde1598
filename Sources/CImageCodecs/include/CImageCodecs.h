/* Thin C shims over the image libraries, and the byte loops that Swift leaves to C.
   Every decoder writes RGB8 laid on white into a buffer of the caller, who has read the header and knows the size. */

#ifndef VIREO_IMAGE_CODECS_H
#define VIREO_IMAGE_CODECS_H

#include <stddef.h>
#include <stdint.h>

/* What a decoder or a byte loop answers. */
enum {
    VIREO_IMAGE_OK = 0,
    VIREO_IMAGE_CORRUPT = 1,       /* the data contradicts its format */
    VIREO_IMAGE_TRUNCATED = 2,     /* the data ends too early */
    VIREO_IMAGE_UNSUPPORTED = 3,   /* a variant of the format that is not decoded */
    VIREO_IMAGE_TOO_COMPLEX = 4,   /* more scans than are worth decoding */
    VIREO_IMAGE_NO_MEMORY = 5,     /* an allocation failed */
};

/* Decodes a baseline or progressive JPEG of exactly width x height pixels into out, [height, width, 3] bytes. */
int vireo_jpeg_decode(const uint8_t *bytes, size_t count, uint32_t width, uint32_t height, uint8_t *out);

/* Decodes a PNG (of an animated one the still picture) of exactly width x height pixels into out, [height, width, 3]. */
int vireo_png_decode(const uint8_t *bytes, size_t count, uint32_t width, uint32_t height, uint8_t *out);

/* Decodes the first frame of a GIF into out, [height, width, 3]: the screen with the frame laid on it. */
int vireo_gif_decode(const uint8_t *bytes, size_t count, uint32_t width, uint32_t height, uint8_t *out);

/* Decodes one WebP picture (a file, or the payload of a frame) of exactly width x height pixels into out, whose rows
   are stride bytes apart. Transparency is laid on white when has_alpha is not 0, and dropped otherwise. */
int vireo_webp_decode(const uint8_t *bytes, size_t count, uint32_t width, uint32_t height, int has_alpha,
                      uint8_t *out, size_t out_count, size_t stride);

/* Turns source, [height, width, 3], by an EXIF orientation of 1...8 into out; 5...8 exchange width and height. */
void vireo_orient_rgb8(const uint8_t *source, size_t width, size_t height, int orientation, uint8_t *out);

/* The filters of vireo_resize_rgb8. */
enum { VIREO_BILINEAR = 0, VIREO_BICUBIC = 1, VIREO_LANCZOS = 2 };

/* Resizes source, [height, width, 3], to out, [out_height, out_width, 3], with Pillow's arithmetic.
   portable not 0 keeps to the plain loops, which give the same bytes. Answers VIREO_IMAGE_OK or VIREO_IMAGE_NO_MEMORY. */
int vireo_resize_rgb8(const uint8_t *source, size_t width, size_t height,
                      uint8_t *out, size_t out_width, size_t out_height, int filter, int portable);

/* How many taps an output pixel has at most when in pixels become out, rounded up to a multiple of 4. */
size_t vireo_resize_tap_count(size_t in, size_t out, int filter);
/* Writes for each output pixel its first input and how many there are to first and count, [out], and its weights, of 22
   fractional bits, to weights, [tap count, out], zeros past the last. Answers VIREO_IMAGE_OK or VIREO_IMAGE_NO_MEMORY. */
int vireo_resize_taps(size_t in, size_t out, int filter, int32_t *first, int32_t *count, int32_t *weights);

/* Decodes count characters (a multiple of 4, without padding) of base64 into count / 4 * 3 bytes; 0 when one of them
   is outside the standard alphabet, else 1. */
int vireo_base64_decode(const uint8_t *text, size_t count, uint8_t *out);

/* A running SHA-256. */
typedef struct {
    uint32_t state[8];
    uint64_t byte_count;
    uint8_t block[64];
    int portable;
} vireo_sha256;

/* Starts a digest; portable not 0 keeps to the plain rounds. */
void vireo_sha256_begin(vireo_sha256 *hash, int portable);
/* Adds count bytes. */
void vireo_sha256_add(vireo_sha256 *hash, const uint8_t *bytes, size_t count);
/* Writes the digest, 32 bytes. */
void vireo_sha256_end(vireo_sha256 *hash, uint8_t *digest);

#endif
