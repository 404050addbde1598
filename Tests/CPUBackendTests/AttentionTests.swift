import CPUBackend
import Tensors
import Testing

@Suite struct AttentionTests {
    static let cases = [
        // Decode of several sequences, grouped heads, contexts below, at and beyond a block of keys.
        PagedCase(
            heads: HeadLayout(heads: 6, keyValueHeads: 2, headDim: 16),
            lengths: [(1, 1), (1, 31), (1, 128), (1, 129), (1, 300)], pageSize: 16, type: .bf16),
        // Prefill from nothing and from a context, an odd page size.
        PagedCase(
            heads: HeadLayout(heads: 4, keyValueHeads: 4, headDim: 64),
            lengths: [(50, 50), (13, 150), (1, 9)],
            pageSize: 7, type: .bf16),
        // Widths with tails, many heads on one.
        PagedCase(
            heads: HeadLayout(heads: 14, keyValueHeads: 1, headDim: 80), lengths: [(9, 140), (2, 2)],
            pageSize: 32,
            type: .bf16),
        PagedCase(
            heads: HeadLayout(heads: 3, keyValueHeads: 1, headDim: 6), lengths: [(5, 40), (1, 33)],
            pageSize: 4,
            type: .bf16),
        PagedCase(
            heads: HeadLayout(heads: 2, keyValueHeads: 2, headDim: 128), lengths: [(40, 201)], pageSize: 64,
            type: .bf16),
    ]

    @Test(arguments: [ElementType.f32, .bf16])
    func `paged attention agrees with the plain sum at every level`(type: ElementType) throws {
        for (index, var paged) in Self.cases.enumerated() {
            paged.type = type
            let content = paged.makeContent(seed: UInt64(20 + index))
            let expected = paged.reference(content, scale: 0.3)
            for level in levels {
                let out = try paged.run(CPUDevice(threadCount: 2, level: level), content, scale: 0.3)
                let tolerance = Self.tolerance(exact: type == .f32, level)
                expectClose(out, expected, tolerance: tolerance, "case \(index), \(level)")
            }
        }
    }

    @Test(arguments: [ElementType.f32, .bf16])
    func `windows and sights agree with the plain sum at every level`(type: ElementType) throws {
        let heads = HeadLayout(heads: 2, keyValueHeads: 1, headDim: 16)
        var cases = [1, 20, 150].map { window in
            PagedCase(
                heads: heads, lengths: [(1, 300), (140, 400), (1, 9), (30, 30)], pageSize: 16, type: type,
                window: window)
        }
        // A picture in front of which and behind which are words, and one that ends the pass.
        let places = Array(260..<400),
            seen = places.map { (270..<330).contains($0) ? 330 : $0 < 390 ? $0 + 1 : 400 }
        for window in [nil, 20, 200] {
            cases.append(
                PagedCase(
                    heads: heads, lengths: [(140, 400), (1, 9)], pageSize: 16, type: type, window: window,
                    sights: seen + [9]))
        }
        for (index, paged) in cases.enumerated() {
            let content = paged.makeContent(seed: UInt64(50 + index))
            let expected = paged.reference(content, scale: 0.3)
            for level in levels {
                let out = try paged.run(CPUDevice(threadCount: 2, level: level), content, scale: 0.3)
                expectClose(
                    out, expected, tolerance: Self.tolerance(exact: type == .f32, level),
                    "case \(index), \(level)")
            }
        }
    }

    @Test(arguments: levels, [ElementType.f32, .bf16])
    func `a query in a window has the same bits in a prefill, a chunk and a decode`(
        level: CPULevel, type: ElementType,
    ) throws {
        let device = CPUDevice(threadCount: 2, level: level)
        let heads = HeadLayout(heads: 4, keyValueHeads: 2, headDim: 40), width = heads.heads * heads.headDim
        let whole = PagedCase(heads: heads, lengths: [(290, 290)], pageSize: 16, type: type, window: 60)
        let content = whole.makeContent(seed: 31), rowWidth = heads.keyValueHeads * heads.headDim
        let expected = try whole.run(device, content, scale: 0.2)
        for (first, count) in [(0, 17), (100, 3), (127, 1), (128, 1), (187, 2), (188, 1), (200, 90)] {
            let context = first + count
            let part = PagedCase(
                heads: heads, lengths: [(count, context)], pageSize: 5, type: type, window: 60)
            let partContent = PagedCase.Content(
                qkv: Array(content.qkv[(first * heads.columnCount)..<(context * heads.columnCount)]),
                keys: [Array(content.keys[0].prefix(context * rowWidth))],
                values: [Array(content.values[0].prefix(context * rowWidth))])
            let out = try part.run(device, partContent, scale: 0.2)
            #expect(out == Array(expected[(first * width)..<(context * width)]), "\(count) from \(first)")
        }
    }

    /// Dot products of bf16 pairs need the weights of the keys rounded too, to 2⁻⁹ each.
    static func tolerance(exact: Bool, _ level: CPULevel) -> Double {
        !exact && level == .avx512bf16 ? 4e-3 : 5e-6
    }

    @Test(arguments: levels, [ElementType.f32, .bf16])
    func `a query has the same bits in a prefill, a chunk and a decode, alone and among others`(
        level: CPULevel, type: ElementType,
    ) throws {
        let device = CPUDevice(threadCount: 2, level: level), single = CPUDevice(threadCount: 1, level: level)
        let heads = HeadLayout(heads: 6, keyValueHeads: 2, headDim: 40), width = heads.heads * heads.headDim
        let whole = PagedCase(heads: heads, lengths: [(290, 290), (3, 50)], pageSize: 16, type: type)
        let content = whole.makeContent(seed: 30), rowWidth = heads.keyValueHeads * heads.headDim
        let expected = try whole.run(device, content, scale: 0.2)
        for (first, count) in [
            (0, 1), (0, 17), (17, 111), (100, 3), (127, 1), (128, 1), (129, 2), (200, 90), (289, 1),
        ] {
            let context = first + count
            let part = PagedCase(heads: heads, lengths: [(count, context)], pageSize: 5, type: type)
            let range = (first * heads.columnCount)..<(context * heads.columnCount)
            let partContent = PagedCase.Content(
                qkv: Array(content.qkv[range]), keys: [Array(content.keys[0].prefix(context * rowWidth))],
                values: [Array(content.values[0].prefix(context * rowWidth))])
            let out = try part.run(count == 1 ? single : device, partContent, scale: 0.2)
            #expect(
                out == Array(expected[(first * width)..<(context * width)]), "\(count) queries from \(first)")
        }
    }

    @Test(arguments: [true, false])
    func `full attention agrees with the plain sum at every level`(exact: Bool) throws {
        var numbers = Numbers(31)
        for (lengths, heads, dim) in [
            ([5, 5], 3, 16), ([131], 1, 64), ([33, 33, 33], 2, 7), ([194], 1, 24),
            ([4, 0, 150, 1, 33], 2, 16),
        ] {
            let starts = lengths.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) }
            let tokenCount = starts[lengths.count]
            let width = 3 * heads * dim, x = numbers.floats(tokenCount * width, size: 2)
            let rounded = exact ? x : x.map(bf16)
            var expected: [Double] = []
            for (base, length) in zip(starts, lengths) {
                for t in base..<(base + length) {
                    for head in 0..<heads {
                        let query = Array(rounded[(t * width + head * dim)...].prefix(dim))
                        expected += attend(
                            query, count: length, scale: 0.25,
                            key: { rounded[(base + $0) * width + (heads + head) * dim + $1] },
                            value: { rounded[(base + $0) * width + (2 * heads + head) * dim + $1] })
                    }
                }
            }
            for level in levels {
                let device = CPUDevice(threadCount: 2, level: level, exact: exact)
                let out = try device.makeTensor([tokenCount, heads * dim], .f32)
                let sequences =
                    Set(lengths).count == 1
                    ? PackedSequences(count: lengths.count, length: lengths[0])
                    : PackedSequences(
                        starts: try device.integers(starts.map { Int32($0) }, [starts.count]),
                        longest: lengths.max() ?? 1)
                device.operators.fullAttention(
                    qkv: try device.tensor(x, [tokenCount, width]), sequences: sequences, heads: heads,
                    headDim: dim, scale: 0.25, out: out)
                let tolerance = Self.tolerance(exact: exact, level)
                expectClose(
                    device.readFloats(out), expected, tolerance: tolerance, "lengths \(lengths), \(level)")
            }
        }
    }

    @Test(arguments: levels)
    func `a sequence that is not a number spoils no other`(level: CPULevel) throws {
        let device = CPUDevice(threadCount: 2, level: level)
        let heads = HeadLayout(heads: 2, keyValueHeads: 1, headDim: 16)
        let paged = PagedCase(heads: heads, lengths: [(1, 9), (1, 9), (1, 9)], pageSize: 4, type: .f32)
        var content = paged.makeContent(seed: 32)
        content.qkv[heads.columnCount] = .nan
        let out = try paged.run(device, content, scale: 1)
        #expect(out[0..<32].allSatisfy(\.isFinite) && out[64..<96].allSatisfy(\.isFinite))
        #expect(out[32..<48].allSatisfy { $0.isNaN })
    }
}
