import CPUBackend
import Tensors
import Testing

/// Whole numbers and the size of a step, as weights and rows become.
private struct Quantized {
    let values: [Int]
    let step: Float

    init(_ x: some Collection<Float>, most: Float = 127) {
        let largest = x.map(abs).max() ?? 0
        step = largest / most
        let perUnit = largest == 0 ? 0 : most / largest
        values = x.map { Int(($0 * perUnit).rounded(.toNearestOrEven)) }
    }

    /// Those of each 64 values of each row.
    static func groups(_ x: [Float], _ columns: Int, most: Float = 127) -> [[Quantized]] {
        stride(from: 0, to: x.count, by: columns).map { row in
            stride(from: row, to: row + columns, by: 64).map {
                Quantized(x[$0..<min($0 + 64, row + columns)], most: most)
            }
        }
    }

    /// Of a row with the weights of an output.
    static func product(_ row: [Quantized], _ weights: [Quantized]) -> Float {
        let sums = zip(row, weights).map { group, weights in
            Float(zip(group.values, weights.values).reduce(0) { $0 + $1.0 * $1.1 }) * weights.step
                * group.step
        }
        return sums.dropFirst().reduce(sums[0], +)
    }
}

@Suite struct QuantizedLinearTests {
    @Test func `a product in 8 bits has the bits of the plain sum, for all shapes and levels`() throws {
        let devices = levels.map { CPUDevice(threadCount: 2, level: $0) }
        var numbers = Numbers(81)
        for (m, n, k) in LinearTests.shapes + [(12, 64, 1030), (1, 4100, 9)] {
            let x = numbers.floats(m * k, size: 3), w = numbers.floats(n * k), bias = numbers.floats(n)
            let residual = numbers.floats(m * n), scale = numbers.floats(n)
            let rows = Quantized.groups(x, k), columns = Quantized.groups(w, k)
            let sums = (0..<(m * n)).map { Quantized.product(rows[$0 / n], columns[$0 % n]) + bias[$0 % n] }
            for epilogue in Epilogue.allCases {
                for device in devices {
                    let weights = try device.prepareLinear(
                        weights: [try device.tensor(w, [n, k])], bias: [try device.tensor(bias, [n])],
                        scale: epilogue == .scaleAdd ? try device.tensor(scale, [n]) : nil, format: .int8)
                    #expect(weights.outputCount == n && weights.inputCount == k)
                    let out = try device.tensor(residual, [m, n])
                    device.operators.linear(
                        .rows(try device.tensor(x, [m, k])), weights, epilogue: epilogue.applied, out: out)
                    let result = device.readFloats(out), what = "\(m)×\(n)×\(k), \(epilogue), \(device.level)"
                    switch epilogue {
                    case .none: #expect(result == sums, "\(what)")
                    case .add: #expect(result == zip(residual, sums).map { $0 + $1 }, "\(what)")
                    default:
                        let expected = sums.indices.map {
                            LinearTests.apply(
                                epilogue, Double(sums[$0]), residual: residual[$0], scale: scale[$0 % n])
                        }
                        expectClose(result, expected, tolerance: 2e-6, what)
                    }
                }
            }
        }
    }

    @Test func `a product in 4 bits has the bits of the plain sum, for all shapes and levels`() throws {
        let devices = levels.map { CPUDevice(threadCount: 2, level: $0) }
        var numbers = Numbers(87)
        for (m, n, k) in LinearTests.shapes + [(12, 64, 1030), (2, 4100, 9), (14, 33, 64), (3, 300, 192)] {
            let x = numbers.floats(m * k, size: 3), w = numbers.floats(n * k), bias = numbers.floats(n)
            let rows = Quantized.groups(x, k), columns = Quantized.groups(w, k, most: 7)
            let sums = (0..<(m * n)).map { Quantized.product(rows[$0 / n], columns[$0 % n]) + bias[$0 % n] }
            for device in devices {
                let weights = try device.prepareLinear(
                    weights: [try device.tensor(w, [n, k])], bias: [try device.tensor(bias, [n])], scale: nil,
                    format: .int4)
                let out = try device.makeTensor([m, n], .f32)
                device.operators.linear(
                    .rows(try device.tensor(x, [m, k])), weights, epilogue: .none, out: out)
                #expect(device.readFloats(out) == sums, "\(m)×\(n)×\(k), \(device.level)")
            }
        }
    }

    @Test(arguments: levels)
    func `rounding to 8 bits changes a product by a hundredth`(level: CPULevel) throws {
        let device = CPUDevice(threadCount: 2, level: level)
        var numbers = Numbers(82)
        let (m, n, k) = (9, 70, 600)
        let x = numbers.floats(m * k), w = numbers.floats(n * k)
        let exact = (0..<(m * n)).map { index in
            (0..<k).reduce(0.0) { $0 + Double(x[index / n * k + $1]) * Double(w[index % n * k + $1]) }
        }
        let weights = try device.int8([w], k)
        let out = try device.makeTensor([m, n], .f32)
        device.operators.linear(.rows(try device.tensor(x, [m, k])), weights, epilogue: .none, out: out)
        expectClose(device.readFloats(out), exact, tolerance: 0.01)
        // Without the scales, and what rounds the packed size up to whole panels.
        #expect(weights.byteCount < 96 * 640 * 11 / 10)
    }

    @Test(arguments: levels, [WeightFormat.int8, .int4])
    func `parts in few bits are stacked, from bytes at any address and in any type`(
        level: CPULevel, format: WeightFormat,
    ) throws {
        let device = CPUDevice(threadCount: 2, level: level)
        var numbers = Numbers(83)
        let k = 1037, counts = [5, 40, 3, 90]
        let values = counts.map { numbers.floats($0 * k).map(bf16) }
        let odd = try device.allocate(byteCount: 1 + counts[1] * k * 2)
        let misaligned = Tensor(odd, byteOffset: 1, shape: [counts[1], k], elementType: .bf16)
        device.write(values[1].map(bf16Bits), to: misaligned)
        let half = try device.makeTensor([counts[2], k], .f16), halves = values[2].map { Float16($0) }
        device.write(halves, to: half)
        let weights = try device.prepareLinear(
            weights: [
                try device.tensor(values[0], [counts[0], k]), misaligned, half,
                try device.bf16Tensor(values[3], [counts[3], k]),
            ], bias: [], scale: nil, format: format)
        let plain = try device.rounded([values[0], values[1], halves.map(Float.init), values[3]], k, format)
        let x = try device.tensor(numbers.floats(2 * k), [2, k])
        let (out, same) = (try device.makeTensor([2, 138], .f32), try device.makeTensor([2, 138], .f32))
        device.operators.linear(.rows(x), weights, epilogue: .none, out: out)
        device.operators.linear(.rows(x), plain, epilogue: .none, out: same)
        #expect(device.readFloats(out) == device.readFloats(same))
        let rows = Quantized.groups(device.readFloats(x), k)
        let columns = Quantized.groups(values[0], k, most: format == .int8 ? 127 : 7)
        let expected = Quantized.product(rows[0], columns[4])
        #expect(device.readFloats(out)[4] == expected)
    }

    @Test(arguments: levels, [WeightFormat.int8, .int4])
    func `a row in few bits has the same bits alone, among others and on any number of threads`(
        level: CPULevel, format: WeightFormat,
    ) throws {
        let device = CPUDevice(threadCount: 2, level: level), single = CPUDevice(threadCount: 1, level: level)
        var numbers = Numbers(84)
        let (m, n, k) = (130, 200, 301)
        let x = numbers.floats(m * k)
        let weights = try device.rounded([numbers.floats(n * k)], k, format)
        let whole = try device.makeTensor([m, n], .f32)
        device.operators.linear(
            .rows(try device.tensor(x, [m, k])), weights, epilogue: .gelu(.exact), out: whole)
        let expected = device.readFloats(whole)
        for count in 1...26 {
            let first = (count * 7) % (m - count)
            let part = Array(x[(first * k)..<((first + count) * k)])
            let out = try device.makeTensor([count, n], .f32)
            let used = count.isMultiple(of: 2) ? device : single
            used.operators.linear(
                .rows(try device.tensor(part, [count, k])), weights, epilogue: .gelu(.exact), out: out)
            #expect(
                device.readFloats(out) == Array(expected[(first * n)..<((first + count) * n)]),
                "\(count) rows")
        }
    }

    @Test(arguments: levels, [WeightFormat.int8, .int4])
    func `what is not finite spoils its row or column alone; zeros and next to nothing stay so`(
        level: CPULevel, format: WeightFormat,
    ) throws {
        let device = CPUDevice(threadCount: 2, level: level), k = 70
        var numbers = Numbers(85)
        var x = numbers.floats(6 * k), w = numbers.floats(40 * k)
        x[2 * k + 69] = .nan
        x[3 * k] = -.infinity
        for i in 0..<k { (x[4 * k + i], x[5 * k + i]) = (0, .leastNonzeroMagnitude) }
        w[7 * k + 3] = .infinity
        for i in 0..<k { w[8 * k + i] = 0 }
        let out = try device.makeTensor([6, 40], .f32)
        device.operators.linear(
            .rows(try device.tensor(x, [6, k])), try device.rounded([w], k, format), epilogue: .none, out: out
        )
        for (index, value) in device.readFloats(out).enumerated() {
            let (row, column) = (index / 40, index % 40)
            #expect(value.isNaN == (row == 2 || row == 3 || column == 7), "\(row), \(column)")
            if row >= 4 || column == 8, !value.isNaN { #expect(value == 0) }
            if row < 2, column != 8, column != 7 { #expect(value != 0) }
        }
    }

    @Test func `levels agree on all bits of rows with large and small values`() throws {
        var numbers = Numbers(86)
        let (m, n, k) = (13, 65, 515)
        // Some values far above the rest, as activations have.
        let x = numbers.floats(m * k).enumerated().map { $0.offset % 97 == 0 ? $0.element * 50 : $0.element }
        let w = numbers.floats(n * k, size: 0.02)
        let results = try levels.map { level in
            let device = CPUDevice(threadCount: 2, level: level)
            let out = try device.makeTensor([m, n], .f32)
            device.operators.linear(
                .rows(try device.tensor(x, [m, k])), try device.int8([w], k), epilogue: .none, out: out)
            return device.readFloats(out)
        }
        for (level, result) in zip(levels, results) { #expect(result == results[0], "\(level)") }
    }
}

extension CPUDevice {
    /// Weights of `parts`, each of rows of `k` values.
    fileprivate func rounded(
        _ parts: [[Float]], _ k: Int, _ format: WeightFormat,
    ) throws -> any LinearWeights {
        try prepareLinear(
            weights: try parts.map { try tensor($0, [$0.count / k, k]) }, bias: [], scale: nil, format: format
        )
    }

    /// Weights in 8 bits of `parts`, each of rows of `k` values.
    fileprivate func int8(_ parts: [[Float]], _ k: Int) throws -> any LinearWeights {
        try rounded(parts, k, .int8)
    }
}

extension Epilogue {
    fileprivate var applied: LinearEpilogue {
        switch self {
        case .none: .none
        case .gelu: .gelu(.exact)
        case .tanhGELU: .gelu(.tanh)
        case .logisticGELU: .gelu(.logistic)
        case .add, .scaleAdd: .addToOutput
        }
    }
}
