#include "CCUDA.h"

#include <string.h>

#pragma clang diagnostic ignored "-Wc23-extensions"

static const char common[] = {
#embed "kernels/common.cuh"
    , 0};
static const char products[] = {
#embed "kernels/products.cu"
    , 0};
static const char attention[] = {
#embed "kernels/attention.cu"
    , 0};
static const char rows[] = {
#embed "kernels/rows.cu"
    , 0};
static const char rotary[] = {
#embed "kernels/rotary.cu"
    , 0};
static const char vision[] = {
#embed "kernels/vision.cu"
    , 0};
static const char sampling[] = {
#embed "kernels/sampling.cu"
    , 0};
static const char experts[] = {
#embed "kernels/experts.cu"
    , 0};
static const char ranks[] = {
#embed "kernels/ranks.cu"
    , 0};

static const struct {
    const char *name, *text;
} sources[] = {
    {"common", common}, {"products", products}, {"attention", attention}, {"rows", rows},
    {"rotary", rotary}, {"vision", vision},     {"sampling", sampling}, {"experts", experts},
    {"ranks", ranks},
};

const char *vireo_kernel_source(const char *name) {
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        if (strcmp(sources[i].name, name) == 0) return sources[i].text;
    }
    return 0;
}
