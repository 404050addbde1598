import CKernels
import Tensors

extension CPUOperators {
    // out[t, n] = epilogue(Σₖ x[t, k] · W[n, k] + bias[n])
    func linear(_ x: Tensor, _ weights: any LinearWeights, epilogue: LinearEpilogue, out: Tensor) {
        guard let weights = weights as? PackedWeights else { preconditionFailure("weights of this device") }
        let rowCount = x.elementCount / max(1, weights.inputCount)
        precondition(x.elementCount == rowCount * weights.inputCount, "x is [T, K]")
        precondition(out.elementCount == rowCount * weights.outputCount, "out is [T, N]")
        // Safe: all sizes are checked above and below; the tensors outlive the call.
        var call = unsafe vireo_linear_call()
        unsafe call.x = UnsafePointer(x.floats)
        unsafe call.weights = UnsafeRawPointer(bitPattern: weights.panels.address)
        unsafe call.type = weights.elementType == .f32 ? vireo_type_f32 : vireo_type_bf16
        unsafe call.m = rowCount
        unsafe call.n = weights.outputCount
        unsafe call.k = weights.inputCount
        if let bias = weights.bias { unsafe call.bias = UnsafePointer(bias.floats) }
        unsafe call.epilogue = vireo_epilogue_none
        unsafe call.out = out.floats
        switch epilogue {
        case .none: break
        case .gelu: unsafe call.epilogue = vireo_epilogue_gelu
        case .add(let residual):
            precondition(residual.elementCount == out.elementCount, "the residual is [T, N]")
            unsafe call.epilogue = vireo_epilogue_add
            unsafe call.residual = UnsafePointer(residual.floats)
        case .scaleAdd(let scale, let residual):
            precondition(residual.elementCount == out.elementCount, "the residual is [T, N]")
            precondition(scale.elementCount == weights.outputCount, "the scale is [N]")
            unsafe call.epilogue = vireo_epilogue_scale_add
            unsafe call.residual = UnsafePointer(residual.floats)
            unsafe call.scale = UnsafePointer(scale.floats)
        }
        unsafe vireo_linear(pool.handle, &call)
    }
}
