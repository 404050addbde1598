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

    @Option(
        name: .flag("gpu_ids"),
        help:
            "The GPUs of the ranks, by number: 0,1. By default the first ones; one may be named for several ranks."
    )
    var gpus: NumberList?

    @Option(
        name: .flag("visual_gpu_ids"),
        help: "LightLLM's name for the GPUs of the vision towers; here they are those of --gpu_ids.")
    var visualGPUs: NumberList?

    @Option(
        name: .flag("rank_transport"),
        help:
            "How ranks on GPUs reach each other: peers (each other's memory), nccl, or auto (peers where the GPUs can)."
    )
    var transport = TransportChoice.auto

    @Option(
        name: .flag("cuda_libraries"),
        help:
            "A folder with the CUDA libraries, looked in first; found by themselves in toolkits and Python's wheels."
    )
    var libraryFolder: String?

    @Option(name: .flag("threads"), help: "Threads that compute on the processor; by default one a core.")
    var threads: Int?

    func validate() throws {
        for gpu in gpus?.numbers ?? [] { try Bounds.check("--gpu_ids", gpu, 0...255) }
        try Bounds.check("--threads", threads, 1...1024)
        if let visualGPUs {
            guard Set(visualGPUs.numbers) == Set(gpus?.numbers ?? visualGPUs.numbers) else {
                throw ValidationError(
                    "--visual_gpu_ids \(visualGPUs) are not the GPUs of --gpu_ids: a tower runs where its ranks are"
                )
            }
        }
    }

    /// The ways of ranks on `devices` to each other: all of them, and groups of `size`.
    func collectives(
        _ devices: [any Device], inGroupsOf size: Int,
    ) throws -> [(all: any Collective, group: any Collective)] {
        let gpus = devices.compactMap { $0 as? CUDADevice }
        guard gpus.count == devices.count else {
            return ThreadCollective.ranks(devices.count, inGroupsOf: size).map { ($0.all, $0.group) }
        }
        do throws(DeviceError) {
            let choice =
                switch transport {
                case .auto: CUDACollective.transport(gpus)
                case .peers: RankTransport.peers
                case .nccl: RankTransport.nccl
                }
            return try CUDACollective.ranks(
                gpus, inGroupsOf: size, by: choice, libraryFolder: libraryFolder
            ).map { ($0.all, $0.group) }
        } catch {
            throw StartError("\(error)")
        }
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
        let gpus = gpus?.numbers ?? visualGPUs?.numbers ?? Array(0..<count)
        if device == .auto, !CUDADevice.isPresent { return processors }
        guard gpus.count == count else {
            throw StartError(
                "--gpu_ids names \(gpus.count) GPUs, but --tp is \(count): name one for each rank")
        }
        do throws(DeviceError) {
            return try gpus.map { (gpu) throws(DeviceError) in
                try CUDADevice(ordinal: gpu, libraryFolder: libraryFolder)
            }
        } catch {
            throw StartError("\(error)\(device == .auto ? "; --device cpu runs on the processor" : "")")
        }
    }
}

/// What `--rank_transport` takes.
enum TransportChoice: String, ExpressibleByArgument, CaseIterable {
    case auto
    case peers
    case nccl
}

/// Whole numbers with commas between them.
struct NumberList: ExpressibleByArgument, CustomStringConvertible {
    let numbers: [Int]

    /// Nil for anything else, and for none.
    init?(argument: String) {
        let parts = argument.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
        numbers = parts.compactMap(\.self)
        guard numbers.count == parts.count else { return nil }
    }

    var description: String { numbers.map(String.init).joined(separator: ",") }
}
