/// Encodes one piece of text after the other; holds the memory that this takes.
struct WordEncoder: Sendable {
    /// Words of more symbols are merged with a heap, so that time stays near linear.
    static let longestScan = 64

    private var cache = WordCache()
    private var symbols: [Int32] = []
    private var pairs: [MergeTable.Merge] = []
    private var long = LongWordEncoder()

    /// Appends the ids of `bytes[range]`, which is not empty.
    @inline(__always)
    mutating func encode(
        _ bytes: Span<UInt8>, _ range: Range<Int>, _ model: borrowing TokenModel, into ids: inout [Int32]
    ) {
        guard range.count <= WordCache.longestWord else {
            encodeAnew(bytes, range, model, into: &ids)
            return
        }
        let key = WordCache.key(bytes, range)
        let index = WordCache.index(of: key)
        let entry = cache[index]
        if entry.key == key {
            ids.append(entry.first)
            if entry.count > 1 { ids.append(entry.second) }
            if entry.count > 2 { ids.append(entry.third) }
            return
        }
        let start = ids.count
        encodeAnew(bytes, range, model, into: &ids)
        cache.store(ids[start...], key, at: index)
    }

    private mutating func encodeAnew(
        _ bytes: Span<UInt8>, _ range: Range<Int>, _ model: borrowing TokenModel, into ids: inout [Int32]
    ) {
        switch copy model {
        case .bytePair(let model): encodeAnew(bytes, range, model, into: &ids)
        case .unigram(let model): model.encode(bytes, range, into: &ids)
        }
    }

    private mutating func encodeAnew(
        _ bytes: Span<UInt8>, _ range: Range<Int>, _ model: borrowing BytePairModel, into ids: inout [Int32]
    ) {
        if model.ignoresMerges, let id = model.vocabulary.id(of: bytes, range, isLiteral: false),
            !model.outsideModel.contains(id)
        {
            ids.append(id)
            return
        }
        symbols.removeAll(keepingCapacity: true)
        model.appendSymbols(of: bytes, range, to: &symbols)
        if symbols.count > Self.longestScan {
            long.merge(&symbols, model.merges)
        } else {
            merge(model.merges)
        }
        model.spellOut(&symbols)
        ids.append(contentsOf: symbols)
        // A long word's memory is not kept for the next text.
        if symbols.capacity > 1 << 16 { symbols = [] }
    }

    /// Joins the pair of the lowest rank, the leftmost of equals, until none joins.
    private mutating func merge(_ table: borrowing MergeTable) {
        pairs.removeAll(keepingCapacity: true)
        guard symbols.count > 1 else { return }
        for index in 1..<symbols.count { pairs.append(table.merge(symbols[index - 1], symbols[index])) }
        while true {
            var best = 0
            var lowest = UInt32.max
            for index in pairs.indices where pairs[index].rank < lowest {
                lowest = pairs[index].rank
                best = index
            }
            guard lowest != .max else { return }
            symbols[best] = pairs[best].id
            symbols.remove(at: best + 1)
            pairs.remove(at: best)
            if best > 0 { pairs[best - 1] = table.merge(symbols[best - 1], symbols[best]) }
            if best < pairs.count { pairs[best] = table.merge(symbols[best], symbols[best + 1]) }
        }
    }
}
