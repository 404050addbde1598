import Tensors

/// Products of few rows by the kernels of products.cu, which read the weights at the rate of the memory.
struct SkinnyProducts: Sendable {
    /// The most rows; of more cuBLASLt is as fast.
    static let mostRows = 4

    /// What becomes of a sum; the end of the kernels' names.
    enum End: String, CaseIterable {
        case bf16
        case f32
        case add
        case gelu
        case gated
    }

    /// What a block gets.
    struct Ring: Equatable {
        /// Steps of weights, 16 KiB each, that are on their way at a time.
        let stageCount: Int
        /// Whether the rows of x lie in shared memory beside them.
        let holdsRows: Bool
        /// Shared memory in all.
        let byteCount: Int
    }

    private let stream: CUDAStream
    /// By the end of their names: kernels that take operands, and those that take rows of the stream and norm them.
    private let plain: [End: CUDAKernel]
    private let normed: [End: CUDAKernel]

    private static let stageByteCount = 16 << 10
    /// What the kernels have of their own.
    private static let ownByteCount = 4224

    init(_ stream: CUDAStream, _ compiler: KernelCompiler) throws(DeviceError) {
        self.stream = stream
        let module = KernelModule(source: "products")
        let shared = stream.properties.sharedByteCount - Self.ownByteCount
        var (plain, normed): ([End: CUDAKernel], [End: CUDAKernel]) = ([:], [:])
        for end in End.allCases {
            plain[end] = try compiler.kernel("product_few_\(end.rawValue)", module, shared: shared)
            normed[end] = try compiler.kernel("product_norm_\(end.rawValue)", module, shared: shared)
        }
        (self.plain, self.normed) = (plain, normed)
    }

    /// What a block gets for `rowCount` rows of `inputCount` values when it may have `sharedByteCount`.
    ///
    /// The rows lie in shared memory if three steps of weights do so beside them.
    static func ring(rowCount: Int, inputCount: Int, sharedByteCount: Int) -> Ring {
        let rows = rowCount * inputCount * 2
        let beside = (sharedByteCount - ownByteCount - rows) / stageByteCount
        if beside >= 3 {
            let count = min(beside, 8)
            return Ring(stageCount: count, holdsRows: true, byteCount: count * stageByteCount + rows)
        }
        let count = max(3, min(6, (sharedByteCount - ownByteCount) / stageByteCount))
        return Ring(stageCount: count, holdsRows: false, byteCount: count * stageByteCount)
    }

    private func ring(_ rowCount: Int, _ weights: CUDAWeights) -> Ring {
        Self.ring(
            rowCount: rowCount, inputCount: weights.inputCount,
            sharedByteCount: stream.properties.sharedByteCount)
    }

    /// Whether these kernels take `rowCount` rows of weights of that shape.
    func take(_ rowCount: Int, _ weights: CUDAWeights) -> Bool {
        rowCount <= Self.mostRows && weights.inputCount.isMultiple(of: 8)
    }

    /// Whether the norm of `rowCount` rows of the stream can go along with the product.
    func takeNorm(_ rowCount: Int, _ weights: CUDAWeights) -> Bool {
        take(rowCount, weights) && ring(rowCount, weights).holdsRows
    }

    /// Enqueues the product of the operand `x` [M, K] that `take` admits; of gated weights out is [M, N / 2].
    func multiply(_ x: Tensor, rowCount: Int, _ weights: CUDAWeights, _ end: End, out: Tensor) {
        let ring = ring(rowCount, weights)
        launch(
            plain[end], end, weights, rowCount, ring,
            [.init(weights.matrix), .init(weights.bias), .init(x), .init(out), .init(rowCount)],
            [.init(ring.holdsRows ? 1 : 0)])
    }

    /// Enqueues the product of rows of the stream `x`, f32 [M, K], normed by `weight`, f32 [K]; `takeNorm` admits it.
    func multiply(
        norming x: Tensor, weight: Tensor, epsilon: Float, rowCount: Int, _ weights: CUDAWeights, _ end: End,
        out: Tensor,
    ) {
        launch(
            normed[end], end, weights, rowCount, ring(rowCount, weights),
            [
                .init(weights.matrix), .init(weights.bias), .init(x), .init(weight), .init(epsilon),
                .init(out),
                .init(rowCount),
            ], [])
    }

    /// Launches with the sizes between `slots` and `more`.
    private func launch(
        _ kernel: CUDAKernel?, _ end: End, _ weights: CUDAWeights, _ rowCount: Int, _ ring: Ring,
        _ slots: [KernelSlot], _ more: [KernelSlot],
    ) {
        guard let kernel else { return }
        let outputs = end == .gated ? weights.outputCount / 2 : weights.outputCount
        let width = end == .gated ? 8 : 16
        stream.launch(
            kernel, grid: (min((outputs + width - 1) / width, stream.properties.processorCount), 1, 1),
            block: 256, shared: ring.byteCount,
            work: KernelWork(
                bytes: weights.matrix.byteCount + rowCount * (weights.inputCount + outputs) * 2),
            slots + [.init(outputs), .init(weights.inputCount), .init(ring.stageCount)] + more)
    }
}
