import Tensors

/// Brings picture tokens to the text tower's width: LayerNorm → Linear → GELU → Linear.
struct Projector: Sendable {
    private let norm: Norm
    /// [hidden, inputs].
    private let up: Linear
    /// [hidden, hidden].
    private let down: Linear
    private let operandType: ElementType

    /// The names of its three layers.
    struct Names: Sendable {
        let norm: String
        let up: String
        let down: String
    }

    /// Takes the weights by `names`.
    init(_ loader: Loader, _ names: Names, inputs: Int, outputs: Int) throws(ModelError) {
        norm = try Norm(layer: loader, names.norm, count: inputs, epsilon: 1e-5)
        up = try Linear(loader, names.up, outputs: outputs, inputs: inputs, hasBias: true)
        down = try Linear(loader, names.down, outputs: outputs, inputs: outputs, hasBias: true)
        operandType = loader.device.operators.operandType
    }

    /// The projection of `x`, f32 [T, inputs], into `out`, f32 [T, hidden].
    func callAsFunction(_ x: Tensor, into out: Tensor, workspace: Workspace) throws(DeviceError) {
        let normed = try workspace.take(x.shape, operandType)  // [T, inputs]
        norm(x, into: normed)
        down(.rows(try up(.rows(normed), epilogue: .gelu, workspace: workspace)), into: out)
    }
}
