import CKernels
import Tensors

extension CPUOperators {
    // out[t, i] = x[t, i] / (1 + exp(−x[t, i])) · x[t, I + i]
    func siluMultiply(_ x: Tensor, out: Tensor) {
        let columnCount = out.shape.columnCount
        precondition(
            x.shape.columnCount == 2 * columnCount && x.elementCount == 2 * out.elementCount, "[T, 2 · I]")
        // Safe: sizes are checked above; the caller's tensors outlive the call.
        unsafe vireo_silu_multiply(pool.handle, x.floats, x.shape.rowCount, columnCount, out.floats)
    }

    // out[t, i] = gelu(x[t, i]) · x[t, I + i], by a tanh
    func geluMultiply(_ x: Tensor, out: Tensor) {
        let columnCount = out.shape.columnCount
        precondition(
            x.shape.columnCount == 2 * columnCount && x.elementCount == 2 * out.elementCount, "[T, 2 · I]")
        // Safe: sizes are checked above; the caller's tensors outlive the call.
        unsafe vireo_gelu_multiply(pool.handle, x.floats, x.shape.rowCount, columnCount, out.floats)
    }
}
