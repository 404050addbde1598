import Tensors

extension Linear {
    /// The product that gives fused rows [T, (heads + 2 · keyValueHeads) · headDim]: queries, keys, values.
    ///
    /// Takes the matrices below `loader` by the names of `shape`, whatever their number and order of rows.
    init(qkv loader: Loader, _ shape: TextShape) throws(ModelError) {
        let heads = shape.heads
        let hasBias = shape.biases.contains(.qkv)
        switch shape.names.qkv {
        case .separate(let queries, let keys, let values):
            let keyValueWidth = heads.keyValueHeads * heads.headDim
            try self.init(
                loader,
                [(queries, heads.heads * heads.headDim), (keys, keyValueWidth), (values, keyValueWidth)],
                inputs: shape.hiddenSize, hasBias: hasBias)
        case .stacked(let name):
            try self.init(
                loader, name, outputs: heads.columnCount, inputs: shape.hiddenSize, hasBias: hasBias)
        case .grouped(let name):
            // [columnCount, hidden] and [columnCount]
            let matrix = try loader.take("\(name).weight", shape: [heads.columnCount, shape.hiddenSize])
            let bias = hasBias ? try loader.take("\(name).bias", shape: [heads.columnCount]) : nil
            try self.init(
                loader, matrices: heads.ungrouped(matrix), biases: bias.map { heads.ungrouped($0) } ?? [])
        }
    }
}

extension HeadLayout {
    /// The rows of `fused`, which has each key head's queries, key and value together, in the order of a fused row.
    ///
    /// Of g queries a key head, the rows of one key head are, each with headDim rows:
    ///
    ///     0 …… g − 1 | g   | g + 1
    ///     queries    | key | value
    func ungrouped(_ fused: Tensor) -> [Tensor] {
        precondition(fused.shape[0] == columnCount, "a row for each column of the product")
        let group = heads / keyValueHeads
        let parts = [0..<group, group..<(group + 1), (group + 1)..<(group + 2)]
        return parts.flatMap { part in
            (0..<keyValueHeads).map { head in
                let start = head * (group + 2)
                return fused[((start + part.lowerBound) * headDim)..<((start + part.upperBound) * headDim)]
            }
        }
    }
}
