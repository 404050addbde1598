import Tensors

/// A product with one weight matrix, or with several stacked on their rows.
struct Linear: Sendable {
    let weights: any LinearWeights
    private let operators: any Operators

    /// Takes `name.weight` [outputs, inputs] and, if it has one, `name.bias` [outputs].
    init(
        _ loader: Loader, _ name: String, outputs: Int, inputs: Int, hasBias: Bool, scale: Tensor? = nil,
    ) throws(ModelError) {
        let matrix = try loader.take("\(name).weight", shape: [outputs, inputs])
        let bias = hasBias ? try loader.take("\(name).bias", shape: [outputs]) : nil
        try self.init(
            loader, matrices: [matrix], biases: bias.map { [$0] } ?? [], scale: scale)
    }

    /// Takes host matrices [outputs, inputs], biases [outputs], none for a product without, and the scale [all outputs]
    /// of what is added to the stream.
    init(
        _ loader: Loader, matrices: [Tensor], biases: [Tensor] = [], scale: Tensor? = nil,
    ) throws(ModelError) {
        weights = try ModelError.wrapping { () throws(DeviceError) in
            try loader.device.prepareLinear(
                weights: matrices, bias: biases, scale: scale, format: loader.format)
        }
        operators = loader.device.operators
    }

    /// How many values come out for a row.
    var outputCount: Int { weights.outputCount }

    /// The product with `x` [T, inputs] into `out` [T, outputs].
    func callAsFunction(_ x: LinearInput, epilogue: LinearEpilogue = .none, into out: Tensor) {
        operators.linear(x, weights, epilogue: epilogue, out: out)
    }

    /// The product with `x` [T, inputs] as a new operand [T, outputs].
    func callAsFunction(
        _ x: LinearInput, epilogue: LinearEpilogue = .none, workspace: Workspace,
    ) throws(DeviceError) -> Tensor {
        let out = try workspace.take([x.rowCount, outputCount], operators.operandType)  // [T, outputs]
        self(x, epilogue: epilogue, into: out)
        return out
    }
}
