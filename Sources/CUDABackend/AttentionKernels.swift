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

    /// The most parts that the context of a sequence is cut into.
    private static let mostSplits = 64
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
        var module = KernelModule(source: "attention", settings: ["HEAD_DIM": headDim, "PAGE_SIZE": pageSize])
        let tileKeys = Self.tileKeys(headDim: headDim, pageSize: pageSize)
        module.settings["TILE_KEYS"] = tileKeys
        if tileKeys == 48 {
            module.settings["TILE_BLOCKS"] = 3
            module.settings["TILE_QUERIES_IN_REGISTERS"] = 0
        }
        if let kernels = known.withLock({ $0[module] }) { return kernels }
        do throws(DeviceError) {
            let kernels = try make(module, headDim: headDim, tileKeys: tileKeys)
            known.withLock { $0[module] = kernels }
            return kernels
        } catch {
            stream.fail(error)
            return nil
        }
    }

    private func make(_ module: KernelModule, headDim: Int, tileKeys: Int) throws(DeviceError) -> Sized {
        let padded = (headDim + 15) / 16 * 16, pitch = padded + 8
        let tileRows = padded <= 128 ? 128 : 64
        let tileShared = (tileRows + 4 * tileKeys) * pitch * 2
        let (warps, stages, chunk) = (4, 3, 16)
        let decodeShared = max(warps * stages * 2 * chunk * pitch * 2, warps * 16 * padded * 4, 16 * Self.mostSplits * 4)
        return Sized(
            decode: try compiler.kernel("decode_attention", module, shared: decodeShared),
            prefill: try compiler.kernel("prefill_attention", module, shared: tileShared),
            full: try compiler.kernel("full_attention", module, shared: tileShared), tileRows: tileRows,
            tileShared: tileShared, decodeShared: decodeShared)
    }

    /// Keys of a tile, as measured: 48 with three blocks a processor are best for small heads.
    private static func tileKeys(headDim: Int, pageSize: Int) -> Int {
        if headDim <= 64, pageSize <= 16 { return 48 }
        return headDim <= 96 || headDim == 128 ? 64 : 32
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

extension CUDAOperators {
    // out[t] = Σⱼ softmaxⱼ(scale · q[t] · k[j]) · v[j], j over the positions up to the token's own
    func pagedAttention(
        qkv: Tensor, heads: HeadLayout, scale: Float, batch: AttentionBatch, cache: KVLayer, out: Tensor,
    ) {
        precondition(qkv.shape.columnCount == heads.columnCount, "qkv is [T, queries, keys and values]")
        guard let kernels = attention.sized(headDim: heads.headDim, pageSize: cache.pageSize) else { return }
        let pageColumns = batch.pageTable.shape.columnCount
        let common: [KernelSlot] = [
            .init(out), .init(qkv), .init(cache.keys), .init(cache.values), .init(batch.queryStarts),
            .init(batch.contextLengths), .init(batch.pageTable),
        ]
        let sizes: [KernelSlot] = [
            .init(qkv.shape.rowCount), .init(heads.heads), .init(heads.keyValueHeads), .init(cache.keys.shape[0]),
            .init(pageColumns), .init(scale),
        ]
        let group = heads.heads / heads.keyValueHeads
        if batch.singleCount > 0 {
            let rows = heads.keyValueHeads * ((group + 15) / 16)
            precondition(attention.hasCounters(batch.singleCount * rows), "few enough sequences")
            let splits = attention.splits(
                blocks: batch.singleCount * rows, length: pageColumns * cache.pageSize)
            guard
                let parts = attention.parts(batch.singleCount * splits * heads.heads * (heads.headDim + 2))
            else { return }
            stream.launch(
                kernels.decode, grid: (splits, rows, batch.singleCount), block: 128, shared: kernels.decodeShared,
                work: KernelWork(
                    bytes: batch.singleCount * batch.maxContextLength * heads.keyValueHeads * heads.headDim * 4),
                common + [.init(parts), .init(wide: UInt64(attention.counters.address))] + sizes)
        }
        let others = batch.sequenceCount - batch.singleCount
        if others > 0 {
            let tiles = (batch.maxQueryCount * group + kernels.tileRows - 1) / kernels.tileRows
            stream.launch(
                kernels.prefill, grid: (heads.keyValueHeads, others, tiles), block: 128,
                shared: kernels.tileShared,
                work: KernelWork(
                    operations: others * 2 * batch.maxQueryCount * (2 * batch.maxContextLength - batch.maxQueryCount)
                        * heads.heads * heads.headDim),
                common + [.init(batch.singleCount)] + sizes)
        }
    }

    // out[t] = Σⱼ softmaxⱼ(scale · q[t] · k[j]) · v[j], j over the tokens of t's sequence
    func fullAttention(qkv: Tensor, length: Int, heads: Int, headDim: Int, scale: Float, out: Tensor) {
        precondition(
            length > 0 && qkv.shape.columnCount == 3 * heads * headDim, "qkv is [n · length, 3 · heads · headDim]")
        guard let kernels = attention.sized(headDim: headDim, pageSize: 16) else { return }
        stream.launch(
            kernels.full,
            grid: (heads, qkv.shape.rowCount / length, (length + kernels.tileRows - 1) / kernels.tileRows),
            block: 128, shared: kernels.tileShared,
            work: KernelWork(operations: 4 * qkv.shape.rowCount * length * heads * headDim),
            [.init(out), .init(qkv), .init(length), .init(heads), .init(scale)])
    }
}
