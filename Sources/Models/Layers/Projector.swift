import Tensors

/// Brings picture tokens to the text tower's width: norm, if there is one → Linear → GELU → Linear.
struct Projector: Sendable {
    private let norm: Norm?
    private let activation: GELU
    /// [inner, joined · normed].
    private let up: Linear
    /// [outputs, inner].
    private let down: Linear
    private let operandType: ElementType
    /// How many of the norm's rows become one of the product's.
    private let joinedCount: Int

    /// The names of its three layers.
    struct Names: Sendable {
        /// nil for a projector without one.
        let norm: String?
        let up: String
        let down: String
    }

    /// Takes the weights by `names`: the norm is over `normed` values, `joined` of its rows become one of the product.
    init(
        _ loader: Loader, _ names: Names, norm kind: VisionShape.Norm, normed: Int, joined: Int, inner: Int,
        outputs: Int, hasBias: Bool = true, activation: GELU = .exact,
    ) throws(ModelError) {
        if let name = names.norm {
            norm = try Norm(kind, loader, name, count: normed)
        } else {
            norm = nil
        }
        self.activation = activation
        up = try Linear(loader, names.up, outputs: inner, inputs: joined * normed, hasBias: hasBias)
        down = try Linear(loader, names.down, outputs: outputs, inputs: inner, hasBias: hasBias)
        joinedCount = joined
        operandType = loader.device.operators.operandType
    }

    /// The projection of `x`, f32 [joined · T, normed], into `out`, f32 [T, outputs].
    func callAsFunction(_ x: Tensor, into out: Tensor, workspace: Workspace) throws(DeviceError) {
        guard let norm else { preconditionFailure("a projector without a norm takes operands") }
        let normed = try workspace.take(x.shape, operandType)  // [joined · T, normed]
        norm(x, into: normed)
        // [T, joined · normed]
        try self(
            operands: normed.reshaped([x.shape.rowCount / joinedCount, joinedCount * x.shape.columnCount]),
            into: out, workspace: workspace)
    }

    /// The projection of what the norm, if there is one, has given: the operand `rows` [T, joined · normed].
    func callAsFunction(operands rows: Tensor, into out: Tensor, workspace: Workspace) throws(DeviceError) {
        down(.rows(try up(.rows(rows), epilogue: .gelu(activation), workspace: workspace)), into: out)
    }
}
