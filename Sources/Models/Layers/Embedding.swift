import Tensors

/// Rows for token ids, with embeddings of pictures merged in.
struct Embedding: Sendable {
    /// bf16 or f32 [vocabulary, hidden].
    private let table: Tensor
    private let operators: any Operators

    /// Takes over the host tensor `matrix` [vocabulary, hidden].
    init(_ loader: Loader, matrix: Tensor) throws(ModelError) {
        table = try loader.load(matrix, as: loader.elementType)
        operators = loader.device.operators
    }

    /// The rows of the tokens of `batch` into `out`, f32 [T, hidden].
    func callAsFunction(_ batch: Batch, into out: Tensor) {
        operators.embed(
            ids: batch.ids, previous: batch.previous, imageRows: batch.imageRows, table: table,
            images: batch.images, out: out)
    }
}
