import Tensors

/// Chooses tokens on the GPU by the kernel of sampling.cu: rules go there, results come back, logits stay.
final class CUDASampler: TokenSampler, @unchecked Sendable {
    // Safe: used by one thread, as the contract says.
    let tokens: Tensor
    private let device: CUDADevice
    private let kernel: CUDAKernel
    private let capacity: Int
    /// Blocks that run at once.
    private let residentCount: Int
    private let rules: Storage
    private let results: Storage
    private let scratch: Storage
    /// i32: the lists of all rules, one behind another; grows.
    private var lists: Tensor
    /// Lists that became too small: giving memory back waits for the device, and with it for ranks that wait for this one.
    private var outgrown: [Tensor] = []
    private let received: PinnedMemory
    private let isReceived: CUDAEvent
    private var ruleCount = 0
    private var rowCount = 0

    // As the kernel's source has them.
    private enum Layout {
        static let ruleByteCount = 104
        static let resultByteCount = 176
        static let chunk = 8192
        static let threads = 256
        static let mostTop = 20
        static let sharedByteCount = 4 * chunk + 8 * 1024 + 8 * 2048 + 1040
        static let mostWidth = 1 << 18

        /// Bytes of scratch for so many rows and chunks a row.
        static func scratchByteCount(rows: Int, chunks: Int) -> Int {
            64 + rows * (56 + 8 * 1024 + 8 * 2048 + 184 * chunks)
        }
    }

    init(device: CUDADevice, compiler: KernelCompiler, capacity: Int, vocabularyCount: Int)
        throws(DeviceError)
    {
        guard vocabularyCount <= Layout.mostWidth else {
            throw .failed(
                "a vocabulary of \(vocabularyCount) is not supported on a GPU: at most \(Layout.mostWidth)")
        }
        self.device = device
        self.capacity = max(1, capacity)
        kernel = try compiler.kernel(
            "sample_rows", KernelModule(source: "sampling"), shared: Layout.sharedByteCount)
        residentCount = device.stream.residentBlocks(
            kernel, threads: Layout.threads, shared: Layout.sharedByteCount)
        tokens = try device.makeTensor([max(1, capacity)], .i32)
        rules = try device.allocate(byteCount: self.capacity * Layout.ruleByteCount)
        results = try device.allocate(byteCount: self.capacity * Layout.resultByteCount)
        let chunks = (vocabularyCount + Layout.chunk - 1) / Layout.chunk
        scratch = try device.allocate(
            byteCount: Layout.scratchByteCount(rows: self.capacity, chunks: chunks))
        lists = try device.makeTensor([1 << 14], .i32)
        received = try PinnedMemory(
            stream: device.stream, byteCount: self.capacity * Layout.resultByteCount)
        isReceived = try CUDAEvent(stream: device.stream)
    }

    func set(_ rows: [SamplingRow]) {
        precondition(rows.count <= capacity, "a place for each rule")
        var packed = PackedRules()
        for row in rows { packed.append(row) }
        // Places for rows that a repeated step has beside its own.
        for _ in rows.count..<min(capacity, device.paddedCount(max(1, rows.count))) { packed.appendUnused() }
        ruleCount = rows.count
        if packed.lists.count > lists.elementCount {
            outgrown.append(lists)
            do throws(DeviceError) {
                lists = try device.makeTensor([packed.lists.count * 2], .i32)
            } catch {
                device.stream.fail(error)
                return
            }
        }
        if !packed.lists.isEmpty { device.write(packed.lists, to: lists) }
        device.write(
            packed.words, to: Tensor(rules, shape: [packed.words.count], elementType: .i32))
    }

    func choose(_ logits: Tensor) throws(DeviceError) {
        let (rows, width) = (logits.shape.rowCount, logits.shape.columnCount)
        precondition(rows <= capacity, "a place for each row")
        rowCount = rows
        let chunks = (width + Layout.chunk - 1) / Layout.chunk
        device.stream.launch(
            kernel, grid: (rows * chunks, 1, 1), block: Layout.threads, shared: Layout.sharedByteCount,
            work: KernelWork(bytes: logits.byteCount),
            [
                .init(logits), .init(rows), .init(capacity), .init(width), .init(residentCount),
                .init(wide: UInt64(rules.address)),
                .init(lists), .init(wide: UInt64(scratch.address)), .init(wide: UInt64(results.address)),
                .init(tokens),
            ])
    }

    func send() {
        device.stream.enter()
        if let target = unsafe received.bytes.baseAddress {
            unsafe device.stream.copyOut(
                results.address, to: target, byteCount: ruleCount * Layout.resultByteCount)
        }
        isReceived.record()
    }

    func result() throws(DeviceError) -> [SampledToken] {
        isReceived.wait()
        try device.stream.check()
        let bytes = unsafe UnsafeRawBufferPointer(received.bytes)
        return (0..<ruleCount).map { row in
            let start = row * Layout.resultByteCount
            // Safe: within the memory, which holds a result a rule.
            func integer(_ place: Int) -> Int32 {
                unsafe bytes.loadUnaligned(fromByteOffset: start + 4 * place, as: Int32.self)
            }
            func float(_ place: Int) -> Float { Float(bitPattern: UInt32(bitPattern: integer(place))) }
            let topCount = max(0, min(Int(integer(3)), Layout.mostTop))
            let top = (0..<topCount).map {
                SampledToken.Candidate(id: integer(4 + 2 * $0), logprob: float(5 + 2 * $0))
            }
            return SampledToken(id: integer(0), logprob: float(1), rank: max(1, integer(2)), top: top)
        }
    }
}

/// Rules as the kernel reads them, 26 words each, and their lists.
private struct PackedRules {
    private(set) var words: [Int32] = []
    private(set) var lists: [Int32] = []

    mutating func append(_ row: SamplingRow) {
        let changes = row.changes
        precondition(changes.biases.count == changes.biasedIDs.count, "a bias for every id")
        let uniform = row.uniform.bitPattern
        words.append(Int32(truncatingIfNeeded: uniform))
        words.append(Int32(truncatingIfNeeded: uniform >> 32))
        for value in [
            row.temperature, row.topP, row.minP, changes.repetition, changes.frequency, changes.presence,
            changes.raise,
        ] { append(value) }
        let isGreedy = row.temperature <= 0 || row.topK == 1
        let wantsRank = row.topLogprobCount > 0 || row.givenID != nil || !isGreedy || !row.isPlain
        words += [
            Int32(clamping: max(0, row.topK)), Int32(clamping: max(0, row.vocabularyCount)),
            Int32(clamping: max(0, min(row.topLogprobCount, 20))), row.givenID ?? -1, wantsRank ? 1 : 0,
        ]
        let count = Int32(clamping: changes.counted.ids.count)
        words += [place(changes.counted.ids), place(changes.counted.counts), count]
        words += [place(changes.raisedIDs), Int32(clamping: changes.raisedIDs.count)]
        words += [
            place(changes.biasedIDs), place(changes.biases.map { Int32(bitPattern: $0.bitPattern) }),
            Int32(clamping: changes.biasedIDs.count),
        ]
        words += [
            place(changes.allowedIDs ?? []), changes.allowedIDs.map { Int32(clamping: $0.count) } ?? -1,
        ]
        words += [place(row.bannedIDs), Int32(clamping: row.bannedIDs.count)]
    }

    /// A row that is not there.
    mutating func appendUnused() { words += [Int32](repeating: 0, count: 26) }

    private mutating func append(_ value: Float) { words.append(Int32(bitPattern: value.bitPattern)) }

    private mutating func place(_ list: [Int32]) -> Int32 {
        defer { lists += list }
        return Int32(clamping: lists.count)
    }
}
