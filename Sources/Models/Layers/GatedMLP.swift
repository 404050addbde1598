import Tensors

/// down(silu(gate(x)) · up(x)).
struct GatedMLP: Sendable {
    /// Gate beside up: [2 · intermediate, hidden].
    private let gateUp: Linear
    /// [hidden, intermediate].
    private let down: Linear
    private let operators: any Operators

    /// Takes its matrices by the names of `shape`.
    init(_ loader: Loader, _ shape: TextShape) throws(ModelError) {
        let hasBias = shape.biases.contains(.mlp)
        let names = shape.names
        gateUp = try Linear(
            loader, names.gateUp.map { ($0, 2 * shape.intermediateSize / names.gateUp.count) },
            inputs: shape.hiddenSize, hasBias: hasBias)
        down = try Linear(
            loader, names.down, outputs: shape.hiddenSize, inputs: shape.intermediateSize, hasBias: hasBias)
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
