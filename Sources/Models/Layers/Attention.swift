import Tensors

/// Causal self-attention over the paged cache, with grouped heads and a rotary embedding.
struct Attention: Sendable {
    /// [(heads + 2 · keyValueHeads) · headDim, hidden].
    private let qkv: Linear
    /// [hidden, heads · headDim].
    private let output: Linear
    private let heads: HeadLayout
    private let operators: any Operators

    /// Takes `q_proj`, `k_proj`, `v_proj` and `o_proj`.
    init(_ loader: Loader, _ shape: TextShape) throws(ModelError) {
        heads = shape.heads
        let keyValueWidth = heads.keyValueHeads * heads.headDim
        let width = heads.heads * heads.headDim
        qkv = try Linear(
            loader, [("q_proj", width), ("k_proj", keyValueWidth), ("v_proj", keyValueWidth)],
            inputs: shape.hiddenSize, hasBias: shape.biases.contains(.qkv))
        output = try Linear(
            loader, "o_proj", outputs: shape.hiddenSize, inputs: width,
            hasBias: shape.biases.contains(.output))
        operators = loader.device.operators
    }

    /// Adds the attention of `x` [T, hidden] to `residual` [T, hidden], and the keys and values to `cache`.
    func callAsFunction(
        _ x: Tensor, addingTo residual: Tensor, rotary: RotaryTable, batch: AttentionBatch, cache: KVLayer,
        workspace: Workspace,
    ) throws(DeviceError) {
        let qkv = try qkv(x, workspace: workspace)  // [T, (heads + 2 · keyValueHeads) · headDim]
        operators.rotateAndStore(qkv: qkv, heads: heads, rotary: rotary, batch: batch, cache: cache)
        // [T, heads · headDim]
        let mixed = try workspace.take([x.shape.rowCount, heads.heads * heads.headDim], .f32)
        operators.pagedAttention(
            qkv: qkv, heads: heads, scale: 1 / Float(heads.headDim).squareRoot(), batch: batch, cache: cache,
            out: mixed)
        output(mixed, epilogue: .add(residual: residual), into: residual)
    }
}
