import Tensors

/// Brings picture tokens to the text tower's width: norm → Linear → GELU → Linear.
struct Projector: Sendable {
    private let norm: Norm
    /// [inner, joined · normed].
    private let up: Linear
    /// [outputs, inner].
    private let down: Linear
    private let operandType: ElementType
    /// How many of the norm's rows become one of the product's.
    private let joinedCount: Int

    /// The names of its three layers.
    struct Names: Sendable {
        let norm: String
        let up: String
        let down: String
    }

    /// Takes the weights by `names`: the norm is over `normed` values, `joined` of its rows become one of the product.
    init(
        _ loader: Loader, _ names: Names, norm kind: VisionShape.Norm, normed: Int, joined: Int, inner: Int,
        outputs: Int,
    ) throws(ModelError) {
        norm = try Norm(kind, loader, names.norm, count: normed)
        up = try Linear(loader, names.up, outputs: inner, inputs: joined * normed, hasBias: true)
        down = try Linear(loader, names.down, outputs: outputs, inputs: inner, hasBias: true)
        joinedCount = joined
        operandType = loader.device.operators.operandType
    }

    /// The projection of `x`, f32 [joined · T, normed], into `out`, f32 [T, outputs].
    func callAsFunction(_ x: Tensor, into out: Tensor, workspace: Workspace) throws(DeviceError) {
        let normed = try workspace.take(x.shape, operandType)  // [joined · T, normed]
        norm(x, into: normed)
        // [T, joined · normed]
        let rows = normed.reshaped([x.shape.rowCount / joinedCount, joinedCount * x.shape.columnCount])
        down(.rows(try up(.rows(rows), epilogue: .gelu(.exact), workspace: workspace)), into: out)
    }
}
