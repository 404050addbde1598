#include "state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static float read_value(uint64_t address, int type, uint64_t index) {
    if (type == 0) return ((float *)address)[index];
    unsigned short bits = ((unsigned short *)address)[index];
    if (type == 2) {
        _Float16 half;
        memcpy(&half, &bits, 2);
        return (float)half;
    }
    unsigned wide = (unsigned)bits << 16;
    float value;
    memcpy(&value, &wide, 4);
    return value;
}

// target[i] = source[i] · scale[i / columns], as the kernel of rows.cu does.
static void convert(const uint64_t *p) {
    for (uint64_t i = 0; i < p[5]; i++) {
        float value = read_value(p[0], (int)p[1], i);
        if (p[4]) value *= ((float *)p[4])[i / p[6]];
        if (p[3] == 0) {
            ((float *)p[2])[i] = value;
            continue;
        }
        unsigned bits;
        memcpy(&bits, &value, 4);
        ((unsigned short *)p[2])[i] = (unsigned short)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
}

void stand_in_run(const record *launched) {
    if (!strcmp(launched->name, "convert")) convert(launched->parameters);
}

static int is_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// The parameters of a kernel in a text; 0 when it is not there by name, as those that macros make are not.
static int parameters_in(const char *text, const char *name) {
    size_t length = strlen(name);
    for (const char *at = strstr(text, "KERNEL "); at; at = strstr(at + 1, "KERNEL ")) {
        const char *end = strchr(at, '{'), *found = strstr(at, name);
        while (found && end && found < end && (is_name(found[-1]) || found[length] != '(')) found = strstr(found + 1, name);
        if (!found || !end || found > end) continue;
        int count = 1;
        for (const char *c = found; *c && *c != ')'; c++) {
            if (c[0] == '/' && c[1] == '/') c = strchr(c, '\n');
            count += *c == ',';
        }
        return count;
    }
    return 0;
}

// Whether code of the real compiler, an ELF file, holds a name.
static int holds(const unsigned char *code, const char *name) {
    uint64_t sections;
    uint16_t size, count;
    memcpy(&sections, code + 0x28, 8);
    memcpy(&size, code + 0x3a, 2);
    memcpy(&count, code + 0x3c, 2);
    size_t length = strlen(name) + 1, end = sections + (uint64_t)size * count;
    for (size_t i = 1; i + length <= end; i++)
        if (!code[i - 1] && !memcmp(code + i, name, length)) return 1;
    return 0;
}

static int is_elf(const void *code) { return !memcmp(code, "\177ELF", 4); }

// Modules are never unloaded; ours keep what they were made of.
int stand_in_load_module(void **module, const void *image) {
    ENTER_IN_CONTEXT("load_module");
    if (!is_elf(image)) {
        *module = strdup(image);
        return 0;
    }
    const unsigned char *code = image;
    uint64_t sections, headers;
    uint16_t size, count, header_size, header_count;
    memcpy(&headers, code + 0x20, 8);
    memcpy(&sections, code + 0x28, 8);
    memcpy(&header_size, code + 0x36, 2);
    memcpy(&header_count, code + 0x38, 2);
    memcpy(&size, code + 0x3a, 2);
    memcpy(&count, code + 0x3c, 2);
    uint64_t end = sections + (uint64_t)size * count, other = headers + (uint64_t)header_size * header_count;
    *module = malloc(end > other ? end : other);
    memcpy(*module, image, end);
    return 0;
}

int stand_in_module_function(void **result, void *module, const char *name) {
    ENTER_IN_CONTEXT("module_function");
    if (is_elf(module) && !holds(module, name)) return not_found;
    function *made = calloc(1, sizeof *made);
    snprintf(made->name, sizeof made->name, "%s", name);
    made->shared = 48 << 10;
    made->parameter_count = is_elf(module) ? 0 : parameters_in(module, name);
    *result = made;
    return 0;
}

int stand_in_set_function_attribute(void *pointer, int attribute, int value) {
    ENTER_IN_CONTEXT("set_function_attribute");
    if (attribute != 8) return 0;
    if (value > stand_in_the_gpu.shared_bytes) return invalid_value;
    ((function *)pointer)->shared = value;
    return 0;
}

int stand_in_occupancy(int *count, void *pointer, int threads, size_t shared) {
    (void)pointer, (void)threads, (void)shared;
    ENTER_IN_CONTEXT("occupancy");
    *count = 3;
    return 0;
}

// CUlaunchConfig of cuda.h.
typedef struct {
    unsigned grid[3], block[3], shared;
    void *stream;
    const void *attributes;
    unsigned attribute_count;
} launch_config;

int stand_in_launch_kernel(const void *pointer, void *kernel, void **parameters, void **extra) {
    (void)extra;
    ENTER_IN_CONTEXT("launch");
    const launch_config *config = pointer;
    const function *launched = kernel;
    if (config->grid[1] > 65535 || config->grid[2] > 65535 || config->grid[0] > 0x7fffffff ||
        config->block[0] > 1024 || !config->block[0] || (int)config->shared > launched->shared)
        return invalid_value;
    record made = {.launch = {.block = config->block[0],
                              .shared = config->shared,
                              .overlaps = config->attribute_count > 0,
                              .parameter_count = launched->parameter_count}};
    memcpy(made.launch.grid, config->grid, sizeof made.launch.grid);
    memcpy(made.name, launched->name, sizeof made.name);
    for (int i = 0; i < launched->parameter_count; i++) memcpy(&made.parameters[i], parameters[i], 8);
    return stand_in_enqueue(config->stream, (operation){.kind = LAUNCH, .record = made});
}
