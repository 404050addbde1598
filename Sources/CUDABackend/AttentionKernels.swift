import Synchronization
import Tensors

/// The kernels of attention.cu, compiled for each size of head and page when first needed.
final class AttentionKernels: Sendable {
    /// Kernels of one size of head and page.
    struct Sized: Sendable {
        let decode: CUDAKernel
        let prefill: CUDAKernel
        let full: CUDAKernel
        /// Rows of a tile of `prefill` and `full`.
        let tileRows: Int
        /// Shared memory of a block of `prefill` and `full`, and of `decode`.
        let tileShared: Int
        let decodeShared: Int
    }

    private static let mostCounters = 1 << 16

    let stream: CUDAStream
    private let compiler: KernelCompiler
    private let known = Mutex<[KernelModule: Sized]>([:])
    private let scratch = Mutex<Storage?>(nil)
    /// i32, zero before and after every launch: how many parts of a sequence and key head are done.
    let counters: Storage

    init(_ stream: CUDAStream, _ compiler: KernelCompiler) throws(DeviceError) {
        self.stream = stream
        self.compiler = compiler
        counters = try CUDADevice.storage(stream, byteCount: Self.mostCounters * 4)
        stream.fill(counters.address, byteCount: counters.byteCount)
    }

    /// The kernels for heads of `headDim` values and pages of `pageSize` tokens; nil when they cannot be had, which is
    /// noted as a failure of the device.
    func sized(headDim: Int, pageSize: Int) -> Sized? {
        let properties = stream.properties
        guard
            let shape = AttentionShape(
                headDim: headDim, pageSize: pageSize, sharedByteCount: properties.sharedByteCount)
        else {
            stream.fail(.failed("\(properties.name) has no room for heads of \(headDim) values"))
            return nil
        }
        let module = shape.module
        if let kernels = known.withLock({ $0[module] }) { return kernels }
        do throws(DeviceError) {
            let kernels = try make(shape)
            known.withLock { $0[module] = kernels }
            return kernels
        } catch {
            stream.fail(error)
            return nil
        }
    }

    private func make(_ shape: AttentionShape) throws(DeviceError) -> Sized {
        Sized(
            decode: try compiler.kernel("decode_attention", shape.module, shared: shape.decodeShared),
            prefill: try compiler.kernel("prefill_attention", shape.module, shared: shape.tileShared),
            full: try compiler.kernel("full_attention", shape.module, shared: shape.tileShared),
            tileRows: shape.tileRows, tileShared: shape.tileShared, decodeShared: shape.decodeShared)
    }

    /// f32 for the parts of `decode`; grows, and work enqueued before keeps what it had.
    func parts(_ count: Int) -> Tensor? {
        scratch.withLock { scratch in
            if scratch.map({ $0.byteCount < count * 4 }) ?? true {
                do throws(DeviceError) {
                    scratch = try CUDADevice.storage(stream, byteCount: count * 4)
                } catch {
                    stream.fail(error)
                    return nil
                }
            }
            return scratch.map { Tensor($0, shape: [count], elementType: .f32) }
        }
    }

    /// Into how many parts to cut contexts of up to `length` tokens so that `blocks` · parts blocks fill the GPU.
    func splits(blocks: Int, length: Int) -> Int {
        let processors = stream.properties.processorCount
        if blocks >= processors { return 1 }
        // A part has at least four warps' chunks of 16 keys; beyond 32 joining them costs more than it gains.
        return max(1, min(2 * processors / max(1, blocks), 32, (length + 63) / 64))
    }

    /// Whether the counters do for so many sequences and blocks a sequence.
    func hasCounters(_ count: Int) -> Bool { count <= Self.mostCounters }
}

/// How the kernels of attention.cu are set for a size of head and page.
struct AttentionShape: Hashable, Sendable {
    /// The source with its settings.
    let module: KernelModule
    /// Rows of a tile of queries.
    let tileRows: Int
    /// Shared memory of a block of prefill and full attention.
    let tileShared: Int
    /// Shared memory of a block of decode attention.
    let decodeShared: Int

    /// Nil when the kernels do not fit into `sharedByteCount` bytes.
    init?(headDim: Int, pageSize: Int, sharedByteCount: Int) {
        let padded = (headDim + 15) / 16 * 16, rowBytes = (padded + 8) * 2
        tileRows = padded <= 128 ? 128 : 64
        // As measured: 48 keys with three blocks a processor are best for small heads.
        let isSmall = headDim <= 64 && pageSize <= 16
        let isTight = sharedByteCount < 160 << 10
        let tileKeys = isSmall ? 48 : !isTight && (headDim <= 96 || headDim == 128) ? 64 : 32
        let chunk = 16, warps = 4, mostSplits = 64
        func decodeShared(_ stages: Int) -> Int {
            max(warps * stages * 2 * chunk * rowBytes, warps * 16 * padded * 4, 16 * mostSplits * 4)
        }
        let room = sharedByteCount - (2 << 10)
        let stages = !isTight && decodeShared(3) <= room ? 3 : 2
        self.decodeShared = decodeShared(stages)
        tileShared = (tileRows + 4 * tileKeys) * rowBytes
        guard self.decodeShared <= room, tileShared <= room else { return nil }
        var settings = [
            "HEAD_DIM": headDim, "PAGE_SIZE": pageSize, "TILE_KEYS": tileKeys, "DECODE_STAGES": stages,
        ]
        if isSmall {
            settings["TILE_BLOCKS"] = 3
            settings["TILE_QUERIES_IN_REGISTERS"] = 0
        }
        module = KernelModule(source: "attention", settings: settings)
    }
}

extension CUDAOperators {
    // out[t] = Σⱼ softmaxⱼ(scale · q[t] · k[j]) · v[j], j over the positions that the token sees
    func pagedAttention(
        qkv: Tensor, heads: HeadLayout, scale: Float, window: Int?, batch: AttentionBatch, cache: KVLayer,
        out: Tensor,
    ) {
        precondition(window.map { $0 > 0 } ?? true, "a window holds the token itself")
        precondition(batch.sights.map { $0.elementCount == qkv.shape.rowCount } ?? true, "sights are [T]")
        precondition(qkv.shape.columnCount == heads.columnCount, "qkv is [T, queries, keys and values]")
        guard let kernels = attention.sized(headDim: heads.headDim, pageSize: cache.pageSize) else { return }
        let pageColumns = batch.pageTable.shape.columnCount
        let common: [KernelSlot] = [
            .init(out), .init(qkv), .init(cache.keys), .init(cache.values), .init(batch.queryStarts),
            .init(batch.contextLengths), .init(batch.pageTable),
        ]
        let sizes: [KernelSlot] = [
            .init(qkv.shape.rowCount), .init(heads.heads), .init(heads.keyValueHeads),
            .init(cache.keys.shape[0]),
            .init(pageColumns), .init(scale),
        ]
        let group = heads.heads / heads.keyValueHeads
        if batch.singleCount > 0 {
            let rows = heads.keyValueHeads * ((group + 15) / 16)
            precondition(attention.hasCounters(batch.singleCount * rows), "few enough sequences")
            // What a token alone sees ends with its sequence. A window may begin within a chunk of 16 keys.
            let length = pageColumns * cache.pageSize
            let splits = attention.splits(
                blocks: batch.singleCount * rows, length: window.map { min($0, length) + 15 } ?? length)
            guard
                let parts = attention.parts(batch.singleCount * splits * heads.heads * (heads.headDim + 2))
            else { return }
            stream.launch(
                kernels.decode, grid: (splits, rows, batch.singleCount), block: 128,
                shared: kernels.decodeShared,
                work: KernelWork(
                    bytes: batch.singleCount * batch.maxContextLength * heads.keyValueHeads * heads.headDim
                        * 4),
                common + [
                    .init(parts), .init(wide: UInt64(attention.counters.address)), .init(window ?? 0),
                ] + sizes)
        }
        let others = batch.sequenceCount - batch.singleCount
        if others > 0 {
            let tiles = (batch.maxQueryCount * group + kernels.tileRows - 1) / kernels.tileRows
            stream.launch(
                kernels.prefill, grid: (heads.keyValueHeads, others, tiles), block: 128,
                shared: kernels.tileShared,
                work: KernelWork(
                    operations: others * 2 * batch.maxQueryCount
                        * (2 * batch.maxContextLength - batch.maxQueryCount)
                        * heads.heads * heads.headDim),
                common + [.init(batch.sights), .init(window ?? 0), .init(batch.singleCount)] + sizes)
        }
    }

    // out[t] = Σⱼ softmaxⱼ(scale · q[t] · k[j]) · v[j], j over the tokens of t's sequence
    func fullAttention(
        qkv: Tensor, sequences: PackedSequences, heads: Int, headDim: Int, scale: Float, out: Tensor,
    ) {
        let tokenCount = qkv.shape.rowCount
        precondition(qkv.shape.columnCount == 3 * heads * headDim, "qkv is [T, 3 · heads · headDim]")
        precondition(
            sequences.starts != nil || sequences.count * sequences.longest == tokenCount,
            "the sequences are all rows")
        guard let kernels = attention.sized(headDim: headDim, pageSize: 16) else { return }
        let tiles = (sequences.longest + kernels.tileRows - 1) / kernels.tileRows
        stream.launch(
            kernels.full, grid: (sequences.count, heads, tiles), block: 128, shared: kernels.tileShared,
            work: KernelWork(operations: 4 * tokenCount * sequences.longest * heads * headDim),
            [
                .init(out), .init(qkv), .init(sequences.starts), .init(tokenCount),
                .init(sequences.longest), .init(heads), .init(scale),
            ])
    }
}
