import Tensors

/// A pre-norm block of a vision transformer: attention without a mask, MLP with GELU, both with layer scales.
struct VisionBlock: Sendable {
    private let attentionNorm: Norm
    /// [3 · C, C].
    private let qkv: Linear
    private let queryKeyNorm: QueryKeyNorm?
    /// [C, C], with the layer scale.
    private let output: Linear
    private let mlpNorm: Norm
    /// [intermediate, C].
    private let up: Linear
    /// [C, intermediate], with the layer scale.
    private let down: Linear
    private let shape: VisionShape
    private let operators: any Operators

    /// The names of its weights in a layout.
    ///
    /// Queries, keys and values are one matrix or three.
    struct Names: Sendable {
        let attentionNorm: String
        let attention: String
        let qkv: [String]
        let output: String
        let attentionScale: String
        let mlpNorm: String
        let mlpScale: String
    }

    /// Takes the weights by `names`.
    init(_ loader: Loader, _ names: Names, _ shape: VisionShape) throws(ModelError) {
        let width = shape.hiddenSize
        let attention = loader[names.attention]
        attentionNorm = try Norm(shape.norm, loader, names.attentionNorm, count: width)
        qkv = try Linear(
            attention, names.qkv.map { ($0, 3 * width / names.qkv.count) }, inputs: width,
            hasBias: shape.hasQKVBias)
        if let epsilon = shape.queryKeyEpsilon {
            queryKeyNorm = try QueryKeyNorm(attention, width: width, epsilon: epsilon)
        } else {
            queryKeyNorm = nil
        }
        output = try Linear(
            attention, names.output, outputs: width, inputs: width, hasBias: true,
            scale: try loader.take(names.attentionScale, shape: [width]))
        mlpNorm = try Norm(shape.norm, loader, names.mlpNorm, count: width)
        up = try Linear(loader["mlp"], "fc1", outputs: shape.intermediateSize, inputs: width, hasBias: true)
        down = try Linear(
            loader["mlp"], "fc2", outputs: width, inputs: shape.intermediateSize, hasBias: true,
            scale: try loader.take(names.mlpScale, shape: [width]))
        self.shape = shape
        operators = loader.device.operators
    }

    /// Runs the block in place on `x`, f32 [n · length, C]: n tiles of `length` tokens.
    func callAsFunction(_ x: Tensor, length: Int, workspace: Workspace) throws(DeviceError) {
        let mark = workspace.mark
        let normed = try workspace.take(x.shape, operators.operandType)  // [n · length, C]
        let inner = workspace.mark
        attentionNorm(x, into: normed)
        let fused = try qkv(.rows(normed), workspace: workspace)  // [n · length, 3 · C]
        queryKeyNorm?(fused)
        // The normed rows are used up, so the attention's result may lie there.
        operators.fullAttention(
            qkv: fused, length: length, heads: shape.heads, headDim: shape.headDim,
            scale: 1 / Float(shape.headDim).squareRoot(), out: normed)
        output(.rows(normed), epilogue: .addToOutput, into: x)
        workspace.rewind(to: inner)
        mlpNorm(x, into: normed)
        // [n · length, intermediate]
        let hidden = try up(.rows(normed), epilogue: .gelu, workspace: workspace)
        down(.rows(hidden), epilogue: .addToOutput, into: x)
        workspace.rewind(to: mark)
    }
}
