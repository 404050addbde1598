import Tensors

/// The product that makes logits of hidden states; each rank makes those of some ids.
struct Head: Sendable {
    /// [ids of this rank, hidden].
    private let linear: Linear
    /// The ids of each rank.
    private let parts: [Range<Int>]
    private let collective: (any Collective)?
    private let operators: any Operators

    /// Takes over the host tensor `rows` [ids of this rank, hidden]; `parts` are the ids of all ranks.
    init(_ loader: Loader, rows: Tensor, parts: [Range<Int>]) throws(ModelError) {
        linear = try Linear(loader.forHead, matrices: [rows])
        self.parts = parts
        collective = loader.collective
        operators = loader.device.operators
    }

    /// The logits of `x` [R, hidden] into `out`, f32 [R, vocabulary], the same on all ranks.
    func callAsFunction(_ x: LinearInput, into out: Tensor, workspace: Workspace) throws(DeviceError) {
        guard let collective else { return linear(x, into: out) }
        let own = try workspace.take([x.rowCount, linear.outputCount], .f32)  // [R, ids of this rank]
        linear(x, into: own)
        operators.placeColumns(own, at: parts[collective.rank].lowerBound, of: out)
        collective.shareColumns(out, parts: parts)
    }
}
