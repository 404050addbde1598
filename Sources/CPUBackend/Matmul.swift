import CKernels
import Tensors

extension CPUOperators {
    var operandType: ElementType { .f32 }

    // out[t, n] = epilogue(Σₖ x[t, k] · W[n, k] + bias[n])
    func linear(_ x: LinearInput, _ weights: any LinearWeights, epilogue: LinearEpilogue, out: Tensor) {
        let rows: Tensor
        switch x {
        case .rows(let operand): rows = operand
        case .rmsNorm(let stream, let weight, let epsilon, let scratch):
            rmsNorm(stream, weight: weight, epsilon: epsilon, out: scratch)
            rows = scratch
        }
        guard let weights = weights as? PackedWeights else { preconditionFailure("weights of this device") }
        switch epilogue {
        case .siluMultiply(let both):
            product(rows, weights, .none, both)
            siluMultiply(both, out: out)
        case .geluMultiply(let both):
            product(rows, weights, .none, both)
            geluMultiply(both, out: out)
        case .none, .gelu, .addToOutput: product(rows, weights, epilogue, out)
        }
    }

    private func product(_ x: Tensor, _ weights: PackedWeights, _ epilogue: LinearEpilogue, _ out: Tensor) {
        let rowCount = x.elementCount / max(1, weights.inputCount)
        precondition(x.elementCount == rowCount * weights.inputCount, "x is [T, K]")
        precondition(out.elementCount == rowCount * weights.outputCount, "out is [T, N]")
        // Safe: all sizes are checked above; the tensors outlive the call.
        var call = unsafe vireo_linear_call()
        unsafe call.x = UnsafePointer(x.floats)
        unsafe call.weights = UnsafeRawPointer(bitPattern: weights.panels.address)
        unsafe call.type = weights.type
        unsafe call.m = rowCount
        unsafe call.n = weights.outputCount
        unsafe call.k = weights.inputCount
        if let bias = weights.bias { unsafe call.bias = UnsafePointer(bias.floats) }
        unsafe call.epilogue = vireo_epilogue_none
        unsafe call.out = out.floats
        switch epilogue {
        case .none, .siluMultiply, .geluMultiply: break
        case .gelu(.exact): unsafe call.epilogue = vireo_epilogue_gelu
        case .gelu(.tanh): unsafe call.epilogue = vireo_epilogue_tanh_gelu
        case .gelu(.logistic): unsafe call.epilogue = vireo_epilogue_logistic_gelu
        case .addToOutput:
            unsafe call.epilogue = weights.scale == nil ? vireo_epilogue_add : vireo_epilogue_scale_add
            unsafe call.residual = UnsafePointer(out.floats)
            if let scale = weights.scale { unsafe call.scale = UnsafePointer(scale.floats) }
        }
        unsafe vireo_linear(pool.handle, &call)
    }
}
