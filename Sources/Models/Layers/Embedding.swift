import Tensors

/// Rows for token ids, with embeddings of pictures merged in; each rank has the rows of some ids.
struct Embedding: Sendable {
    /// bf16 or f32 [ids of this rank, hidden].
    private let table: Tensor
    private let firstID: Int
    private let collective: (any Collective)?
    private let operators: any Operators

    /// Takes over the host tensor `rows` [ids of this rank, hidden], the first of them that of `firstID`.
    init(_ loader: Loader, rows: Tensor, firstID: Int) throws(ModelError) {
        table = try loader.load(rows, as: loader.elementType)
        self.firstID = firstID
        collective = loader.collective
        operators = loader.device.operators
    }

    /// The rows of the tokens of `batch` into `out`, f32 [T, hidden], the same on all ranks.
    func callAsFunction(_ batch: Batch, into out: Tensor) {
        // Each token's row is zero on all ranks but one: that of its id, or for pictures the first.
        let isFirst = collective.map { $0.rank == 0 } ?? true
        operators.embed(
            ids: batch.ids, previous: batch.previous, imageRows: batch.imageRows, table: table,
            firstID: firstID, images: isFirst ? batch.images : batch.images[0..<0], out: out)
        collective?.sum(out)
    }
}
