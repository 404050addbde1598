import Tensors

/// down(act(gate(x)) · up(x)), act being silu or a GELU.
struct GatedMLP: Sendable {
    /// Gate beside up: [2 · intermediate, hidden].
    private let gateUp: Linear
    /// [hidden, intermediate].
    private let down: DividedLinear
    private let gate: TextShape.Gate
    private let operators: any Operators

    /// Takes its matrices by the names of `shape`.
    init(_ loader: Loader, _ shape: TextShape) throws(ModelError) {
        try self.init(
            loader, gateUp: shape.names.gateUp, down: shape.names.down, hidden: shape.hiddenSize,
            intermediate: shape.intermediateSize, hasBias: shape.biases.contains(.mlp), gate: shape.gate)
    }

    /// Takes `gateUp`, two matrices or one with the gate first, and `down`.
    ///
    /// A rank's part of the intermediate size that is no multiple of eight is filled up with zeros, which change nothing.
    init(
        _ loader: Loader, gateUp: [String], down: String, hidden: Int, intermediate: Int, hasBias: Bool,
        gate: TextShape.Gate = .silu,
    ) throws(ModelError) {
        self.gate = gate
        operators = loader.device.operators
        let part = loader.filledPart(of: intermediate, step: 8)
        let size = 2 * intermediate / gateUp.count
        var stack = Stack(part.missing)
        for name in gateUp {
            let matrix = try loader.take("\(name).weight", shape: [size, hidden])
            let bias = hasBias ? try loader.take("\(name).bias", shape: [size]) : nil
            for start in stride(from: 0, to: size, by: intermediate) {
                try stack.append(part.range.shifted(by: start), of: matrix, bias, loader)
            }
        }
        self.gateUp = try Linear(loader, matrices: stack.matrices, biases: stack.biases)
        self.down = try DividedLinear(
            loader, down, outputs: hidden, inputs: part.range, of: intermediate, hasBias: hasBias,
            width: part.width)
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
        let epilogue: LinearEpilogue =
            switch gate {
            case .silu: .siluMultiply(scratch: both)
            case .tanhGELU: .geluMultiply(scratch: both)
            }
        gateUp(x, epilogue: epilogue, into: product)
        down(.rows(product), addingTo: residual)
    }
}
