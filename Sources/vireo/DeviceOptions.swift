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
            "The GPUs of the ranks, by number: 0,1; with --dp those of one replica after another's. By default the first ones; one may be named for several ranks, or for several replicas of --tp 1."
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

    /// The devices of `ranks` ranks of each of `replicas` replicas of a model kept in `elementType`, one replica's after
    /// another's; on the processor replicas may have the same.
    func make(_ elementType: ElementType, count ranks: Int = 1, replicas: Int = 1) throws -> [any Device] {
        let count = ranks * replicas
        let processors = processors(ranks, replicas: replicas, exact: elementType == .f32)
        if device == .cpu || (device == .auto && elementType == .f32) { return processors }
        guard elementType == .bf16 else {
            throw StartError("--data_type float32 is for --device cpu; a GPU computes in bfloat16")
        }
        let gpus = numbers(count)
        if device == .auto, !CUDADevice.isPresent { return processors }
        guard gpus.count == count else {
            throw StartError(
                "--gpu_ids names \(gpus.count) GPUs, but --tp is \(ranks)"
                    + "\(replicas > 1 ? " and --dp \(replicas)" : ""): name one for each rank")
        }
        guard ranks == 1 || replicas == 1 || mostReplicas(onOneOf: gpus, ranks: ranks) == 1 else {
            throw StartError(
                "--gpu_ids \(gpus.map(String.init).joined(separator: ",")) has replicas of --tp \(ranks) ranks on the "
                    + "same GPU, where they would wait for one another; name other GPUs for each")
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

extension DeviceOptions {
    /// How many of `replicas` replicas over `devices` share one device's memory, or the host's.
    func replicasSharing(_ devices: [any Device], replicas: Int) -> Int {
        guard devices[0] is CUDADevice else { return replicas }
        return mostReplicas(onOneOf: numbers(devices.count), ranks: devices.count / replicas)
    }

    /// Parts of the processor for as many ranks; replicas of one rank have the same device, and so the same weights.
    private func processors(_ ranks: Int, replicas: Int, exact: Bool) -> [any Device] {
        let count = ranks * replicas, threads = max(1, (threads ?? Processor.coreCount) / count)
        guard ranks == 1 else {
            return (0..<count).map { _ in CPUDevice(threadCount: threads, exact: exact) }
        }
        let shared = CPUDevice(threadCount: threads, exact: exact, teamCount: replicas)
        return Array(repeating: shared, count: replicas)
    }

    /// The GPUs of `count` ranks.
    private func numbers(_ count: Int) -> [Int] {
        gpus?.numbers ?? visualGPUs?.numbers ?? Array(0..<count)
    }

    /// The most replicas that have one of `gpus` among theirs, which are `ranks` each, one after another.
    private func mostReplicas(onOneOf gpus: [Int], ranks: Int) -> Int {
        var counts: [Int: Int] = [:]
        for first in stride(from: 0, to: gpus.count, by: ranks) {
            for gpu in Set(gpus[first..<min(first + ranks, gpus.count)]) { counts[gpu, default: 0] += 1 }
        }
        return counts.values.max() ?? 1
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
