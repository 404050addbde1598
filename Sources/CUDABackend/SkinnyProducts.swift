import Tensors

/// Products of few rows by the kernels of products.cu, which read the weights at the rate of the memory.
struct SkinnyProducts: Sendable {
    /// The most rows.
    static let mostRows = 64

    /// What becomes of a sum; the end of the kernels' names.
    enum End: String, CaseIterable {
        case bf16
        case f32
        case add
        case gelu
        case gated
    }

    /// Kernels by name without its end.
    private enum Family: String, CaseIterable {
        /// At most 8 rows.
        case few = "product_few"
        /// At most 8 rows of the stream, normed on the way.
        case norm = "product_norm"
        case many16 = "product_many16"
        case many32 = "product_many32"
        case many64 = "product_many64"
    }

    private let stream: CUDAStream
    private let kernels: [String: CUDAKernel]
    /// Sums of tiles that several blocks share, and how many of those are there; used by one product at a time.
    private let parts: Storage
    private let counters: Storage
    private let stages: (few: Int, many: Int)

    private static let mostTiles = 1 << 16

    init(_ stream: CUDAStream, _ compiler: KernelCompiler) throws(DeviceError) {
        self.stream = stream
        stages = Self.stages(stream.properties)
        let module = Self.module(stream.properties)
        var kernels: [String: CUDAKernel] = [:]
        for family in Family.allCases {
            for end in End.allCases {
                let name = "\(family.rawValue)_\(end.rawValue)"
                kernels[name] = try compiler.kernel(name, module, shared: stream.properties.sharedByteCount - (12 << 10))
            }
        }
        self.kernels = kernels
        parts = try CUDADevice.storage(stream, byteCount: 2 * stream.properties.processorCount * 8 * 4096)
        counters = try CUDADevice.storage(stream, byteCount: Self.mostTiles * 4)
        stream.fill(counters.address, byteCount: counters.byteCount)
    }

    /// Depths of the rings of weights, by the shared memory a block may have.
    private static func stages(_ properties: CUDAProperties) -> (few: Int, many: Int) {
        properties.sharedByteCount >= 160 << 10 ? (6, 4) : (4, 3)
    }

    /// The module of a GPU.
    static func module(_ properties: CUDAProperties) -> KernelModule {
        let stages = stages(properties)
        return KernelModule(source: "products", settings: ["FEW_STAGES": stages.few, "MANY_STAGES": stages.many])
    }

    /// Whether these kernels take `rowCount` rows of weights of that shape.
    func take(_ rowCount: Int, _ weights: CUDAWeights) -> Bool {
        rowCount <= Self.mostRows && weights.inputCount.isMultiple(of: 8)
            && weights.outputCount <= Self.mostTiles * 64
    }

    /// Whether the norm of `rowCount` rows of the stream can go along with the product.
    func takeNorm(_ rowCount: Int, _ weights: CUDAWeights) -> Bool {
        rowCount <= 4 && take(rowCount, weights)
            && normShared(rowCount, weights.inputCount) <= stream.properties.sharedByteCount - (12 << 10)
    }

    private func normShared(_ rowCount: Int, _ inputCount: Int) -> Int {
        stages.few * 16_384 + rowCount * ((inputCount + 63) / 64 * 64 + 32) * 2
    }

    /// Enqueues the product of the operand `x` [M, K] that `take` admits; of gated weights out is [M, N / 2].
    func multiply(_ x: Tensor, rowCount: Int, _ weights: CUDAWeights, _ end: End, out: Tensor) {
        let outputs = end == .gated ? weights.outputCount / 2 : weights.outputCount
        let inputs = weights.inputCount
        let width = end == .gated ? 8 : 16
        let processors = stream.properties.processorCount
        let sizes: [KernelSlot] = [.init(rowCount), .init(outputs), .init(inputs)]
        let common: [KernelSlot] = [.init(weights.matrix), .init(weights.bias), .init(x)]
        if rowCount <= 8 {
            launch(
                .few, end, grid: min(processors, (outputs + width - 1) / width), shared: stages.few * 16_384,
                common + [.init(out)] + sizes)
            return
        }
        let family: Family = rowCount <= 16 ? .many16 : rowCount <= 32 ? .many32 : .many64
        let rows = rowCount <= 16 ? 16 : rowCount <= 32 ? 32 : 64
        let tiles = (outputs + 8 * width - 1) / (8 * width)
        launch(
            family, end, grid: max(1, min(processors, tiles * ((inputs + 63) / 64) / 4)),
            shared: stages.many * (16_384 + 128 * rows),
            common + [.init(out), .init(wide: UInt64(parts.address)), .init(wide: UInt64(counters.address))]
                + sizes)
    }

    /// Enqueues the product of rows of the stream `x`, f32 [M, K], normed by `weight`, f32 [K]; `takeNorm` admits it.
    func multiply(
        norming x: Tensor, weight: Tensor, epsilon: Float, rowCount: Int, _ weights: CUDAWeights, _ end: End,
        out: Tensor,
    ) {
        let outputs = end == .gated ? weights.outputCount / 2 : weights.outputCount
        let width = end == .gated ? 8 : 16
        launch(
            .norm, end, grid: min(stream.properties.processorCount, (outputs + width - 1) / width),
            shared: normShared(rowCount, weights.inputCount),
            [
                .init(weights.matrix), .init(weights.bias), .init(x), .init(weight), .init(epsilon), .init(out),
                .init(rowCount), .init(outputs), .init(weights.inputCount),
            ])
    }

    private func launch(_ family: Family, _ end: End, grid: Int, shared: Int, _ slots: [KernelSlot]) {
        guard let kernel = kernels["\(family.rawValue)_\(end.rawValue)"] else { return }
        stream.launch(kernel, grid: (grid, 1, 1), block: 256, shared: shared, slots)
    }
}
