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

    /// Adds the MLP of `x` [T, hidden] to `residual` f32 [T, hidden].
    func callAsFunction(
        _ x: LinearInput, addingTo residual: Tensor, workspace: Workspace,
    ) throws(DeviceError) {
        let rowCount = x.rowCount
        // [T, intermediate]
        let product = try workspace.take([rowCount, gateUp.outputCount / 2], operators.operandType)
        // [T, 2 · intermediate]
        let both = try workspace.take([rowCount, gateUp.outputCount], operators.operandType)
        gateUp(x, epilogue: .siluMultiply(scratch: both), into: product)
        down(.rows(product), epilogue: .addToOutput, into: residual)
    }
}
