import CPUBackend
import Tensors
import Testing

@Suite struct RotaryTests {
    @Test(arguments: levels, [ElementType.f32, .bf16])
    func `queries turn in place, keys on their way to their slots, values stay`(
        level: CPULevel, type: ElementType,
    ) throws {
        for dim in [2, 16, 20, 64, 80] {
            for (isNormed, width) in [(false, dim), (true, dim), (false, dim / 4 * 2), (true, dim / 4 * 2)]
            where width > 0 {
                let example = RotaryCase(
                    heads: HeadLayout(heads: 4, keyValueHeads: 2, headDim: dim), width: width,
                    isNormed: isNormed,
                    type: type)
                let what = "\(dim) values, \(width) turning, \(isNormed ? "normed" : "not normed")"
                let actual = try example.run(
                    CPUDevice(threadCount: 2, level: level), 0..<RotaryCase.tokenCount)
                let expected = example.reference()
                let tolerance = type == .f32 ? 1e-6 : 4e-3
                expectClose(actual.queries, expected.queries, tolerance: isNormed ? 2e-6 : 1e-6, what)
                expectClose(actual.keys, expected.keys, tolerance: 2 * tolerance, what)
                expectClose(actual.values, expected.values, tolerance: tolerance, what)
            }
        }
    }

    @Test(arguments: levels)
    func `a token alone and among others gives the same bits`(level: CPULevel) throws {
        let device = CPUDevice(threadCount: 3, level: level)
        for (dim, width) in [(20, 20), (64, 48), (128, 128)] {
            let example = RotaryCase(
                heads: HeadLayout(heads: 4, keyValueHeads: 2, headDim: dim), width: width, isNormed: true,
                type: .f32)
            let together = try example.run(device, 0..<RotaryCase.tokenCount)
            let rowWidth = example.heads.heads * dim
            for t in 0..<RotaryCase.tokenCount {
                let alone = try example.run(device, t..<(t + 1))
                #expect(alone.queries == Array(together.queries[(t * rowWidth)..<((t + 1) * rowWidth)]))
                for d in 0..<dim {
                    let place = example.place(t, head: 1, d)
                    #expect(alone.keys[place] == together.keys[place])
                }
            }
        }
    }

    @Test(arguments: levels)
    func `a pair turns by the position on its axis, in place as on the way to the cache`(level: CPULevel)
        throws
    {
        let device = CPUDevice(threadCount: 2, level: level), tokenCount = 9, positionCount = 20
        var numbers = Numbers(41)
        for (dim, half) in [(16, 8), (80, 40), (20, 6)] {
            let heads = HeadLayout(heads: 3, keyValueHeads: 3, headDim: dim)
            let x = numbers.floats(tokenCount * heads.columnCount)
            let cosines = numbers.floats(positionCount * half), sines = numbers.floats(positionCount * half)
            let positions = (0..<(3 * tokenCount)).map { Int32($0 * 11 % positionCount) }
            let axes = (0..<half).map { Int32($0 * 5 % 3) }
            let rotary = RotaryTable(
                cosines: try device.tensor(cosines, [positionCount, half]),
                sines: try device.tensor(sines, [positionCount, half]),
                axes: try device.integers(axes, [half]))
            let turned = try device.tensor(x, [tokenCount, heads.columnCount])
            device.operators.rotate(
                qkv: turned, heads: heads, rotary: rotary,
                positions: try device.integers(positions, [3, tokenCount]))
            // The same by a table with a row for each token.
            let rows = (0..<tokenCount).flatMap { t in
                (0..<half).map { Int(positions[Int(axes[$0]) * tokenCount + t]) * half + $0 }
            }
            let plain = RotaryTable(
                cosines: try device.tensor(rows.map { cosines[$0] }, [tokenCount, half]),
                sines: try device.tensor(rows.map { sines[$0] }, [tokenCount, half]))
            let expected = try device.tensor(x, [tokenCount, heads.columnCount])
            let order = try device.integers((0..<Int32(tokenCount)).map(\.self), [tokenCount])
            device.operators.rotate(qkv: expected, heads: heads, rotary: plain, positions: order)
            #expect(device.readFloats(turned) == device.readFloats(expected))
            let cache = KVLayer(
                keys: try device.makeTensor([1, 3, 16, dim], .f32),
                values: try device.makeTensor([1, 3, 16, dim], .f32))
            let stored = try device.tensor(x, [tokenCount, heads.columnCount])
            device.operators.rotateAndStore(
                qkv: stored, heads: heads, norms: nil, rotary: rotary,
                batch: AttentionBatch(
                    positions: try device.integers(positions, [3, tokenCount]), slots: order,
                    queryStarts: order, contextLengths: order, pageTable: order, sequenceCount: 0,
                    maxQueryCount: 0, maxContextLength: 0),
                cache: cache)
            let (inPlace, kept) = (device.readFloats(turned), device.readFloats(stored))
            let keys = device.readFloats(cache.keys)
            for t in 0..<tokenCount {
                let row = t * heads.columnCount, key = row + 3 * dim
                #expect(kept[row..<key] == inPlace[row..<key])
                for head in 0..<3 {
                    let place = (head * 16 + t) * dim, from = key + head * dim
                    #expect(keys[place..<(place + dim)] == inPlace[from..<(from + dim)])
                }
                #expect(x[(row + 6 * dim)..<(row + 9 * dim)] == inPlace[(row + 6 * dim)..<(row + 9 * dim)])
            }
        }
    }
}

/// Tokens with positions and slots in no order, and norms of which queries and keys have their own.
private struct RotaryCase {
    static let tokenCount = 11, positionCount = 32, pageSize = 4, pageCount = 5
    static let epsilon: Float = 1e-2

    let heads: HeadLayout
    /// Values of a head that turn.
    let width: Int
    let isNormed: Bool
    let type: ElementType
    /// [T, columns].
    private let qkv: [Float]
    /// [positions, width / 2] each.
    private let cosines: [Float], sines: [Float]
    /// [headDim] each.
    private let queryWeight: [Float], keyWeight: [Float]

    /// Queries [T, heads · headDim]; keys and values [pages, keyValueHeads, pageSize, headDim].
    struct Result<Number> {
        var queries: [Number]
        var keys: [Number]
        var values: [Number]
    }

    init(heads: HeadLayout, width: Int, isNormed: Bool, type: ElementType) {
        self.heads = heads
        self.width = width
        self.isNormed = isNormed
        self.type = type
        var numbers = Numbers(40)
        qkv = numbers.floats(Self.tokenCount * heads.columnCount)
        cosines = numbers.floats(Self.positionCount * width / 2)
        sines = numbers.floats(Self.positionCount * width / 2)
        queryWeight = numbers.floats(heads.headDim)
        keyWeight = numbers.floats(heads.headDim)
    }

    private func position(_ t: Int) -> Int { t * 7 % Self.positionCount }
    private func slot(_ t: Int) -> Int { (t * 9 + 3) % (Self.pageSize * Self.pageCount) }

    /// Where value `d` of token t's key head lies in the cache.
    func place(_ t: Int, head: Int, _ d: Int) -> Int {
        let page = slot(t) / Self.pageSize, place = slot(t) % Self.pageSize
        return ((page * heads.keyValueHeads + head) * Self.pageSize + place) * heads.headDim + d
    }

    /// What the device makes of some of the tokens.
    func run(_ device: CPUDevice, _ tokens: Range<Int>) throws -> Result<Float> {
        let shape: Shape = [Self.pageCount, heads.keyValueHeads, Self.pageSize, heads.headDim]
        let cache = KVLayer(
            keys: try device.makeTensor(shape, type), values: try device.makeTensor(shape, type))
        let columns = heads.columnCount
        let rows = Array(qkv[(tokens.lowerBound * columns)..<(tokens.upperBound * columns)])
        let tensor = try device.tensor(rows, [tokens.count, columns])
        let none = try device.integers([0], [1])
        let norms = HeadNorms(
            queryWeight: try device.tensor(queryWeight, [heads.headDim]),
            keyWeight: try device.tensor(keyWeight, [heads.headDim]), epsilon: Self.epsilon)
        device.operators.rotateAndStore(
            qkv: tensor, heads: heads, norms: isNormed ? norms : nil,
            rotary: RotaryTable(
                cosines: try device.tensor(cosines, [Self.positionCount, width / 2]),
                sines: try device.tensor(sines, [Self.positionCount, width / 2])),
            batch: AttentionBatch(
                positions: try device.integers(tokens.map { Int32(position($0)) }, [tokens.count]),
                slots: try device.integers(tokens.map { Int32(slot($0)) }, [tokens.count]), queryStarts: none,
                contextLengths: none, pageTable: none, sequenceCount: 0, maxQueryCount: 0, maxContextLength: 0
            ),
            cache: cache)
        let queryWidth = heads.heads * heads.headDim
        let turned = device.readFloats(tensor)
        return Result(
            queries: turned.indices.filter { $0 % columns < queryWidth }.map { turned[$0] },
            keys: device.readFloats(try device.load(cache.keys, as: .f32)),
            values: device.readFloats(try device.load(cache.values, as: .f32)))
    }

    /// The same by the formula.
    func reference() -> Result<Double> {
        let size = Self.pageCount * heads.keyValueHeads * Self.pageSize * heads.headDim
        let empty = [Double](repeating: 0, count: size)
        var result = Result(queries: [Double](), keys: empty, values: empty)
        for t in 0..<Self.tokenCount {
            for head in 0..<heads.heads {
                result.queries += turned(row(t, head), queryWeight, at: position(t))
            }
            for head in 0..<heads.keyValueHeads {
                let key = turned(row(t, heads.heads + head), keyWeight, at: position(t))
                let value = row(t, heads.heads + heads.keyValueHeads + head)
                for d in 0..<heads.headDim {
                    result.keys[place(t, head: head, d)] = key[d]
                    result.values[place(t, head: head, d)] = value[d]
                }
            }
        }
        return result
    }

    /// The values [headDim] of a head of the fused row t.
    private func row(_ t: Int, _ head: Int) -> [Double] {
        let start = t * heads.columnCount + head * heads.headDim
        return qkv[start..<(start + heads.headDim)].map(Double.init)
    }

    /// x / √(mean x² + ε) · weight, turned by halves of its first `width` values.
    private func turned(_ head: [Double], _ weight: [Float], at position: Int) -> [Double] {
        var n = head
        if isNormed {
            let mean = head.reduce(0) { $0 + $1 * $1 } / Double(head.count)
            let factor = 1 / (mean + Double(Self.epsilon)).squareRoot()
            n = head.indices.map { head[$0] * factor * Double(weight[$0]) }
        }
        let half = width / 2
        return n.indices.map { i in
            guard i < width else { return n[i] }
            let cosine = Double(cosines[position * half + i % half])
            let sine = Double(sines[position * half + i % half])
            return n[i] * cosine + (i < half ? -n[i + half] : n[i - half]) * sine
        }
    }
}
