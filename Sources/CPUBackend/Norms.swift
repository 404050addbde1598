import CKernels
import Tensors

// Safe, in all of this file: sizes are checked before each call, and the caller's tensors outlive it.
extension CPUOperators {
    // out[t, c] = x[t, c] / √(mean_c x[t, c]² + ε) · weight[c]
    func rmsNorm(_ x: Tensor, weight: Tensor, epsilon: Float, out: Tensor) {
        let columnCount = x.shape.columnCount
        precondition(weight.elementCount == columnCount && out.elementCount == x.elementCount, "as wide as x")
        unsafe vireo_rms_norm(
            pool.handle, x.floats, x.shape.rowCount, columnCount, columnCount, weight.floats, epsilon,
            out.floats, columnCount)
    }

    // x[t, c] = x[t, c] / √(mean_c x[t, c]² + ε) · weight[c] for c in columns
    func rmsNorm(_ x: Tensor, columns: Range<Int>, weight: Tensor, epsilon: Float) {
        let stride = x.shape.columnCount
        precondition(columns.lowerBound >= 0 && columns.upperBound <= stride, "columns of x")
        precondition(weight.elementCount == columns.count, "as wide as the columns")
        let first = unsafe x.floats + columns.lowerBound
        unsafe vireo_rms_norm(
            pool.handle, first, x.shape.rowCount, stride, columns.count, weight.floats, epsilon, first, stride
        )
    }

    // out[t, c] = (x[t, c] − mean) / √(variance + ε) · weight[c] + bias[c]
    func layerNorm(_ x: Tensor, weight: Tensor, bias: Tensor, epsilon: Float, out: Tensor) {
        let columnCount = x.shape.columnCount
        precondition(weight.elementCount == columnCount && bias.elementCount == columnCount, "as wide as x")
        precondition(out.elementCount == x.elementCount, "out is [T, C]")
        unsafe vireo_layer_norm(
            pool.handle, x.floats, x.shape.rowCount, columnCount, weight.floats, bias.floats, epsilon,
            out.floats)
    }
}
