import CCUDA
import CUDAStandIn
import Foundation
import Tensors
import Testing

@testable import CUDABackend

/// The folder of NVIDIA's run-time compiler, which needs no GPU; Scripts/check-kernels.sh names it.
private let compilerFolder = ProcessInfo.processInfo.environment["VIREO_NVRTC"]

extension CUDATests {
    /// Every kernel through the real compiler, exactly as a start on a GPU has it.
    @Suite(.enabled(if: compilerFolder != nil, "Scripts/check-kernels.sh runs them"))
    struct KernelSourceTests {
        private func libraries(_ gpu: stand_in_gpu) throws -> CUDALibraries {
            let search = LibrarySearch(override: compilerFolder)
            _ = try search.open(["libnvrtc-builtins.so.13.*"], for: "compiling kernels")
            var compiler = vireo_compiler()
            let library = try search.open(["libnvrtc.so.13"], for: "compiling kernels")
            let missing = unsafe vireo_find_compiler(library.handle, &compiler)
            try #require(unsafe missing == nil)
            _ = StandIn.reset(gpu)
            return CUDALibraries(driver: stand_in_driver(), compiler: compiler, blas: stand_in_blas())
        }

        @Test(arguments: [("sm_80", StandIn.ampere), ("sm_89", StandIn.ada), ("sm_90a", StandIn.hopper)])
        func `every kernel compiles`(architecture: String, gpu: stand_in_gpu) throws {
            let libraries = try libraries(gpu), folder = try TemporaryFolder()
            let store = KernelStore(folder: folder.path)
            // The modules every model needs, and each kernel by its name: the stand-in looks for it in the code.
            let device = try CUDADevice(libraries: libraries, ordinal: 0, store: store)
            #expect(device.stream.properties.architecture == architecture)
            try device.kernels.experts.load()
            let headDims = [256, 128, 96, 80, 72, 64, 16].filter {
                AttentionShape(headDim: $0, pageSize: 16, sharedByteCount: Int(gpu.shared_bytes)) != nil
            }
            #expect(headDims.count >= 6)
            let errors = inParallel(count: headDims.count, threads: 2) { index in
                refusal {
                    let device = try CUDADevice(libraries: libraries, ordinal: 0, store: store)
                    let operators = try #require(device.operators as? CUDAOperators)
                    _ = operators.attention.sized(headDim: headDims[index], pageSize: 16)
                    _ = try RankKernels(device.compiler)
                    try device.wait()
                }
            }
            #expect(errors == Array(repeating: "nothing was refused", count: headDims.count))
            #expect(folder.files.count == 7 + headDims.count)
        }
    }
}
