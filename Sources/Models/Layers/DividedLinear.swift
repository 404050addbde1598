import Checkpoints
import Tensors

/// A product whose inputs are divided over ranks; what comes out is added up over them, and to the stream.
struct DividedLinear: Sendable {
    private let linear: Linear
    private let collective: (any Collective)?
    private let operators: any Operators

    /// Takes the columns `inputs` of `name.weight` [outputs, all inputs] and, on the first rank, `name.bias` [outputs].
    ///
    /// `scale` is that of what is added; columns of zeros behind the rank's own make `width` of them.
    init(
        _ loader: Loader, _ name: String, outputs: Int, inputs: Range<Int>, of all: Int, hasBias: Bool,
        scale: Tensor? = nil, width: Int? = nil,
    ) throws(ModelError) {
        let matrix = try loader.take("\(name).weight", shape: [outputs, all])
        let own = try ModelError.wrapping { () throws(CheckpointError) in
            try matrix.columns(inputs).widened(to: width ?? inputs.count)
        }
        let bias = hasBias ? try loader.take("\(name).bias", shape: [outputs]) : nil
        linear = try Linear(
            loader, matrices: [own], biases: loader.isFirst ? [bias].compactMap(\.self) : [], scale: scale)
        collective = loader.collective
        operators = loader.device.operators
    }

    /// Adds the product with this rank's part of the inputs, [T, inputs], on all ranks to `stream`, f32 [T, outputs],
    /// which is the same on all.
    func callAsFunction(_ x: LinearInput, addingTo stream: Tensor) {
        if let collective, collective.rank > 0 { operators.clear(stream) }
        linear(x, epilogue: .addToOutput, into: stream)
        collective?.sum(stream)
    }
}
