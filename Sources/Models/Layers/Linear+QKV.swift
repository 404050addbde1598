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
        let dim = heads.headDim, filling = part.missing * dim
        let (queries, keys) = (part.queries.scaled(by: dim), part.keys.scaled(by: dim))
        let (queryWidth, keyWidth) = (heads.heads * dim, heads.keyValueHeads * dim)
        switch names {
        case .separate(let queryName, let keyName, let valueName):
            var stack = Stack(filling)
            for (name, range, width) in [
                (queryName, queries, queryWidth), (keyName, keys, keyWidth), (valueName, keys, keyWidth),
            ] {
                let matrix = try loader.take("\(name).weight", shape: [width, hidden])
                let bias = hasBias ? try loader.take("\(name).bias", shape: [width]) : nil
                try stack.append(range, of: matrix, bias, loader)
            }
            try self.init(loader, matrices: stack.matrices, biases: stack.biases)
        case .stacked(let name):
            let matrix = try loader.take("\(name).weight", shape: [heads.columnCount, hidden])
            let bias = hasBias ? try loader.take("\(name).bias", shape: [heads.columnCount]) : nil
            var stack = Stack(filling)
            for range in [queries, keys.shifted(by: queryWidth), keys.shifted(by: queryWidth + keyWidth)] {
                try stack.append(range, of: matrix, bias, loader)
            }
            try self.init(loader, matrices: stack.matrices, biases: stack.biases)
        case .grouped(let name):
            // A key head's queries, its key and its value are together: of g queries, rows of g + 2 heads.
            let group = heads.heads / heads.keyValueHeads
            func rows(_ head: Int) -> Range<Int> { (head * dim)..<((head + 1) * dim) }
            let matrix = try loader.take("\(name).weight", shape: [heads.columnCount, hidden])
            let bias = hasBias ? try loader.take("\(name).bias", shape: [heads.columnCount]) : nil
            var stack = Stack(filling)
            for ranges in [
                part.queries.map({ rows($0 / group * (group + 2) + $0 % group) }),
                part.keys.map({ rows($0 * (group + 2) + group) }),
                part.keys.map({ rows($0 * (group + 2) + group + 1) }),
            ] {
                try stack.append(ranges, of: matrix, bias, loader)
            }
            try self.init(loader, matrices: stack.matrices, biases: stack.biases)
        }
    }
}

/// Rows of matrices and biases on top of each other, each range with `filling` rows of zeros behind.
struct Stack {
    private(set) var matrices: [Tensor] = []
    private(set) var biases: [Tensor] = []
    private let filling: Int

    init(_ filling: Int) { self.filling = filling }

    /// Puts the rows `range` of `matrix` [R, C] and `bias` [R] below the others.
    mutating func append(
        _ range: Range<Int>, of matrix: Tensor, _ bias: Tensor?, _ loader: Loader,
    ) throws(ModelError) {
        try append([range], of: matrix, bias, loader)
    }

    /// The same for several ranges, with the filling behind the last.
    mutating func append(
        _ ranges: [Range<Int>], of matrix: Tensor, _ bias: Tensor?, _ loader: Loader,
    ) throws(ModelError) {
        for range in ranges where !range.isEmpty {
            matrices.append(matrix[range])
            if let bias { biases.append(bias[range]) }
        }
        guard filling > 0 else { return }
        matrices.append(try loader.zeros([filling, matrix.shape.columnCount], as: matrix))
        if let bias { biases.append(try loader.zeros([filling], as: bias)) }
    }
}

/// The heads of one rank.
struct HeadPart: Sendable {
    /// Its query heads, of all.
    let queries: Range<Int>
    /// Its key heads, of all; several ranks have the same one where there are fewer than ranks.
    let keys: Range<Int>
    /// Heads of zeros that each of queries, keys and values has behind them.
    let missing: Int
    /// The layout of its fused rows.
    let layout: HeadLayout

    /// The part of `heads` that the loader's rank has; `TextShape.obstacle(toRanks:)` says what cannot be.
    init(_ heads: HeadLayout, _ loader: Loader) {
        let count = loader.collective?.rankCount ?? 1, rank = loader.collective?.rank ?? 0
        queries = loader.part(of: heads.heads)
        let first = rank * heads.keyValueHeads / count
        keys = first..<(first + max(1, heads.keyValueHeads / count))
        missing = 0
        layout = HeadLayout(heads: queries.count, keyValueHeads: keys.count, headDim: heads.headDim)
    }

    /// The part of `count` heads, each with a key of its own, filled up so that all ranks have as many.
    init(filling count: Int, headDim: Int, _ loader: Loader) {
        let part = loader.filledPart(of: count)
        (queries, keys, missing) = (part.range, part.range, part.missing)
        layout = HeadLayout(heads: part.width, keyValueHeads: part.width, headDim: headDim)
    }
}

extension Range<Int> {
    /// The range of `factor` things for each of these.
    func scaled(by factor: Int) -> Range<Int> { (lowerBound * factor)..<(upperBound * factor) }
    /// The range that begins `offset` later.
    func shifted(by offset: Int) -> Range<Int> { (lowerBound + offset)..<(upperBound + offset) }
}
