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

    /// A root-mean-square norm: takes `name.weight` [count].
    init(rms loader: Loader, _ name: String, count: Int, epsilon: Float) throws(ModelError) {
        kind = .rms(weight: try loader.vector("\(name).weight", shape: [count]), epsilon: epsilon)
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

    /// Takes `name.weight` [count].
    init(_ loader: Loader, _ name: String, count: Int, epsilon: Float) throws(ModelError) {
        weight = try loader.vector("\(name).weight", shape: [count])
        self.epsilon = epsilon
    }

    /// What a product takes of `x`, f32 [T, C]; `scratch` is an operand [T, C].
    func callAsFunction(_ x: Tensor, scratch: Tensor) -> LinearInput {
        .rmsNorm(x, weight: weight, epsilon: epsilon, scratch: scratch)
    }
}

/// Root-mean-square norms of the queries and of the keys in fused rows, each over all of its heads.
struct QueryKeyNorm: Sendable {
    /// f32 [width].
    private let queryWeight: Tensor
    /// f32 [width].
    private let keyWeight: Tensor
    private let epsilon: Float
    private let operators: any Operators

    /// Takes `q_norm.weight` and `k_norm.weight`, both [width].
    init(_ loader: Loader, width: Int, epsilon: Float) throws(ModelError) {
        queryWeight = try loader.vector("q_norm.weight", shape: [width])
        keyWeight = try loader.vector("k_norm.weight", shape: [width])
        self.epsilon = epsilon
        operators = loader.device.operators
    }

    /// Norms in place the first two thirds of the operand `qkv` [T, 3 · width].
    func callAsFunction(_ qkv: Tensor) {
        let width = queryWeight.elementCount
        operators.rmsNorm(qkv, columns: 0..<width, weight: queryWeight, epsilon: epsilon)
        operators.rmsNorm(qkv, columns: width..<(2 * width), weight: keyWeight, epsilon: epsilon)
    }
}
