import Tensors

extension CUDAOperators {
    // out[t, n] = epilogue(Σₖ x[t, k] · W[n, k] + bias[n])
    func linear(_ x: LinearInput, _ weights: any LinearWeights, epilogue: LinearEpilogue, out: Tensor) {
        guard let weights = weights as? CUDAWeights else { preconditionFailure("weights of this device") }
        let rowCount = x.rowCount
        precondition(
            out.elementCount == rowCount * weights.outputCount / (epilogue.isGated ? 2 : 1), "out is [T, N]")
        guard rowCount > 0 else { return }
        // Only the exact one is fused.
        if case .gelu(let kind) = epilogue, kind != .exact {
            linear(x, weights, epilogue: .none, out: out)
            gelu(out, kind)
            return
        }
        if case .geluMultiply(let both) = epilogue {
            linear(x, weights, epilogue: .none, out: both)
            geluMultiply(both, out: out)
            return
        }
        let end = end(epilogue, out)
        switch x {
        case .rmsNorm(let stream, let weight, let epsilon, _) where products.takeNorm(rowCount, weights):
            products.multiply(
                norming: stream, weight: weight, epsilon: epsilon, rowCount: rowCount, weights, end, out: out)
            return
        case .rows, .rmsNorm: break
        }
        let operand = operand(x)
        precondition(operand.elementCount == rowCount * weights.inputCount, "x is [T, K]")
        if products.take(rowCount, weights) {
            products.multiply(operand, rowCount: rowCount, weights, end, out: out)
            return
        }
        let bias = out.elementType == .f32 ? weights.bias : weights.roundedBias
        switch epilogue {
        case .none:
            matmul.multiply(operand, weights.matrix, bias: bias, adds: false, out: out)
        case .addToOutput: matmul.multiply(operand, weights.matrix, bias: bias, adds: true, out: out)
        case .gelu(let kind):
            matmul.multiply(operand, weights.matrix, bias: bias, adds: false, out: out)
            gelu(out, kind)
        case .siluMultiply(let both):
            matmul.multiply(operand, weights.matrix, bias: bias, adds: false, out: both)
            siluMultiply(both, out: out)
        case .geluMultiply: break  // Never: it is taken apart above.
        }
    }

    /// The operand that `x` stands for.
    private func operand(_ x: LinearInput) -> Tensor {
        switch x {
        case .rows(let rows): return rows
        case .rmsNorm(let stream, let weight, let epsilon, let scratch):
            rmsNorm(stream, weight: weight, epsilon: epsilon, out: scratch)
            return scratch
        }
    }

    private func end(_ epilogue: LinearEpilogue, _ out: Tensor) -> SkinnyProducts.End {
        switch epilogue {
        case .none: out.elementType == .f32 ? .f32 : .bf16
        case .gelu: .gelu
        case .addToOutput: .add
        case .siluMultiply, .geluMultiply: .gated
        }
    }
}

extension LinearEpilogue {
    fileprivate var isGated: Bool {
        switch self {
        case .siluMultiply, .geluMultiply: true
        case .none, .gelu, .addToOutput: false
        }
    }
}
