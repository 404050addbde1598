import ArgumentParser
import CPUBackend
import CUDABackend
import Tensors

/// What a model runs on: shared by all sub-commands that run one.
struct DeviceOptions: ParsableArguments {
    /// The kinds of devices.
    enum Kind: String, ExpressibleByArgument, CaseIterable {
        /// A GPU where there is one, else the processor.
        case auto
        case cpu
        case cuda
    }

    @Option(name: .flag("device"), help: "auto (a GPU where there is one), cpu or cuda.")
    var device = Kind.auto

    @Option(name: .flag("gpu_ids"), help: "The GPU to use, by number.")
    var gpu = 0

    @Option(
        name: .flag("cuda_libraries"),
        help:
            "A folder with the CUDA libraries, looked in first; found by themselves in toolkits and Python's wheels."
    )
    var libraryFolder: String?

    @Option(name: .flag("threads"), help: "Threads that compute on the processor; by default one a core.")
    var threads: Int?

    func validate() throws {
        try Bounds.check("--gpu_ids", gpu, 0...255)
        try Bounds.check("--threads", threads, 1...1024)
    }

    /// The devices of `count` ranks of a model kept in `elementType`.
    func make(_ elementType: ElementType, count: Int = 1) throws -> [any Device] {
        let cores = threads ?? Processor.coreCount
        let processors = (0..<count).map { _ in
            CPUDevice(threadCount: max(1, cores / count), exact: elementType == .f32)
        }
        if device == .cpu || (device == .auto && elementType == .f32) { return processors }
        guard elementType == .bf16 else {
            throw StartError("--data_type float32 is for --device cpu; a GPU computes in bfloat16")
        }
        if device == .auto, !CUDADevice.isPresent { return processors }
        guard count == 1 else {
            throw StartError(
                "--tp \(count) is not supported on GPUs yet: use --tp 1, or --device cpu, whose ranks share the cores"
            )
        }
        do throws(DeviceError) {
            return [try CUDADevice(ordinal: gpu, libraryFolder: libraryFolder)]
        } catch {
            throw StartError("\(error)\(device == .auto ? "; --device cpu runs on the processor" : "")")
        }
    }
}
