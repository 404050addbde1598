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

    /// The device for a model kept in `elementType`.
    func make(_ elementType: ElementType) throws -> any Device {
        let processor = CPUDevice(threadCount: threads ?? Processor.coreCount, exact: elementType == .f32)
        if device == .cpu || (device == .auto && elementType == .f32) { return processor }
        guard elementType == .bf16 else {
            throw StartError("--data_type float32 is for --device cpu; a GPU computes in bfloat16")
        }
        if device == .auto, !CUDADevice.isPresent { return processor }
        do throws(DeviceError) {
            return try CUDADevice(ordinal: gpu, libraryFolder: libraryFolder)
        } catch {
            throw StartError("\(error)\(device == .auto ? "; --device cpu runs on the processor" : "")")
        }
    }
}
