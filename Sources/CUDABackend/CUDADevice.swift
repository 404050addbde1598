import CCUDA
import Synchronization
package import Tensors

/// An NVIDIA GPU as a device.
///
/// Operands, weights and the cache are bf16; sums are f32. Work is enqueued and done in order; what goes wrong turns up
/// as an error of `read`, `wait` or a sampler's `result`.
package final class CUDADevice: Device, @unchecked Sendable {
    // Safe: all properties are written once; what changes is in mutexes.
    package let operators: any Operators
    package var pictureOperators: (any PictureOperators)? { kernels }
    let stream: CUDAStream
    let compiler: KernelCompiler
    private let uploads: UploadLane
    private let uploading = Mutex(())
    let lanes: LanePool
    private let replays = Mutex(Replays())
    /// Whether another rank has the same GPU.
    ///
    /// Then nothing is recorded: a record does not wait until all ranks are there.
    let sharesGPU = Atomic<Bool>(false)
    let kernels: CUDAOperators

    /// The GPU `ordinal`, with libraries looked for in `libraryFolder` first; compiled kernels are kept in the user's
    /// cache folder.
    package convenience init(ordinal: Int = 0, libraryFolder: String? = nil) throws(DeviceError) {
        try self.init(
            libraries: CUDALibraries(folder: libraryFolder), ordinal: ordinal, store: KernelStore.usual)
    }

    init(libraries: CUDALibraries, ordinal: Int, store: KernelStore) throws(DeviceError) {
        stream = try CUDAStream(libraries: libraries, ordinal: ordinal)
        compiler = KernelCompiler(stream: stream, store: store)
        try compiler.loadAll()
        uploads = try UploadLane(stream: stream, parts: 8, partByteCount: 4 << 20)
        lanes = LanePool(stream: stream)
        let matmul = try Matmul(
            stream: stream, workspace: Self.storage(stream, byteCount: 64 << 20), store: store)
        kernels = try CUDAOperators(stream: stream, compiler: compiler, matmul: matmul)
        operators = kernels
    }

    /// Whether this machine has NVIDIA's driver and a GPU.
    package static var isPresent: Bool {
        guard let libraries = try? CUDALibraries.driver(folder: nil) else { return false }
        var count: Int32 = 0
        return unsafe libraries.`init`(0) == 0 && libraries.device_count(&count) == 0 && count > 0
    }

    package var name: String {
        let properties = stream.properties
        return "\(properties.name) (sm_\(properties.capability.major)\(properties.capability.minor))"
    }

    package var isAsynchronous: Bool { true }
    package var preferredTokensPerStep: Int { 8192 }
    package var preferredTilesPerStep: Int { 16 }

    package var freeByteCount: Int {
        stream.enter()
        var free = 0, total = 0
        unsafe stream.note(stream.libraries.driver.memory_info(&free, &total), "asking for free memory")
        return free
    }

    package func checkHeads(headDim: Int, turningPairs: Int) throws(DeviceError) {
        guard headDim.isMultiple(of: 8), (16...256).contains(headDim) else {
            throw .failed(
                "attention heads of \(headDim) values are not supported on a GPU, but multiples of 8 from 16 to 256; "
                    + "--device cpu takes any")
        }
        let shared = stream.properties.sharedByteCount
        guard AttentionShape(headDim: headDim, pageSize: 16, sharedByteCount: shared) != nil else {
            throw .failed(
                "attention heads of \(headDim) values need more than the \(shared) bytes of shared memory of a block on "
                    + "this GPU; --device cpu takes any")
        }
        guard turningPairs.isMultiple(of: 4) else {
            throw .failed(
                "\(turningPairs) turning pairs a head are not supported on a GPU, but multiples of 4; --device cpu takes "
                    + "any number")
        }
    }

    package func checkRows(_ count: Int) throws(DeviceError) {
        guard count <= RowKernels.mostColumns else {
            throw .failed(
                "rows of \(count) values are not supported on a GPU, but up to \(RowKernels.mostColumns); --device cpu "
                    + "takes any")
        }
    }

    package func checkExperts(count: Int, topCount: Int, hidden: Int) throws(DeviceError) {
        let (mostExperts, mostChosen) = (ExpertKernels.mostExperts, ExpertKernels.mostChosen)
        guard count <= mostExperts, topCount <= mostChosen else {
            throw .failed(
                "mixtures of \(topCount) out of \(count) experts are not supported on a GPU, but of up to \(mostChosen) out "
                    + "of up to \(mostExperts); --device cpu takes any")
        }
        guard hidden.isMultiple(of: 8) else {
            throw .failed(
                "experts on rows of \(hidden) values are not supported on a GPU, but on multiples of 8; --device cpu takes "
                    + "any")
        }
    }

    package func allocate(byteCount: Int) throws(DeviceError) -> Storage {
        let storage = try Self.storage(stream, byteCount: byteCount)
        stream.fill(storage.address, byteCount: storage.byteCount)
        return storage
    }

    /// Memory of unspecified content.
    static func storage(_ stream: CUDAStream, byteCount: Int) throws(DeviceError) -> Storage {
        stream.enter()
        let length = max(256, byteCount)
        var address: UInt64 = 0
        let outOfMemory: Int32 = 2
        let status = unsafe stream.libraries.driver.allocate(&address, length)
        if status == outOfMemory { throw .outOfMemory(requested: byteCount) }
        try CUDAStream.attempt(stream.libraries, status, "allocating \(byteCount) bytes")
        return Storage(address: UInt(address), byteCount: length) { address in
            stream.enter()
            stream.note(stream.libraries.driver.free(UInt64(address)), "giving memory back")
        }
    }

    package func write(_ bytes: UnsafeRawBufferPointer, to target: Tensor) {
        precondition(bytes.count <= target.byteCount, "the bytes fit the tensor")
        uploading.withLock { _ in unsafe uploads.send(bytes, to: target.address) }
    }

    package func read(_ source: Tensor, into bytes: UnsafeMutableRawBufferPointer) throws(DeviceError) {
        precondition(bytes.count >= source.byteCount, "the buffer has room for the tensor")
        guard let target = bytes.baseAddress else { return }
        stream.enter()
        unsafe stream.copyOut(source.address, to: target, byteCount: source.byteCount)
        try stream.wait()
    }

    package func wait() throws(DeviceError) { try stream.wait() }
    package func check() throws(DeviceError) { try stream.check() }

    package func load(_ source: Tensor, as elementType: ElementType) throws(DeviceError) -> Tensor {
        let storage = try Self.storage(stream, byteCount: source.elementCount * elementType.byteCount)
        let target = Tensor(storage, shape: source.shape, elementType: elementType)
        try lanes.withLane { (lane) throws(DeviceError) in
            try kernels.upload(source, to: target, scale: nil, lane: lane)
        }
        return target
    }

    package func prepareLinear(
        weights parts: [Tensor], bias: [Tensor], scale: Tensor?, format: WeightFormat,
    ) throws(DeviceError) -> any LinearWeights {
        try Self.check(format)
        let rows = parts.reduce(0) { $0 + $1.shape.rowCount }, columns = parts.first?.shape.columnCount ?? 0
        let matrix = Tensor(
            try Self.storage(stream, byteCount: rows * columns * 2), shape: [rows, columns],
            elementType: .bf16)
        let scales = try scale.map { (scale) throws(DeviceError) in try load(scale, as: .f32) }
        let vector =
            bias.isEmpty
            ? nil : Tensor(try Self.storage(stream, byteCount: rows * 4), shape: [rows], elementType: .f32)
        let rounded =
            bias.isEmpty
            ? nil : Tensor(try Self.storage(stream, byteCount: rows * 2), shape: [rows], elementType: .bf16)
        try lanes.withLane { (lane) throws(DeviceError) in
            var row = 0
            for part in parts {
                let range = row..<(row + part.shape.rowCount)
                try kernels.upload(part, to: matrix[range], scale: scales?[range], lane: lane)
                row = range.upperBound
            }
            var start = 0
            for part in bias {
                let range = start..<(start + part.elementCount)
                for target in [vector?[range], rounded?[range]].compactMap(\.self) {
                    try kernels.upload(
                        part.reshaped([part.elementCount, 1]), to: target.reshaped([part.elementCount, 1]),
                        scale: scales?[range], lane: lane)
                }
                start = range.upperBound
            }
        }
        return CUDAWeights(matrix: matrix, bias: vector, roundedBias: rounded)
    }

    /// Throws for weights that are not kept in bf16.
    static func check(_ format: WeightFormat) throws(DeviceError) {
        switch format {
        case .plain(.bf16): break
        case .plain(let elementType): throw .unsupportedConversion(from: .bf16, to: elementType)
        case .int8, .int4:
            throw .failed(
                "a GPU keeps weights in bfloat16 in this version; \(format.name) weights are for --device cpu"
            )
        }
    }

    package func makeSampler(capacity: Int, vocabularyCount: Int) throws(DeviceError) -> any TokenSampler {
        try CUDASampler(
            device: self, compiler: compiler, capacity: capacity, vocabularyCount: vocabularyCount)
    }

    // MARK: Repeated work

    package func learn(_ body: () throws(DeviceError) -> Void) throws(DeviceError) {
        // Times say nothing beside the work of another rank.
        guard !sharesGPU.load(ordering: .relaxed) else { return try body() }
        try kernels.matmul.tune(after: body)
    }

    /// Records of work; all of the same generation.
    private struct Replays {
        var generation = 0
        /// Graphs by key; nil for work that was done once and not recorded yet.
        var graphs: [ReplayKey: UInt?] = [:]
    }

    /// 1, 2, 4, 8, then multiples of 8, from 64 on of 16, from 256 on of 32.
    package func paddedCount(_ count: Int) -> Int {
        if count <= 8 { return count <= 2 ? max(1, count) : count <= 4 ? 4 : 8 }
        let step = count <= 64 ? 8 : count <= 256 ? 16 : 32
        return (count + step - 1) / step * step
    }

    /// Begins to time what `detail` says.
    package func beginProfile(_ detail: ProfileDetail) { stream.profile.begin(detail) }

    /// The times since `beginProfile`, the longest first, after all work is done.
    package func endProfile() throws(DeviceError) -> [KernelTime] {
        try stream.wait()
        return stream.profile.end()
    }

    package func replay(_ key: ReplayKey, _ body: () throws(DeviceError) -> Void) throws(DeviceError) {
        if stream.profile.detail == .kernels || sharesGPU.load(ordering: .relaxed) { return try body() }
        let known = replays.withLock { replays -> UInt?? in
            if replays.generation != key.generation {
                for case let graph? in replays.graphs.values { destroy(graph) }
                replays = Replays(generation: key.generation, graphs: [:])
            }
            return replays.graphs[key]
        }
        switch known {
        case nil:
            // The first time shows what memory and kernels it needs, which a record cannot take.
            try body()
            replays.withLock { $0.graphs[key] = .some(nil) }
        case .some(nil):
            let graph = try record(body)
            replays.withLock { $0.graphs[key] = graph }
            launch(graph)
        case .some(let graph?): launch(graph)
        }
    }

    private func launch(_ graph: UInt) {
        stream.enter()
        stream.profile.measure("a step", KernelWork(), .steps, on: stream) {
            unsafe stream.note(
                stream.libraries.driver.launch_graph(
                    UnsafeMutableRawPointer(bitPattern: graph), stream.handle),
                "a recorded step")
        }
    }

    private func destroy(_ graph: UInt) {
        unsafe _ = stream.libraries.driver.destroy_executable(UnsafeMutableRawPointer(bitPattern: graph))
    }

    private func record(_ body: () throws(DeviceError) -> Void) throws(DeviceError) -> UInt {
        stream.enter()
        let driver = stream.libraries.driver
        let threadLocal: Int32 = 1
        try CUDAStream.attempt(
            stream.libraries, unsafe driver.begin_capture(stream.handle, threadLocal), "recording a step")
        var failure: DeviceError?
        do throws(DeviceError) { try body() } catch { failure = error }
        var graph: UnsafeMutableRawPointer?, executable: UnsafeMutableRawPointer?
        let status = unsafe driver.end_capture(stream.handle, &graph)
        defer { if unsafe graph != nil { unsafe _ = driver.destroy_graph(graph) } }
        if let failure { throw failure }
        try CUDAStream.attempt(stream.libraries, status, "recording a step")
        try CUDAStream.attempt(
            stream.libraries, unsafe driver.instantiate(&executable, graph, 0), "preparing a recorded step")
        return UInt(bitPattern: executable)
    }
}
