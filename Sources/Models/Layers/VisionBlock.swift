import Tensors

/// A pre-norm block of a vision transformer: attention without a mask, then an MLP; with layer scales where it has names
/// for them.
struct VisionBlock: Sendable {
    private let attentionNorm: Norm
    /// [3 · C, C].
    private let qkv: Linear
    private let queryKeyNorm: QueryKeyNorm?
    /// [C, C], with the layer scale.
    private let output: DividedLinear
    private let mlpNorm: Norm
    private let mlp: MLP
    /// The heads of this rank.
    private let heads: HeadLayout
    private let operators: any Operators

    private enum MLP: Sendable {
        /// [intermediate, C], then [C, intermediate] with the layer scale.
        case plain(up: Linear, GELU, down: DividedLinear)
        case gated(GatedMLP)
    }

    /// The names of its weights in a layout.
    struct Names: Sendable {
        let attentionNorm: String
        let attention: String
        let qkv: DecoderNames.QKV
        let output: String
        var attentionScale: String?
        let mlpNorm: String
        var mlpScale: String?
        /// The two matrices of an MLP without gate, below `mlp`.
        var mlp = (up: "fc1", down: "fc2")
    }

    /// Takes the weights by `names`.
    init(_ loader: Loader, _ names: Names, _ shape: VisionShape) throws(ModelError) {
        let width = shape.hiddenSize
        let attention = loader[names.attention]
        attentionNorm = try Norm(shape.norm, loader, names.attentionNorm, count: width)
        let layout = HeadLayout(
            heads: shape.heads, keyValueHeads: shape.heads, headDim: shape.headDim)
        let part = HeadPart(filling: shape.heads, headDim: shape.headDim, loader)
        heads = part.layout
        qkv = try Linear(
            qkv: attention, names.qkv, layout, part, hidden: width, hasBias: shape.hasQKVBias)
        if let epsilon = shape.queryKeyEpsilon {
            queryKeyNorm = try QueryKeyNorm(
                attention, width: width, own: part.queries.scaled(by: shape.headDim),
                rowWidth: part.layout.heads * shape.headDim, epsilon: epsilon)
        } else {
            queryKeyNorm = nil
        }
        output = try DividedLinear(
            attention, names.output, outputs: width, inputs: part.queries.scaled(by: shape.headDim),
            of: width, hasBias: true,
            scale: try Self.scale(loader, names.attentionScale, width),
            width: part.layout.heads * shape.headDim)
        mlpNorm = try Norm(shape.norm, loader, names.mlpNorm, count: width)
        let inner = loader["mlp"], intermediate = shape.intermediateSize
        switch shape.activation {
        case .gatedSiLU:
            mlp = .gated(
                try GatedMLP(
                    inner, gateUp: ["gate_proj", "up_proj"], down: "down_proj", hidden: width,
                    intermediate: intermediate, hasBias: true))
        case .gelu(let kind):
            let own = inner.filledPart(of: intermediate, step: 8)
            var stack = Stack(own.missing)
            try stack.append(
                own.range, of: try inner.take("\(names.mlp.up).weight", shape: [intermediate, width]),
                try inner.take("\(names.mlp.up).bias", shape: [intermediate]), inner)
            mlp = .plain(
                up: try Linear(inner, matrices: stack.matrices, biases: stack.biases), kind,
                down: try DividedLinear(
                    inner, names.mlp.down, outputs: width, inputs: own.range, of: intermediate, hasBias: true,
                    scale: try Self.scale(loader, names.mlpScale, width), width: own.width))
        }
        operators = loader.device.operators
    }

    private static func scale(_ loader: Loader, _ name: String?, _ width: Int) throws(ModelError) -> Tensor? {
        guard let name else { return nil }
        return try loader.take(name, shape: [width])
    }

    /// How queries and keys turn: a table of two axes, and the place of each token, i32 [2, T].
    struct Rotation {
        let table: RotaryTable
        let positions: Tensor
    }

    /// Runs the block in place on `x`, f32 [T, C], with attention within `sequences`.
    func callAsFunction(
        _ x: Tensor, sequences: PackedSequences, rotation: Rotation? = nil, workspace: Workspace,
    ) throws(DeviceError) {
        let mark = workspace.mark
        let normed = try workspace.take(x.shape, operators.operandType)  // [T, C]
        let inner = workspace.mark
        attentionNorm(x, into: normed)
        let fused = try qkv(.rows(normed), workspace: workspace)  // [T, 3 · C]
        try queryKeyNorm?(fused, workspace: workspace)
        if let rotation {
            operators.rotate(
                qkv: fused, heads: heads, rotary: rotation.table, positions: rotation.positions)
        }
        // [T, heads · headDim]
        let mixed = try workspace.take(
            [x.shape.rowCount, heads.heads * heads.headDim], operators.operandType)
        operators.fullAttention(
            qkv: fused, sequences: sequences, heads: heads.heads, headDim: heads.headDim,
            scale: 1 / Float(heads.headDim).squareRoot(), out: mixed)
        output(.rows(mixed), addingTo: x)
        workspace.rewind(to: inner)
        mlpNorm(x, into: normed)
        switch mlp {
        case .plain(let up, let kind, let down):
            // [T, intermediate]
            let hidden = try up(.rows(normed), epilogue: .gelu(kind), workspace: workspace)
            down(.rows(hidden), addingTo: x)
        case .gated(let mlp): try mlp(.rows(normed), addingTo: x, workspace: workspace)
        }
        workspace.rewind(to: mark)
    }
}
