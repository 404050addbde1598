import CUDAStandIn
import Tensors
import Testing

@testable import CUDABackend

extension CUDATests {
    @Suite struct DeviceStartTests {
        private func refusal(_ ordinal: Int = 0, _ change: (inout stand_in_gpu) -> Void) -> String {
            var gpu = StandIn.hopper
            change(&gpu)
            let libraries = StandIn.reset(gpu)
            return CUDABackendTests.refusal {
                _ = try CUDADevice(libraries: libraries, ordinal: ordinal, store: KernelStore(folder: nil))
            }
        }

        @Test func `a device says what it is`() throws {
            let device = try StandIn.device()
            #expect(device.name == "Stand-in 0 (sm_90)" && device.isAsynchronous)
            let properties = device.stream.properties
            #expect(properties.architecture == "sm_90a" && properties.overlapsKernels)
            #expect(properties.processorCount == 132 && properties.sharedByteCount == 232_448)
            #expect(properties.driverVersion == 13_000)
            let older = try StandIn.device(StandIn.ampere).stream.properties
            #expect(older.architecture == "sm_80" && !older.overlapsKernels)
        }

        @Test func `an old driver, an old GPU and a GPU that is not there are refused in plain words`() {
            #expect(
                refusal { $0.driver_version = 12_030 }
                    == "the NVIDIA driver is for CUDA 12.3; 12.4 or newer is needed")
            #expect(
                refusal { ($0.major, $0.minor) = (7, 5) }
                    == "Stand-in 0 has compute capability 7.5; 8.0 (Ampere) or newer is needed")
            #expect(
                refusal(3) { $0.count = 2 }
                    == "there is no GPU 3: this machine has 2; choose another with --gpu_ids")
            #expect(refusal { $0.count = 0 } == "starting the driver failed: error 100 of the stand-in")
        }

        @Test func `a GPU number below zero is refused`() { #expect(refusal(-1) { _ in }.contains("GPU -1")) }

        @Test(arguments: [
            "retain_context", "create_stream", "allocate", "allocate_host", "create_event", "load_module",
            "module_function", "blas.create",
        ])
        func `whatever fails at the start is an error and no crash`(function: String) {
            let libraries = StandIn.reset()
            StandIn.fail(function, 999)
            let message = CUDABackendTests.refusal {
                _ = try CUDADevice(libraries: libraries, ordinal: 0, store: KernelStore(folder: nil))
            }
            #expect(StandIn.calls(function) > 0 && message != "nothing was refused")
        }

        @Test func `heads without kernels are refused, and the way out is named`() throws {
            let device = try StandIn.device()
            for headDim in stride(from: 16, through: 256, by: 8) {
                try device.checkHeads(headDim: headDim, turningPairs: headDim / 8 * 4)
            }
            for headDim in [0, 8, 12, 100, 264, 512] {
                let message = CUDABackendTests.refusal {
                    try device.checkHeads(headDim: headDim, turningPairs: 4)
                }
                #expect(message.hasPrefix("attention heads of \(headDim) values are not supported on a GPU"))
                #expect(message.hasSuffix("--device cpu takes any"))
            }
            for pairs in [1, 2, 30] {
                let message = CUDABackendTests.refusal {
                    try device.checkHeads(headDim: 64, turningPairs: pairs)
                }
                #expect(message.hasPrefix("\(pairs) turning pairs a head are not supported on a GPU"))
            }
            try device.checkExperts(count: 512, topCount: 16, hidden: 40)
            for (count, topCount, hidden) in [(513, 8, 64), (128, 17, 64), (128, 8, 36)] {
                let message = CUDABackendTests.refusal {
                    try device.checkExperts(count: count, topCount: topCount, hidden: hidden)
                }
                #expect(
                    message.hasPrefix(
                        hidden == 64
                            ? "mixtures of \(topCount) out of \(count) experts are not supported on a GPU"
                            : "experts on rows of 36 values are not supported on a GPU"))
                #expect(message.hasSuffix("--device cpu takes any"))
            }
            try device.checkRows(16_384)
            let message = CUDABackendTests.refusal { try device.checkRows(16_385) }
            #expect(message.hasPrefix("rows of 16385 values are not supported on a GPU"))
        }
    }
}
