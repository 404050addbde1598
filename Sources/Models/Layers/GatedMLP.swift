import Tensors

/// down(silu(gate(x)) · up(x)).
struct GatedMLP: Sendable {
    /// Gate beside up: [2 · intermediate, hidden].
    private let gateUp: Linear
    /// [hidden, intermediate].
    private let down: Linear
    private let operators: any Operators

    /// Takes `gate_proj`, `up_proj` and `down_proj`.
    init(_ loader: Loader, _ shape: TextShape) throws(ModelError) {
        let hasBias = shape.biases.contains(.mlp)
        gateUp = try Linear(
            loader, [("gate_proj", shape.intermediateSize), ("up_proj", shape.intermediateSize)],
            inputs: shape.hiddenSize, hasBias: hasBias)
        down = try Linear(
            loader, "down_proj", outputs: shape.hiddenSize, inputs: shape.intermediateSize, hasBias: hasBias)
        operators = loader.device.operators
    }

    /// Adds the MLP of `x` [T, hidden] to `residual` [T, hidden].
    func callAsFunction(_ x: Tensor, addingTo residual: Tensor, workspace: Workspace) throws(DeviceError) {
        let both = try gateUp(x, workspace: workspace)  // [T, 2 · intermediate]
        // [T, intermediate]
        let product = try workspace.take([x.shape.rowCount, gateUp.outputCount / 2], .f32)
        operators.siluMultiply(both, out: product)
        down(product, epilogue: .add(residual: residual), into: residual)
    }
}
