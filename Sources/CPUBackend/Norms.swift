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

    // out[t, c] += x[t, c] / √(mean_c x[t, c]² + ε) · weight[c]
    func addNorm(_ x: Tensor, weight: Tensor, epsilon: Float, to out: Tensor) {
        let columnCount = x.shape.columnCount
        precondition(weight.elementCount == columnCount && out.elementCount == x.elementCount, "as wide as x")
        unsafe vireo_add_norm(
            pool.handle, x.floats, x.shape.rowCount, columnCount, weight.floats, epsilon, out.floats)
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

    // out[t, k] = Σ_c x[t, c]² for c in columns[k]
    func sumSquares(_ x: Tensor, columns: [Range<Int>], out: Tensor) {
        let (stride, width, values, sums) = unsafe (
            x.shape.columnCount, out.shape.columnCount, x.floats, out.floats
        )
        precondition(columns.allSatisfy { $0.lowerBound >= 0 && $0.upperBound <= stride }, "columns of x")
        precondition(out.shape.rowCount == x.shape.rowCount && columns.count <= width, "out is [T, K]")
        for row in 0..<x.shape.rowCount {
            for (place, range) in columns.enumerated() {
                var sum = 0.0
                for column in range {
                    let value = unsafe Double(values[row * stride + column])
                    sum += value * value
                }
                unsafe sums[row * width + place] = Float(sum)
            }
        }
    }

    // x[t, c] = x[t, c] / √(squares[t, column] / count + ε) · weight[c] for c in columns
    func scaleColumns(
        _ x: Tensor, columns: Range<Int>, weight: Tensor, squares: Tensor, column: Int, count: Int,
        epsilon: Float,
    ) {
        let (stride, width) = (x.shape.columnCount, squares.shape.columnCount)
        precondition(columns.lowerBound >= 0 && columns.upperBound <= stride, "columns of x")
        precondition(weight.elementCount == columns.count, "as wide as the columns")
        precondition(squares.shape.rowCount == x.shape.rowCount && column < width, "squares is [T, K]")
        let (values, weights, sums) = unsafe (x.floats, weight.floats, squares.floats)
        for row in 0..<x.shape.rowCount {
            let scale = unsafe 1 / (sums[row * width + column] / Float(count) + epsilon).squareRoot()
            for (place, target) in columns.enumerated() {
                unsafe values[row * stride + target] *= scale * weights[place]
            }
        }
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
