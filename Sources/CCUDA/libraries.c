#include "CCUDA.h"

#include <dlfcn.h>

typedef struct {
    size_t offset;
    const char *name;
} entry;

static const char *find(void *library, void *table, const entry *entries, int count) {
    for (int i = 0; i < count; i++) {
        void *function = dlsym(library, entries[i].name);
        if (!function) return entries[i].name;
        *(void **)((char *)table + entries[i].offset) = function;
    }
    return 0;
}

#define COUNT(entries) (int)(sizeof(entries) / sizeof(entries[0]))

const char *vireo_find_driver(void *library, vireo_driver *table) {
#define E(field, symbol) {offsetof(vireo_driver, field), symbol}
    static const entry entries[] = {
        E(init, "cuInit"),
        E(driver_version, "cuDriverGetVersion"),
        E(device_count, "cuDeviceGetCount"),
        E(device, "cuDeviceGet"),
        E(device_name, "cuDeviceGetName"),
        E(device_attribute, "cuDeviceGetAttribute"),
        E(retain_context, "cuDevicePrimaryCtxRetain"),
        E(set_context, "cuCtxSetCurrent"),
        E(memory_info, "cuMemGetInfo_v2"),
        E(allocate, "cuMemAlloc_v2"),
        E(free, "cuMemFree_v2"),
        E(allocate_host, "cuMemHostAlloc"),
        E(free_host, "cuMemFreeHost"),
        E(copy_in, "cuMemcpyHtoDAsync_v2"),
        E(copy_out, "cuMemcpyDtoHAsync_v2"),
        E(copy, "cuMemcpyDtoDAsync_v2"),
        E(fill, "cuMemsetD8Async"),
        E(create_stream, "cuStreamCreate"),
        E(destroy_stream, "cuStreamDestroy_v2"),
        E(synchronize, "cuStreamSynchronize"),
        E(create_event, "cuEventCreate"),
        E(destroy_event, "cuEventDestroy_v2"),
        E(record, "cuEventRecord"),
        E(wait_event, "cuEventSynchronize"),
        E(elapsed, "cuEventElapsedTime"),
        E(load_module, "cuModuleLoadData"),
        E(module_function, "cuModuleGetFunction"),
        E(set_function_attribute, "cuFuncSetAttribute"),
        E(occupancy, "cuOccupancyMaxActiveBlocksPerMultiprocessor"),
        E(launch, "cuLaunchKernelEx"),
        E(begin_capture, "cuStreamBeginCapture_v2"),
        E(end_capture, "cuStreamEndCapture"),
        E(instantiate, "cuGraphInstantiateWithFlags"),
        E(launch_graph, "cuGraphLaunch"),
        E(destroy_graph, "cuGraphDestroy"),
        E(destroy_executable, "cuGraphExecDestroy"),
        E(error_text, "cuGetErrorString"),
        E(can_access_peer, "cuDeviceCanAccessPeer"),
        E(enable_peer, "cuCtxEnablePeerAccess"),
    };
#undef E
    return find(library, table, entries, COUNT(entries));
}

const char *vireo_find_compiler(void *library, vireo_compiler *table) {
#define E(field, symbol) {offsetof(vireo_compiler, field), symbol}
    static const entry entries[] = {
        E(version, "nvrtcVersion"),
        E(create, "nvrtcCreateProgram"),
        E(destroy, "nvrtcDestroyProgram"),
        E(compile, "nvrtcCompileProgram"),
        E(code_size, "nvrtcGetCUBINSize"),
        E(code, "nvrtcGetCUBIN"),
        E(log_size, "nvrtcGetProgramLogSize"),
        E(log, "nvrtcGetProgramLog"),
        E(error_text, "nvrtcGetErrorString"),
    };
#undef E
    return find(library, table, entries, COUNT(entries));
}

const char *vireo_find_blas(void *library, vireo_blas *table) {
#define E(field, symbol) {offsetof(vireo_blas, field), symbol}
    static const entry entries[] = {
        E(create, "cublasLtCreate"),
        E(version, "cublasLtGetVersion"),
        E(multiply, "cublasLtMatmul"),
        E(create_product, "cublasLtMatmulDescCreate"),
        E(destroy_product, "cublasLtMatmulDescDestroy"),
        E(set_product, "cublasLtMatmulDescSetAttribute"),
        E(create_layout, "cublasLtMatrixLayoutCreate"),
        E(destroy_layout, "cublasLtMatrixLayoutDestroy"),
        E(create_preference, "cublasLtMatmulPreferenceCreate"),
        E(destroy_preference, "cublasLtMatmulPreferenceDestroy"),
        E(set_preference, "cublasLtMatmulPreferenceSetAttribute"),
        E(heuristic, "cublasLtMatmulAlgoGetHeuristic"),
    };
#undef E
    return find(library, table, entries, COUNT(entries));
}

const char *vireo_find_nccl(void *library, vireo_nccl *table) {
#define E(field, symbol) {offsetof(vireo_nccl, field), symbol}
    static const entry entries[] = {
        E(version, "ncclGetVersion"),
        E(make_id, "ncclGetUniqueId"),
        E(join, "ncclCommInitRank"),
        E(start_group, "ncclGroupStart"),
        E(end_group, "ncclGroupEnd"),
        E(all_reduce, "ncclAllReduce"),
        E(abort, "ncclCommAbort"),
        E(error_text, "ncclGetErrorString"),
    };
#undef E
    return find(library, table, entries, COUNT(entries));
}
