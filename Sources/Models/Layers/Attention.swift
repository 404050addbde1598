import Tensors

/// Causal self-attention over the paged cache, with grouped heads and a rotary embedding.
struct Attention: Sendable {
    /// [(heads + 2 · keyValueHeads) · headDim, hidden].
    private let qkv: Linear
    /// [hidden, heads · headDim].
    private let output: DividedLinear
    /// The heads of this rank.
    let heads: HeadLayout
    /// Norms over each head of queries and keys, in towers that have them.
    private let norms: HeadNorms?
    /// What scores are multiplied by.
    private let scale: Float
    private let operators: any Operators

    /// Takes its matrices by the names of `shape`, and `q_norm` and `k_norm` if the shape has an ε for them.
    init(_ loader: Loader, _ shape: TextShape) throws(ModelError) {
        let part = HeadPart(shape.heads, loader), dim = shape.heads.headDim
        heads = part.layout
        qkv = try Linear(
            qkv: loader, shape.names.qkv, shape.heads, part, hidden: shape.hiddenSize,
            hasBias: shape.biases.contains(.qkv))
        output = try DividedLinear(
            loader, shape.names.output, outputs: shape.hiddenSize, inputs: part.queries.scaled(by: dim),
            of: shape.heads.heads * dim, hasBias: shape.biases.contains(.output))
        if let epsilon = shape.queryKeyEpsilon {
            norms = HeadNorms(
                queryWeight: try loader.vector(
                    "q_norm.weight", shape: [heads.headDim], adding: shape.normShift),
                keyWeight: try loader.vector(
                    "k_norm.weight", shape: [heads.headDim], adding: shape.normShift), epsilon: epsilon)
        } else {
            norms = nil
        }
        scale = shape.attentionScale ?? 1 / Float(heads.headDim).squareRoot()
        operators = loader.device.operators
    }

    /// Adds the attention of `x` [T, hidden] to `residual` f32 [T, hidden], and the keys and values to `cache`.
    ///
    /// With a `window` a token sees only so many back, its own included.
    func callAsFunction(
        _ x: LinearInput, addingTo residual: Tensor, rotary: RotaryTable, window: Int?,
        batch: AttentionBatch, cache: KVLayer, workspace: Workspace,
    ) throws(DeviceError) {
        let qkv = try qkv(x, workspace: workspace)  // [T, (heads + 2 · keyValueHeads) · headDim]
        operators.rotateAndStore(
            qkv: qkv, heads: heads, norms: norms, rotary: rotary, batch: batch, cache: cache)
        // [T, heads · headDim]
        let mixed = try workspace.take(
            [x.rowCount, heads.heads * heads.headDim], operators.operandType)
        operators.pagedAttention(
            qkv: qkv, heads: heads, scale: scale, window: window, batch: batch, cache: cache, out: mixed)
        output(.rows(mixed), addingTo: residual)
    }
}
