import Tensors

extension Linear {
    /// The product that gives fused rows [T, (heads + 2 · keyValueHeads) · headDim]: queries, keys, values of the rank's
    /// heads.
    ///
    /// Takes the matrices below `loader`, of `hidden` inputs and all of `heads`, by `names`, whatever their number and order
    /// of rows.
    init(
        qkv loader: Loader, _ names: DecoderNames.QKV, _ heads: HeadLayout, _ part: HeadPart, hidden: Int,
        hasBias: Bool,
    ) throws(ModelError) {
        let dim = heads.headDim
        let (queries, keys) = (part.queries.scaled(by: dim), part.keys.scaled(by: dim))
        let (queryWidth, keyWidth) = (heads.heads * dim, heads.keyValueHeads * dim)
        switch names {
        case .separate(let queryName, let keyName, let valueName):
            var matrices: [Tensor] = [], biases: [Tensor] = []
            for (name, range, width) in [
                (queryName, queries, queryWidth), (keyName, keys, keyWidth), (valueName, keys, keyWidth),
            ] {
                matrices.append(try loader.take("\(name).weight", shape: [width, hidden])[range])
                if hasBias { biases.append(try loader.take("\(name).bias", shape: [width])[range]) }
            }
            try self.init(loader, matrices: matrices, biases: biases)
        case .stacked(let name):
            try self.init(
                loader, name,
                rows: [queries, keys.shifted(by: queryWidth), keys.shifted(by: queryWidth + keyWidth)],
                outputs: heads.columnCount, inputs: hidden, hasBias: hasBias)
        case .grouped(let name):
            // A key head's queries, its key and its value are together: of g queries, rows of g + 2 heads.
            let group = heads.heads / heads.keyValueHeads
            func rows(_ head: Int) -> Range<Int> { (head * dim)..<((head + 1) * dim) }
            try self.init(
                loader, name,
                rows: part.queries.map { rows($0 / group * (group + 2) + $0 % group) }
                    + part.keys.map { rows($0 * (group + 2) + group) }
                    + part.keys.map { rows($0 * (group + 2) + group + 1) },
                outputs: heads.columnCount, inputs: hidden, hasBias: hasBias)
        }
    }
}

/// The heads of one rank.
struct HeadPart: Sendable {
    /// Its query heads, of all.
    let queries: Range<Int>
    /// Its key heads, of all; several ranks have the same one where there are fewer than ranks.
    let keys: Range<Int>
    /// The layout of its fused rows.
    let layout: HeadLayout

    /// The part of `heads` that the loader's rank has; `TextShape.obstacle(toRanks:)` says what cannot be.
    init(_ heads: HeadLayout, _ loader: Loader) {
        let count = loader.collective?.rankCount ?? 1, rank = loader.collective?.rank ?? 0
        queries = loader.part(of: heads.heads)
        let first = rank * heads.keyValueHeads / count
        keys = first..<(first + max(1, heads.keyValueHeads / count))
        layout = HeadLayout(heads: queries.count, keyValueHeads: keys.count, headDim: heads.headDim)
    }
}

extension Range<Int> {
    /// The range of `factor` things for each of these.
    func scaled(by factor: Int) -> Range<Int> { (lowerBound * factor)..<(upperBound * factor) }
    /// The range that begins `offset` later.
    func shifted(by offset: Int) -> Range<Int> { (lowerBound + offset)..<(upperBound + offset) }
}
