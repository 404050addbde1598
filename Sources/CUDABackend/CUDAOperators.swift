import Tensors

/// The operators of a GPU; each family is an extension in a file of its own.
///
/// Shapes are checked by the kernels' launches, what tensors hold by the kernels: a wrong id, row or slot reads or writes
/// nothing.
struct CUDAOperators: Operators {
    let stream: CUDAStream
    let compiler: KernelCompiler
    let matmul: Matmul
    let rows: RowKernels
    let vision: VisionKernels
    let products: SkinnyProducts
    let attention: AttentionKernels
    let experts: ExpertKernels

    init(stream: CUDAStream, compiler: KernelCompiler, matmul: Matmul) throws(DeviceError) {
        self.stream = stream
        self.compiler = compiler
        self.matmul = matmul
        rows = try RowKernels(compiler)
        vision = try VisionKernels(compiler)
        products = try SkinnyProducts(stream, compiler)
        attention = try AttentionKernels(stream, compiler)
        experts = ExpertKernels(stream, compiler)
    }

    var operandType: ElementType { .bf16 }

    /// How many blocks share `count` elements, `perBlock` each, when every processor takes at most `most`.
    func blocks(_ count: Int, perBlock: Int, most: Int = 16) -> Int {
        max(1, min((count + perBlock - 1) / perBlock, most * stream.properties.processorCount))
    }
}

extension KernelCompiler {
    /// The modules every model needs.
    private static let common = ["rows", "rotary", "vision", "sampling", "products"].map {
        KernelModule(source: $0)
    }

    /// Compiles or finds what every model needs, several at a time.
    func loadAll() throws(DeviceError) {
        let count = Self.common.count
        _ = try inParallel(count: count, threads: count) { (index) throws(DeviceError) in
            try self.load(Self.common[index])
        }
    }
}

/// The kernels of rows.cu and rotary.cu.
struct RowKernels: Sendable {
    let rmsNorm, layerNorm, layerNormWide, rmsNormColumns, sumSquares, scaleColumns, siluMultiply,
        geluMultiply, addNorm, gelu,
        gatherRows, gatherRowsNarrow, placeColumns, addRows, embed, convert, checkFinite, fillRandom,
        rotate: CUDAKernel

    init(_ compiler: KernelCompiler) throws(DeviceError) {
        func kernel(_ name: String) throws(DeviceError) -> CUDAKernel {
            try compiler.kernel(name, KernelModule(source: "rows"))
        }
        rmsNorm = try kernel("rms_norm")
        layerNorm = try kernel("layer_norm")
        layerNormWide = try kernel("layer_norm_wide")
        rmsNormColumns = try kernel("rms_norm_columns")
        sumSquares = try kernel("sum_squares")
        scaleColumns = try kernel("scale_columns")
        siluMultiply = try kernel("silu_multiply")
        geluMultiply = try kernel("gelu_multiply")
        addNorm = try kernel("add_norm")
        gelu = try kernel("gelu")
        gatherRows = try kernel("gather_rows")
        placeColumns = try kernel("place_columns")
        gatherRowsNarrow = try kernel("gather_rows_narrow")
        addRows = try kernel("add_rows")
        embed = try kernel("embed")
        convert = try kernel("convert")
        checkFinite = try kernel("check_finite")
        fillRandom = try kernel("fill_random")
        rotate = try compiler.kernel("rotate_and_store", KernelModule(source: "rotary"))
    }

    /// Columns of a row at most.
    static let mostColumns = 16_384

    /// Threads that share a row of `columns`: a thread keeps at most 16 of them.
    static func threads(_ columns: Int) -> Int {
        precondition(columns <= mostColumns, "rows of at most \(mostColumns) values")
        return max(32, min(1024, ((columns + 15) / 16 + 31) / 32 * 32))
    }
}
