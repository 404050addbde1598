import Tensors

/// A norm over the innermost dimension.
struct Norm: Sendable {
    private enum Kind: Sendable {
        /// weight f32 [C].
        case rms(weight: Tensor, epsilon: Float)
        /// weight and bias f32 [C].
        case layer(weight: Tensor, bias: Tensor, epsilon: Float)
    }

    private let kind: Kind
    private let operators: any Operators

    /// A root-mean-square norm: takes `name.weight` [count], the weights less `shift`.
    init(
        rms loader: Loader, _ name: String, count: Int, epsilon: Float, shift: Float = 0,
    ) throws(ModelError) {
        kind = .rms(
            weight: try loader.vector("\(name).weight", shape: [count], adding: shift), epsilon: epsilon)
        operators = loader.device.operators
    }

    /// A layer norm: takes `name.weight` and `name.bias`, both [count].
    init(layer loader: Loader, _ name: String, count: Int, epsilon: Float) throws(ModelError) {
        kind = .layer(
            weight: try loader.vector("\(name).weight", shape: [count]),
            bias: try loader.vector("\(name).bias", shape: [count]), epsilon: epsilon)
        operators = loader.device.operators
    }

    /// The norm a vision tower is set to.
    init(_ norm: VisionShape.Norm, _ loader: Loader, _ name: String, count: Int) throws(ModelError) {
        switch norm {
        case .rms(let epsilon): try self.init(rms: loader, name, count: count, epsilon: epsilon)
        case .layer(let epsilon): try self.init(layer: loader, name, count: count, epsilon: epsilon)
        }
    }

    /// The norm of `x`, f32 [T, C], into the operand `out` [T, C].
    func callAsFunction(_ x: Tensor, into out: Tensor) {
        switch kind {
        case .rms(let weight, let epsilon): operators.rmsNorm(x, weight: weight, epsilon: epsilon, out: out)
        case .layer(let weight, let bias, let epsilon):
            operators.layerNorm(x, weight: weight, bias: bias, epsilon: epsilon, out: out)
        }
    }
}

/// A root-mean-square norm of the stream on its way into a product.
struct InputNorm: Sendable {
    /// f32 [C].
    private let weight: Tensor
    private let epsilon: Float

    /// Takes `name.weight` [count], the weights less `shift`.
    init(
        _ loader: Loader, _ name: String, count: Int, epsilon: Float, shift: Float = 0,
    ) throws(ModelError) {
        weight = try loader.vector("\(name).weight", shape: [count], adding: shift)
        self.epsilon = epsilon
    }

    /// What a product takes of `x`, f32 [T, C]; `scratch` is an operand [T, C].
    func callAsFunction(_ x: Tensor, scratch: Tensor) -> LinearInput {
        .rmsNorm(x, weight: weight, epsilon: epsilon, scratch: scratch)
    }
}

/// A root-mean-square norm of what is added to the stream.
struct OutputNorm: Sendable {
    /// f32 [C].
    private let weight: Tensor
    private let epsilon: Float
    private let operators: any Operators

    /// Takes `name.weight` [count], the weights less `shift`.
    init(
        _ loader: Loader, _ name: String, count: Int, epsilon: Float, shift: Float = 0,
    ) throws(ModelError) {
        weight = try loader.vector("\(name).weight", shape: [count], adding: shift)
        self.epsilon = epsilon
        operators = loader.device.operators
    }

    /// Adds the norm of `x`, f32 [T, C], which is spent, to `stream`, f32 [T, C].
    func callAsFunction(_ x: Tensor, addingTo stream: Tensor) {
        operators.addNorm(x, weight: weight, epsilon: epsilon, to: stream)
    }
}

/// Root-mean-square norms of the queries and of the keys in fused rows, each over all heads of all ranks.
struct QueryKeyNorm: Sendable {
    /// f32 [columns of this rank].
    private let queryWeight: Tensor
    /// f32 [columns of this rank].
    private let keyWeight: Tensor
    /// Columns of all ranks.
    private let width: Int
    /// Columns of the queries in a fused row, those that fill up among them.
    private let rowWidth: Int
    private let epsilon: Float
    private let collective: (any Collective)?
    private let operators: any Operators

    /// Takes the columns `own` of `q_norm.weight` and `k_norm.weight`, both [width].
    init(
        _ loader: Loader, width: Int, own: Range<Int>, rowWidth: Int, epsilon: Float,
    ) throws(ModelError) {
        queryWeight = try loader.load(try loader.take("q_norm.weight", shape: [width])[own], as: .f32)
        keyWeight = try loader.load(try loader.take("k_norm.weight", shape: [width])[own], as: .f32)
        self.width = width
        self.rowWidth = rowWidth
        self.epsilon = epsilon
        collective = loader.collective
        operators = loader.device.operators
    }

    /// Norms queries and keys of the operand `qkv` [T, 3 · rowWidth] in place.
    func callAsFunction(_ qkv: Tensor, workspace: Workspace) throws(DeviceError) {
        let count = queryWeight.elementCount
        let (queries, keys) = (0..<count, rowWidth..<(rowWidth + count))
        guard let collective else {
            operators.rmsNorm(qkv, columns: queries, weight: queryWeight, epsilon: epsilon)
            operators.rmsNorm(qkv, columns: keys, weight: keyWeight, epsilon: epsilon)
            return
        }
        let mark = workspace.mark
        // Of queries and keys, and two that make whole groups of four: [T, 4]
        let squares = try workspace.take([qkv.shape.rowCount, 4], .f32)
        operators.clear(squares)
        operators.sumSquares(qkv, columns: [queries, keys], out: squares)
        collective.sum(squares)
        for (place, (range, weight)) in [(queries, queryWeight), (keys, keyWeight)].enumerated() {
            guard count > 0 else { break }
            operators.scaleColumns(
                qkv, columns: range, weight: weight, squares: squares, column: place, count: width,
                epsilon: epsilon)
        }
        workspace.rewind(to: mark)
    }
}
