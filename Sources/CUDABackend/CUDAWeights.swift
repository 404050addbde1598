import Tensors

/// The weights of a product on the device: bf16 [N, K], row by row.
struct CUDAWeights: LinearWeights {
    /// bf16 [N, K], with the layer scale multiplied in.
    let matrix: Tensor
    /// f32 [N], with the layer scale multiplied in, if there is one.
    let bias: Tensor?
    /// The same in bf16, which products with bf16 results ask for.
    let roundedBias: Tensor?

    var outputCount: Int { matrix.shape[0] }
    var inputCount: Int { matrix.shape[1] }
    var byteCount: Int { matrix.byteCount + (bias?.byteCount ?? 0) * 3 / 2 }
}
