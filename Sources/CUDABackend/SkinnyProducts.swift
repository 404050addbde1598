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

    private let stream: CUDAStream
    /// By the end of their names: kernels that take operands, and those that take rows of the stream and norm them.
    private let plain: [End: CUDAKernel]
    private let normed: [End: CUDAKernel]
    private let stageCount: Int

    init(_ stream: CUDAStream, _ compiler: KernelCompiler) throws(DeviceError) {
        self.stream = stream
        stageCount = Self.stageCount(stream.properties)
        let module = Self.module(stream.properties)
        let shared = Self.mostShared(stream.properties)
        var (plain, normed): ([End: CUDAKernel], [End: CUDAKernel]) = ([:], [:])
        for end in End.allCases {
            plain[end] = try compiler.kernel("product_few_\(end.rawValue)", module, shared: shared)
            normed[end] = try compiler.kernel("product_norm_\(end.rawValue)", module, shared: shared)
        }
        (self.plain, self.normed) = (plain, normed)
    }

    /// The depth of the ring of weights, by the shared memory a block may have.
    private static func stageCount(_ properties: CUDAProperties) -> Int {
        properties.sharedByteCount >= 160 << 10 ? 6 : 4
    }

    /// The shared memory that the ring and the rows may take beside what the kernels have of their own.
    private static func mostShared(_ properties: CUDAProperties) -> Int { properties.sharedByteCount - (12 << 10) }

    /// The module of a GPU.
    static func module(_ properties: CUDAProperties) -> KernelModule {
        KernelModule(source: "products", settings: ["STAGES": stageCount(properties)])
    }

    /// Whether these kernels take `rowCount` rows of weights of that shape.
    func take(_ rowCount: Int, _ weights: CUDAWeights) -> Bool {
        rowCount <= Self.mostRows && weights.inputCount.isMultiple(of: 8)
    }

    /// Whether the norm of `rowCount` rows of the stream can go along with the product.
    func takeNorm(_ rowCount: Int, _ weights: CUDAWeights) -> Bool {
        take(rowCount, weights) && normShared(rowCount, weights.inputCount) <= Self.mostShared(stream.properties)
    }

    private func normShared(_ rowCount: Int, _ inputCount: Int) -> Int {
        stageCount * 16_384 + rowCount * ((inputCount + 63) / 64 * 64 + 32) * 2
    }

    /// Enqueues the product of the operand `x` [M, K] that `take` admits; of gated weights out is [M, N / 2].
    func multiply(_ x: Tensor, rowCount: Int, _ weights: CUDAWeights, _ end: End, out: Tensor) {
        launch(
            plain[end], end, weights, rowCount, shared: stageCount * 16_384,
            [.init(weights.matrix), .init(weights.bias), .init(x), .init(out), .init(rowCount)])
    }

    /// Enqueues the product of rows of the stream `x`, f32 [M, K], normed by `weight`, f32 [K]; `takeNorm` admits it.
    func multiply(
        norming x: Tensor, weight: Tensor, epsilon: Float, rowCount: Int, _ weights: CUDAWeights, _ end: End,
        out: Tensor,
    ) {
        launch(
            normed[end], end, weights, rowCount, shared: normShared(rowCount, weights.inputCount),
            [
                .init(weights.matrix), .init(weights.bias), .init(x), .init(weight), .init(epsilon), .init(out),
                .init(rowCount),
            ])
    }

    /// Launches with the sizes behind `slots`.
    private func launch(
        _ kernel: CUDAKernel?, _ end: End, _ weights: CUDAWeights, _ rowCount: Int, shared: Int,
        _ slots: [KernelSlot],
    ) {
        guard let kernel else { return }
        let outputs = end == .gated ? weights.outputCount / 2 : weights.outputCount
        let width = end == .gated ? 8 : 16
        let tiles = (outputs + width - 1) / width, processors = stream.properties.processorCount
        // Two blocks a processor hide more of the wait where there is one tile for each.
        stream.launch(
            kernel, grid: (tiles <= 2 * processors ? tiles : processors, 1, 1), block: 256, shared: shared,
            work: KernelWork(bytes: weights.matrix.byteCount + rowCount * (weights.inputCount + outputs) * 2),
            slots + [.init(outputs), .init(weights.inputCount)])
    }
}
