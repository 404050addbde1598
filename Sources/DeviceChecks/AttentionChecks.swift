import Tensors

extension CheckedPair {
    // Probabilities are rounded to bf16 on the way to the values.
    private static let tolerance = 8e-3

    func checkFullAttention() throws(DeviceError) {
        for (count, length, heads, headDim) in [
            (1, 1, 2, 64), (2, 17, 3, 64), (3, 65, 2, 72), (2, 257, 4, 80), (1, 1025, 4, 64),
            (2, 130, 2, 128),
            (2, 50, 4, 16), (1, 77, 2, 96),
        ] {
            let width = heads * headDim
            let qkv = try operand(numbers(count * length * 3 * width), [count * length, 3 * width])
            let out = try poisonedOperand([count * length, width])
            let scale = 1 / Float(headDim).squareRoot()
            reference.operators.fullAttention(
                qkv: qkv.reference, sequences: PackedSequences(count: count, length: length), heads: heads,
                headDim: headDim, scale: scale, out: out.reference)
            device.operators.fullAttention(
                qkv: qkv.device, sequences: PackedSequences(count: count, length: length), heads: heads,
                headDim: headDim, scale: scale, out: out.device)
            try compare(
                "fullAttention", "\(count)×\(length), \(heads) heads of \(headDim)", out,
                tolerance: Self.tolerance)
        }
    }

    func checkUnequalSequences() throws(DeviceError) {
        for (lengths, heads, headDim) in [
            ([1], 2, 64), ([64, 16, 64, 4, 1], 3, 80), ([300, 1, 129], 2, 72), ([4, 4, 8], 2, 16),
        ] {
            let tokenCount = lengths.reduce(0, +), width = heads * headDim, scale = Float(0.1)
            let begins = lengths.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) }.map { Int32($0) }
            let starts = try integers(begins, [begins.count]), longest = lengths.max() ?? 1
            let qkv = try operand(numbers(tokenCount * 3 * width), [tokenCount, 3 * width])
            let out = try poisonedOperand([tokenCount, width])
            for (side, keyPath) in [(reference, \Twin.reference), (device, \Twin.device)] {
                side.operators.fullAttention(
                    qkv: qkv[keyPath: keyPath],
                    sequences: PackedSequences(starts: starts[keyPath: keyPath], longest: longest),
                    heads: heads, headDim: headDim, scale: scale, out: out[keyPath: keyPath])
            }
            try compare(
                "fullAttention", "lengths \(lengths), \(heads) heads of \(headDim)", out,
                tolerance: Self.tolerance)
        }
    }

    /// Rotation in place, by one position a token and by two.
    func checkRotation() throws(DeviceError) {
        for (tokenCount, heads, headDim, axisCount) in [(1, 2, 16, 1), (70, 3, 80, 2), (9, 16, 64, 2)] {
            let layout = HeadLayout(heads: heads, keyValueHeads: heads, headDim: headDim)
            let pairs = headDim / 2, positionCount = 50
            let qkv = try operand(numbers(tokenCount * layout.columnCount), [tokenCount, layout.columnCount])
            let (cosines, sines) = try angles(positionCount, pairs)
            let axes = try integers((0..<pairs).map { Int32($0 * axisCount / pairs) }, [pairs])
            let positions = try integers(
                (0..<(axisCount * tokenCount)).map { _ in Int32(below(positionCount)) },
                [axisCount, tokenCount])
            for (side, keyPath) in [(reference, \Twin.reference), (device, \Twin.device)] {
                side.operators.rotate(
                    qkv: qkv[keyPath: keyPath], heads: layout,
                    rotary: RotaryTable(
                        cosines: cosines[keyPath: keyPath], sines: sines[keyPath: keyPath],
                        axes: axisCount > 1 ? axes[keyPath: keyPath] : nil),
                    positions: positions[keyPath: keyPath])
            }
            try compare(
                "rotate", "\(tokenCount) tokens, \(heads) heads of \(headDim), \(axisCount) axes", qkv,
                tolerance: 6e-3)
        }
    }

    /// Cosines and sines of random angles, f32 [positions, pairs].
    private func angles(_ positions: Int, _ pairs: Int) throws(DeviceError) -> (Twin, Twin) {
        let angles = (0..<(positions * pairs)).map { _ in Float(below(1000)) / 1000 }
        return (
            try floats(angles.map { 1 - 2 * $0 * $0 }, [positions, pairs]),
            try floats(angles.map { 2 * $0 * (1 - $0 * $0).squareRoot() }, [positions, pairs])
        )
    }

    func checkPagedAttention() throws(DeviceError) {
        let layouts = [
            (4, 4, 64), (6, 2, 64), (14, 2, 64), (28, 4, 128), (8, 1, 128), (4, 2, 16), (32, 32, 96),
            (9, 3, 64),
        ]
        for (heads, keyValueHeads, headDim) in layouts {
            let layout = HeadLayout(heads: heads, keyValueHeads: keyValueHeads, headDim: headDim)
            for spans in [
                // Queries and context of each sequence.
                [(1, 1)], [(1, 100), (1, 7), (1, 513)], [(5, 5)],
                [(1, 40), (1, 3), (33, 70), (100, 100), (2, 300)],
                [(200, 456)], [(1, 3000)],
            ] {
                try checkPaged(layout, spans, rotates: headDim, hasNorms: heads == 6)
            }
        }
        try checkPaged(
            HeadLayout(heads: 4, keyValueHeads: 2, headDim: 64), [(3, 9)], rotates: 32, hasNorms: false)
    }

    /// Attention that does not see all of its past, and sees what follows as far as a picture goes.
    func checkSights() throws(DeviceError) {
        for (heads, keyValueHeads, headDim) in [(4, 2, 16), (14, 2, 64), (4, 2, 128), (2, 1, 256)] {
            guard (try? device.checkHeads(headDim: headDim, turningPairs: headDim / 2)) != nil else {
                continue
            }
            let layout = HeadLayout(heads: heads, keyValueHeads: keyValueHeads, headDim: headDim)
            for (window, seesOn) in [(20, true), (100, false), (nil, true)] {
                for spans in [
                    [(1, 1), (1, 100), (1, 7), (1, 1513)], [(1, 40), (33, 70), (100, 100), (2, 300)],
                ] {
                    try checkPaged(
                        layout, spans, rotates: headDim, hasNorms: false, window: window, seesOn: seesOn)
                }
            }
        }
    }

    /// Rotation, the cache and attention for sequences of so many queries and so long a context.
    ///
    /// With `seesOn` some queries in a row see as far as the last of them.
    private func checkPaged(
        _ layout: HeadLayout, _ spans: [(Int, Int)], rotates: Int, hasNorms: Bool, window: Int? = nil,
        seesOn: Bool = false,
    ) throws(DeviceError) {
        let pageSize = 16, headDim = layout.headDim
        let pageCounts = spans.map { ($0.1 + pageSize - 1) / pageSize }
        let pageCount = pageCounts.reduce(3, +), columns = pageCounts.reduce(1, max) + 1
        var free = Array(0..<pageCount)
        var table: [Int32] = [], positions: [Int32] = [], slots: [Int32] = [], starts: [Int32] = [0]
        var ends: [Int32] = []
        // Pages nobody uses and places beyond the context hold NaN: nothing of it may come through.
        let cacheShape: Shape = [pageCount, layout.keyValueHeads, pageSize, headDim]
        var keys = [Float](repeating: .nan, count: cacheShape.elementCount), values = keys
        for (count, (queries, context)) in zip(pageCounts, spans) {
            let pages = (0..<count).map { _ in free.remove(at: below(free.count)) }
            table += pages.map { Int32($0) } + [Int32](repeating: 0, count: columns - count)
            for place in 0..<(context - queries) {
                for head in 0..<layout.keyValueHeads {
                    let start =
                        ((pages[place / pageSize] * layout.keyValueHeads + head) * pageSize + place % pageSize)
                        * headDim
                    keys.replaceSubrange(start..<(start + headDim), with: numbers(headDim))
                    values.replaceSubrange(start..<(start + headDim), with: numbers(headDim))
                }
            }
            let seen = (context - queries + queries / 5)..<(context - queries / 7)
            for place in (context - queries)..<context {
                ends.append(Int32(seen.contains(place) ? seen.upperBound : place + 1))
                positions.append(Int32(place))
                slots.append(Int32(pages[place / pageSize] * pageSize + place % pageSize))
            }
            starts.append(Int32(positions.count))
        }
        let tokenCount = positions.count, longest = spans.map(\.1).max() ?? 1
        let qkv = try operand(numbers(tokenCount * layout.columnCount), [tokenCount, layout.columnCount])
        let (cosines, sines) = try angles(longest, rotates / 2)
        let norms = (try floats(numbers(headDim), [headDim]), try floats(numbers(headDim), [headDim]))
        // With an even number of sequences tokens have three positions each.
        let axisCount = spans.count.isMultiple(of: 2) ? 3 : 1
        let others = (1..<axisCount).flatMap { _ in positions.map { _ in Int32(below(longest)) } }
        let axes = try integers((0..<(rotates / 2)).map { Int32($0 % axisCount) }, [rotates / 2])
        let (placed, stored, begins) = (
            try integers(positions + others, [axisCount, tokenCount]), try integers(slots, [tokenCount]),
            try integers(starts, [spans.count + 1])
        )
        let lengths = try integers(spans.map { Int32($0.1) }, [spans.count])
        let pages = try integers(table, [spans.count, columns])
        let sights = try integers(ends, [tokenCount])
        let cache = (try self.stored(keys, cacheShape), try self.stored(values, cacheShape))
        let out = try poisonedOperand([tokenCount, layout.heads * headDim])
        for (side, keyPath) in [(reference, \Twin.reference), (device, \Twin.device)] {
            let batch = AttentionBatch(
                positions: placed[keyPath: keyPath], slots: stored[keyPath: keyPath],
                queryStarts: begins[keyPath: keyPath], contextLengths: lengths[keyPath: keyPath],
                pageTable: pages[keyPath: keyPath], sights: seesOn ? sights[keyPath: keyPath] : nil,
                sequenceCount: spans.count,
                singleCount: spans.prefix { $0.0 == 1 }.count, maxQueryCount: spans.map(\.0).max() ?? 1,
                maxContextLength: longest)
            let layer = KVLayer(keys: cache.0[keyPath: keyPath], values: cache.1[keyPath: keyPath])
            side.operators.rotateAndStore(
                qkv: qkv[keyPath: keyPath], heads: layout,
                norms: hasNorms
                    ? HeadNorms(
                        queryWeight: norms.0[keyPath: keyPath], keyWeight: norms.1[keyPath: keyPath],
                        epsilon: 1e-6)
                    : nil,
                rotary: RotaryTable(
                    cosines: cosines[keyPath: keyPath], sines: sines[keyPath: keyPath],
                    axes: axisCount > 1 ? axes[keyPath: keyPath] : nil),
                batch: batch, cache: layer)
            side.operators.pagedAttention(
                qkv: qkv[keyPath: keyPath], heads: layout, scale: 1 / Float(headDim).squareRoot(),
                window: window, batch: batch, cache: layer, out: out[keyPath: keyPath])
        }
        let what =
            "\(layout.heads)/\(layout.keyValueHeads) heads of \(headDim), \(spans.map { "\($0.0)/\($0.1)" })"
            + (window.map { " in a window of \($0)" } ?? "") + (seesOn ? ", seeing on" : "")
        try compare("pagedAttention", what, out, tolerance: Self.tolerance)
        let queryColumns = layout.heads * headDim
        try compare("rotated queries", what, try firstColumns(qkv, queryColumns), tolerance: 6e-3)
    }

    /// The first columns of an operand, as f32.
    private func firstColumns(_ twin: Twin, _ count: Int) throws(DeviceError) -> Twin {
        let (width, rows) = (twin.reference.shape.columnCount, twin.reference.shape.rowCount)
        func cut(_ tensor: Tensor, _ device: any Device) throws(DeviceError) -> [Float] {
            let all = try Self.read(tensor, from: device)
            return (0..<rows).flatMap { all[($0 * width)..<($0 * width + count)] }
        }
        let left = try reference.makeTensor([rows, count], .f32),
            right = try device.makeTensor([rows, count], .f32)
        reference.write(try cut(twin.reference, reference), to: left)
        device.write(try cut(twin.device, device), to: right)
        return Twin(reference: left, device: right)
    }
}
