import Tensors

/// Rows for token ids, with embeddings of pictures merged in; each rank has the rows of some ids.
struct Embedding: Sendable {
    /// bf16 or f32 [ids of this rank, hidden].
    private let table: Tensor
    private let firstID: Int
    /// What rows of the table are multiplied by.
    private let scale: Float
    private let collective: (any Collective)?
    private let operators: any Operators

    /// Takes over the host tensor `rows` [ids of this rank, hidden], the first of them that of `firstID`.
    ///
    /// `scale` is rounded to the type of the table.
    init(_ loader: Loader, rows: Tensor, firstID: Int, scale: Float = 1) throws(ModelError) {
        table = try loader.load(rows, as: loader.elementType)
        self.firstID = firstID
        self.scale = loader.elementType == .bf16 ? scale.roundedToBF16 : scale
        collective = loader.collective
        operators = loader.device.operators
    }

    /// The rows of the tokens of `batch` into `out`, f32 [T, hidden], the same on all ranks.
    func callAsFunction(_ batch: Batch, into out: Tensor) {
        // Each token's row is zero on all ranks but one: that of its id, or for pictures the first.
        let isFirst = collective.map { $0.rank == 0 } ?? true
        operators.embed(
            ids: batch.ids, previous: batch.previous, imageRows: batch.imageRows, table: table,
            firstID: firstID, scale: scale, images: isFirst ? batch.images : batch.images[0..<0], out: out)
        collective?.sum(out)
    }
}

extension Float {
    /// The nearest number that bf16 holds, ties to even; of a finite number.
    fileprivate var roundedToBF16: Float {
        let bits = bitPattern
        // Safe: the sign and an exponent below that of infinity leave room for the carry.
        return Float(bitPattern: (bits &+ 0x7fff &+ (bits >> 16 & 1)) & 0xffff_0000)
    }
}
