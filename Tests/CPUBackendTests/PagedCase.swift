import CPUBackend
import Tensors
import Testing

/// Sequences with their pages scattered over a cache, and everything an attention test needs.
struct PagedCase {
    var heads: HeadLayout
    /// Tokens of this pass and of the whole context, one pair a sequence.
    var lengths: [(queries: Int, context: Int)]
    var pageSize: Int
    var type: ElementType
    /// How many keys a query sees back; nil for all.
    var window: Int?
    /// For each token up to where it sees; empty for up to itself.
    var sights: [Int] = []

    /// qkv [T, columns], and for each sequence its keys and values [context, keyValueHeads, headDim].
    struct Content {
        var qkv: [Float]
        var keys: [[Float]]
        var values: [[Float]]
    }

    func makeContent(seed: UInt64) -> Content {
        var numbers = Numbers(seed)
        let rowWidth = heads.keyValueHeads * heads.headDim
        let tokenCount = lengths.reduce(0) { $0 + $1.queries }
        func cached() -> [[Float]] {
            lengths.map { length in
                let values = numbers.floats(length.context * rowWidth, size: 2)
                return type == .bf16 ? values.map(bf16) : values
            }
        }
        return Content(
            qkv: numbers.floats(tokenCount * heads.columnCount, size: 2), keys: cached(), values: cached())
    }

    /// The output of the device, [T, heads · headDim].
    func run(_ device: CPUDevice, _ content: Content, scale: Float) throws -> [Float] {
        let pageCounts = lengths.map { ($0.context + pageSize - 1) / pageSize }
        let pageTotal = pageCounts.reduce(1, +), most = pageCounts.max() ?? 0, dim = heads.headDim
        // Pages are handed out from the back; what no sequence uses is not a number.
        var next = pageTotal - 1, table: [Int32] = []
        let cacheCount = pageTotal * heads.keyValueHeads * pageSize * dim
        var keys = [Float](repeating: .nan, count: cacheCount), values = keys
        for (s, length) in lengths.enumerated() {
            let pages = (0..<pageCounts[s]).map { _ in
                defer { next -= 1 }; return next
            }
            table += pages.map(Int32.init) + [Int32](repeating: -1, count: most - pages.count)
            for j in 0..<length.context {
                for head in 0..<heads.keyValueHeads {
                    let row = (pages[j / pageSize] * heads.keyValueHeads + head) * pageSize + j % pageSize
                    let source = (j * heads.keyValueHeads + head) * dim
                    for d in 0..<dim {
                        keys[row * dim + d] = content.keys[s][source + d]
                        values[row * dim + d] = content.values[s][source + d]
                    }
                }
            }
        }
        let shape: Shape = [pageTotal, heads.keyValueHeads, pageSize, dim]
        let cache = KVLayer(
            keys: try device.load(try device.tensor(keys, shape), as: type),
            values: try device.load(try device.tensor(values, shape), as: type))
        let tokenCount = lengths.reduce(0) { $0 + $1.queries }, sequenceCount = lengths.count
        let starts = lengths.reduce(into: [Int32(0)]) { $0.append(($0.last ?? 0) + Int32($1.queries)) }
        let none = try device.integers([Int32](repeating: 0, count: tokenCount), [tokenCount])
        let batch = AttentionBatch(
            positions: none, slots: none, queryStarts: try device.integers(starts, [sequenceCount + 1]),
            contextLengths: try device.integers(lengths.map { Int32($0.context) }, [sequenceCount]),
            pageTable: try device.integers(table, [sequenceCount, most]),
            sights: sights.isEmpty ? nil : try device.integers(sights.map { Int32($0) }, [tokenCount]),
            sequenceCount: sequenceCount,
            maxQueryCount: lengths.map(\.queries).max() ?? 0,
            maxContextLength: lengths.map(\.context).max() ?? 0)
        let out = try device.makeTensor([tokenCount, heads.heads * dim], .f32)
        device.operators.pagedAttention(
            qkv: try device.tensor(content.qkv, [tokenCount, heads.columnCount]), heads: heads, scale: scale,
            window: window, batch: batch, cache: cache, out: out)
        return device.readFloats(out)
    }

    /// The same by plain sums.
    func reference(_ content: Content, scale: Float) -> [Double] {
        var out: [Double] = [], t = 0
        let group = heads.heads / heads.keyValueHeads, dim = heads.headDim
        for (s, length) in lengths.enumerated() {
            for q in 0..<length.queries {
                for head in 0..<heads.heads {
                    let start = t * heads.columnCount + head * dim
                    let query = content.qkv[start..<(start + dim)].map { type == .bf16 ? bf16($0) : $0 }
                    let own = length.context - length.queries + q + 1
                    let first = max(0, own - (window ?? own)), end = sights.isEmpty ? own : sights[t]
                    func place(_ key: Int, _ d: Int) -> Int {
                        ((first + key) * heads.keyValueHeads + head / group) * dim + d
                    }
                    out += attend(
                        query, count: end - first, scale: scale, key: { content.keys[s][place($0, $1)] },
                        value: { content.values[s][place($0, $1)] })
                }
                t += 1
            }
        }
        return out
    }
}

/// Σⱼ softmaxⱼ(scale · q · k[j]) · v[j] over `count` keys.
func attend(
    _ query: [Float], count: Int, scale: Float, key: (Int, Int) -> Float, value: (Int, Int) -> Float,
) -> [Double] {
    let scores = (0..<count).map { j in
        query.indices.reduce(0.0) { $0 + Double(query[$1]) * Double(key(j, $1)) } * Double(scale)
    }
    let most = scores.max() ?? 0
    let weights = scores.map { exponential($0 - most) }, total = weights.reduce(0, +)
    return query.indices.map { d in
        (0..<count).reduce(0.0) { $0 + weights[$1] / total * Double(value($1, d)) }
    }
}
