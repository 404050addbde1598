import CPUBackend
import Tensors
import Testing

@Suite struct RotaryTests {
    @Test(arguments: levels, [ElementType.f32, .bf16])
    func `queries turn in place, keys on their way to their slots, values stay`(
        level: CPULevel, type: ElementType,
    ) throws {
        let device = CPUDevice(threadCount: 2, level: level)
        var numbers = Numbers(40)
        for dim in [2, 16, 20, 64, 80] {
            let heads = HeadLayout(heads: 4, keyValueHeads: 2, headDim: dim), half = dim / 2
            let tokenCount = 11, pageSize = 4, pageCount = 5
            let qkv = numbers.floats(tokenCount * heads.columnCount)
            let cosines = numbers.floats(32 * half), sines = numbers.floats(32 * half)
            let positions = (0..<tokenCount).map { Int32($0 * 7 % 32) }
            let slots = (0..<tokenCount).map { Int32(($0 * 9 + 3) % (pageSize * pageCount)) }
            let cacheShape: Shape = [pageCount, 2, pageSize, dim]
            let cache = KVLayer(
                keys: try device.makeTensor(cacheShape, type), values: try device.makeTensor(cacheShape, type)
            )
            let tensor = try device.tensor(qkv, [tokenCount, heads.columnCount])
            let none = try device.integers([0], [1])
            device.operators.rotateAndStore(
                qkv: tensor, heads: heads,
                rotary: RotaryTable(
                    cosines: try device.tensor(cosines, [32, half]),
                    sines: try device.tensor(sines, [32, half])),
                batch: AttentionBatch(
                    positions: try device.integers(positions, [tokenCount]),
                    slots: try device.integers(slots, [tokenCount]), queryStarts: none, contextLengths: none,
                    pageTable: none, sequenceCount: 0, maxQueryCount: 0, maxContextLength: 0),
                cache: cache)
            // [T, columns], all heads turned.
            let turned = qkv.indices.map { index -> Double in
                let t = index / heads.columnCount, column = index % heads.columnCount, i = column % dim
                guard column < 6 * dim else { return Double(qkv[index]) }
                let place = Int(positions[t]) * half + i % half
                let other = i < half ? -Double(qkv[index + half]) : Double(qkv[index - half])
                return Double(qkv[index]) * Double(cosines[place]) + other * Double(sines[place])
            }
            var expectedKeys = [Double](repeating: 0, count: cacheShape.elementCount),
                expectedValues = expectedKeys
            for t in 0..<tokenCount {
                for head in 0..<2 {
                    let page = Int(slots[t]) / pageSize, place = Int(slots[t]) % pageSize
                    for d in 0..<dim {
                        let target = ((page * 2 + head) * pageSize + place) * dim + d
                        let source = t * heads.columnCount + (4 + head) * dim + d
                        expectedKeys[target] = turned[source]
                        expectedValues[target] = turned[source + 2 * dim]
                    }
                }
            }
            let queries = zip(device.readFloats(tensor), turned).enumerated()
                .filter { $0.offset % heads.columnCount < 4 * dim }.map(\.element)
            expectClose(queries.map(\.0), queries.map(\.1), tolerance: 1e-6)
            let tolerance = type == .f32 ? 1e-6 : 4e-3
            expectClose(
                device.readFloats(try device.load(cache.keys, as: .f32)), expectedKeys, tolerance: tolerance)
            expectClose(
                device.readFloats(try device.load(cache.values, as: .f32)), expectedValues,
                tolerance: tolerance)
        }
    }
}
