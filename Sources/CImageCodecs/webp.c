/* WebP by libwebp, one still picture; the container of an animation is read by the caller. */

#include "CImageCodecs.h"
#include "composite.h"

#include <stdlib.h>

#include <webp/decode.h>

static int status_of(VP8StatusCode code) {
    switch (code) {
    case VP8_STATUS_OK: return VIREO_IMAGE_OK;
    case VP8_STATUS_OUT_OF_MEMORY: return VIREO_IMAGE_NO_MEMORY;
    case VP8_STATUS_SUSPENDED: case VP8_STATUS_NOT_ENOUGH_DATA: return VIREO_IMAGE_TRUNCATED;
    case VP8_STATUS_UNSUPPORTED_FEATURE: return VIREO_IMAGE_UNSUPPORTED;
    default: return VIREO_IMAGE_CORRUPT;
    }
}

int vireo_webp_decode(const uint8_t *bytes, size_t count, uint32_t width, uint32_t height, int has_alpha,
                      uint8_t *out, size_t out_count, size_t stride) {
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config)) return VIREO_IMAGE_UNSUPPORTED;
    VP8StatusCode code = WebPGetFeatures(bytes, count, &config.input);
    if (code != VP8_STATUS_OK) return status_of(code);
    if (config.input.has_animation) return VIREO_IMAGE_UNSUPPORTED;
    if ((uint32_t)config.input.width != width || (uint32_t)config.input.height != height) return VIREO_IMAGE_CORRUPT;

    uint8_t *clear = NULL;
    config.output.is_external_memory = 1;
    if (has_alpha) {
        clear = malloc((size_t)width * height * 4);
        if (!clear) return VIREO_IMAGE_NO_MEMORY;
        config.output.colorspace = MODE_RGBA;
        config.output.u.RGBA.rgba = clear;
        config.output.u.RGBA.stride = (int)(width * 4);
        config.output.u.RGBA.size = (size_t)width * height * 4;
    } else {
        config.output.colorspace = MODE_RGB;
        config.output.u.RGBA.rgba = out;
        config.output.u.RGBA.stride = (int)stride;
        config.output.u.RGBA.size = out_count;
    }
    code = WebPDecode(bytes, count, &config);
    WebPFreeDecBuffer(&config.output);
    if (code == VP8_STATUS_OK && clear) {
        for (size_t y = 0; y < height; y++) {
            const uint8_t *from = clear + y * width * 4;
            uint8_t *to = out + y * stride;
            for (size_t x = 0; x < width; x++, from += 4, to += 3)
                for (int channel = 0; channel < 3; channel++) to[channel] = vireo_on_white(from[channel], from[3]);
        }
    }
    free(clear);
    return status_of(code);
}
