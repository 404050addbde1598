/* The standard base64 alphabet (RFC 4648, section 4). */

#include "CImageCodecs.h"

#include <pthread.h>

/* For each place in a group of four, the 24 bits a character stands for; bit 31 marks a character outside. */
static uint32_t places[4][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_places(void) {
    static const char alphabet[65] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int place = 0; place < 4; place++) {
        for (int c = 0; c < 256; c++) places[place][c] = 0x80000000u;
        for (uint32_t value = 0; value < 64; value++)
            places[place][(uint8_t)alphabet[value]] = value << (18 - 6 * place);
    }
}

int vireo_base64_decode(const uint8_t *text, size_t count, uint8_t *out) {
    pthread_once(&once, make_places);
    uint32_t seen = 0;
    for (size_t i = 0; i + 4 <= count; i += 4, out += 3) {
        uint32_t group = places[0][text[i]] | places[1][text[i + 1]] | places[2][text[i + 2]] | places[3][text[i + 3]];
        seen |= group;
        out[0] = (uint8_t)(group >> 16);
        out[1] = (uint8_t)(group >> 8);
        out[2] = (uint8_t)group;
    }
    return seen >> 31 == 0;
}
