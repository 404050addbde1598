#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "CKernels.h"

// From this size on memory is mapped by itself, in huge pages where the system has them: fewer TLB misses a
// product.
static const size_t mapped_bytes = (size_t)4 << 20;

void *vireo_allocate(size_t byte_count) {
    if (byte_count > SIZE_MAX - 64) return NULL;
    if (byte_count >= mapped_bytes) {
        void *address = mmap(NULL, byte_count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (address == MAP_FAILED) return NULL;
        madvise(address, byte_count, MADV_HUGEPAGE);
        return address;
    }
    size_t rounded = (byte_count + 63) / 64 * 64;
    void *address = aligned_alloc(64, rounded ? rounded : 64);
    if (address) memset(address, 0, rounded);
    return address;
}

void vireo_free(void *address, size_t byte_count) {
    if (byte_count >= mapped_bytes) {
        munmap(address, byte_count);
    } else {
        free(address);
    }
}

// The number in a file of one number; `otherwise` when there is none.
static size_t read_number(const char *path, size_t otherwise) {
    FILE *file = fopen(path, "r");
    if (!file) return otherwise;
    unsigned long long value;
    size_t result = fscanf(file, "%llu", &value) == 1 ? (size_t)value : otherwise;
    fclose(file);
    return result;
}

size_t vireo_available_bytes(void) {
    size_t available = 0;
    FILE *file = fopen("/proc/meminfo", "r");
    if (file) {
        char line[128];
        unsigned long long kibibytes;
        while (fgets(line, sizeof line, file)) {
            if (sscanf(line, "MemAvailable: %llu kB", &kibibytes) == 1) available = (size_t)kibibytes << 10;
        }
        fclose(file);
    }
    // A control group's limit, where there is one, is what a container really has.
    size_t limit = read_number("/sys/fs/cgroup/memory.max", SIZE_MAX);
    size_t used = read_number("/sys/fs/cgroup/memory.current", 0);
    size_t left = limit > used ? limit - used : 0;
    return left < available ? left : available;
}
