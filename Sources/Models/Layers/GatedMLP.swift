import Checkpoints
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
        try self.init(
            loader, gateUp: shape.names.gateUp, down: shape.names.down, hidden: shape.hiddenSize,
            intermediate: shape.intermediateSize, hasBias: shape.biases.contains(.mlp))
    }

    /// Takes `gateUp`, two matrices or one with the gate first, and `down`.
    ///
    /// An intermediate size that is no multiple of eight is filled up with zeros, which change nothing.
    init(
        _ loader: Loader, gateUp: [String], down: String, hidden: Int, intermediate: Int, hasBias: Bool,
    ) throws(ModelError) {
        operators = loader.device.operators
        let missing = (8 - intermediate % 8) % 8
        guard missing > 0, gateUp.count == 2 else {
            self.gateUp = try Linear(
                loader, gateUp.map { ($0, 2 * intermediate / gateUp.count) }, inputs: hidden, hasBias: hasBias
            )
            self.down = try Linear(
                loader, down, outputs: hidden, inputs: intermediate, hasBias: hasBias)
            return
        }
        var matrices: [Tensor] = []  // [intermediate, hidden] and [missing, hidden], twice
        var biases: [Tensor] = []  // the same of one column
        for name in gateUp {
            let matrix = try loader.take("\(name).weight", shape: [intermediate, hidden])
            matrices += [matrix, try loader.zeros([missing, hidden], as: matrix)]
            guard hasBias else { continue }
            let bias = try loader.take("\(name).bias", shape: [intermediate])
            biases += [bias, try loader.zeros([missing], as: bias)]
        }
        self.gateUp = try Linear(loader, matrices: matrices, biases: biases)
        let matrix = try loader.take("\(down).weight", shape: [hidden, intermediate])
        let wide = try ModelError.wrapping { () throws(CheckpointError) in
            try matrix.widened(to: intermediate + missing)
        }
        self.down = try Linear(
            loader, matrices: [wide],
            biases: hasBias ? [try loader.take("\(down).bias", shape: [hidden])] : [])
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
