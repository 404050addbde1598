import CPUBackend
import Tensors
import Testing

@Suite struct RowTests {
    static let widths = [1, 3, 16, 31, 64, 100, 1027]

    @Test(arguments: levels)
    func `norms agree with their formulas for all widths`(level: CPULevel) throws {
        let device = CPUDevice(threadCount: 2, level: level)
        var numbers = Numbers(5)
        for width in Self.widths {
            let rows = 37, x = numbers.floats(rows * width, size: 3), w = numbers.floats(width)
            let b = numbers.floats(width), epsilon: Float = 1e-5
            let input = try device.tensor(x, [rows, width]), out = try device.makeTensor([rows, width], .f32)
            let weight = try device.tensor(w, [width]), bias = try device.tensor(b, [width])
            var rms: [Double] = [], layer: [Double] = []
            for row in 0..<rows {
                let values = x[(row * width)..<((row + 1) * width)].map(Double.init)
                let square = values.reduce(0) { $0 + $1 * $1 } / Double(width)
                let mean = values.reduce(0, +) / Double(width)
                let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(width)
                for (c, v) in values.enumerated() {
                    rms.append(v / (square + Double(epsilon)).squareRoot() * Double(w[c]))
                    layer.append(
                        (v - mean) / (variance + Double(epsilon)).squareRoot() * Double(w[c]) + Double(b[c]))
                }
            }
            device.operators.rmsNorm(input, weight: weight, epsilon: epsilon, out: out)
            expectClose(device.readFloats(out), rms, tolerance: 2e-6, "rms \(width)")
            device.operators.layerNorm(input, weight: weight, bias: bias, epsilon: epsilon, out: out)
            expectClose(device.readFloats(out), layer, tolerance: 4e-6, "layer \(width)")
            device.operators.rmsNorm(input, weight: weight, epsilon: epsilon, out: input)
            expectClose(device.readFloats(input), rms, tolerance: 2e-6, "rms in place \(width)")
        }
    }

    @Test(arguments: levels)
    func `a norm of some columns leaves the others alone`(level: CPULevel) throws {
        let device = CPUDevice(threadCount: 2, level: level)
        var numbers = Numbers(6)
        let x = numbers.floats(9 * 50), w = numbers.floats(17)
        let tensor = try device.tensor(x, [9, 50])
        device.operators.rmsNorm(tensor, columns: 20..<37, weight: try device.tensor(w, [17]), epsilon: 1e-6)
        let expected = x.indices.map { index -> Double in
            let column = index % 50, start = index - column + 20
            guard (20..<37).contains(column) else { return Double(x[index]) }
            let square = x[start..<(start + 17)].reduce(0.0) { $0 + Double($1) * Double($1) } / 17
            return Double(x[index]) / (square + 1e-6).squareRoot() * Double(w[column - 20])
        }
        expectClose(device.readFloats(tensor), expected, tolerance: 2e-6)
    }

    @Test(arguments: levels)
    func `the gated activation agrees with its formula far out too`(level: CPULevel) throws {
        let device = CPUDevice(threadCount: 2, level: level)
        var numbers = Numbers(7)
        for width in Self.widths {
            var x = numbers.floats(11 * 2 * width, size: 20)
            x[0] = 200
            x[2 * width] = -200
            let out = try device.makeTensor([11, width], .f32)
            // A product with the identity.
            let identity = (0..<(4 * width * width)).map {
                Float($0 / (2 * width) == $0 % (2 * width) ? 1 : 0)
            }
            let weights = try device.prepareLinear(
                weights: [try device.tensor(identity, [2 * width, 2 * width])], bias: [], scale: nil,
                elementType: .f32)
            device.operators.linear(
                .rows(try device.tensor(x, [11, 2 * width])), weights,
                epilogue: .siluMultiply(scratch: try device.makeTensor([11, 2 * width], .f32)), out: out)
            let results = device.readFloats(out)
            for index in 0..<(11 * width) {
                let gate = Double(x[index / width * 2 * width + index % width])
                let up = Double(x[index / width * 2 * width + width + index % width])
                let expected = gate / (1 + exponential(-gate)) * up
                #expect(abs(Double(results[index]) - expected) <= 1e-6 * max(1, abs(expected)), "\(gate)")
            }
            device.operators.linear(
                .rows(try device.tensor(x, [11, 2 * width])), weights,
                epilogue: .geluMultiply(scratch: try device.makeTensor([11, 2 * width], .f32)), out: out)
            for (index, result) in device.readFloats(out).enumerated() {
                let gate = Double(x[index / width * 2 * width + index % width])
                let up = Double(x[index / width * 2 * width + width + index % width])
                let inner = 1.595_769_121_605_730_7 * (gate + 0.044715 * gate * gate * gate)
                let expected = gate / (1 + exponential(-inner)) * up
                #expect(abs(Double(result) - expected) <= 1e-6 * max(1, abs(expected)), "\(gate)")
            }
        }
    }

    @Test(arguments: levels)
    func `a norm is added, and rows of a table are scaled`(level: CPULevel) throws {
        let device = CPUDevice(threadCount: 2, level: level)
        var numbers = Numbers(9)
        let width = 45, x = numbers.floats(3 * width), weight = numbers.floats(width)
        let before = numbers.floats(3 * width)
        let out = try device.tensor(before, [3, width])
        device.operators.addNorm(
            try device.tensor(x, [3, width]), weight: try device.tensor(weight, [width]), epsilon: 1e-3,
            to: out)
        for (index, result) in device.readFloats(out).enumerated() {
            let row = x[(index / width * width)...].prefix(width)
            let mean = row.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(width)
            let normed = Double(x[index]) / (mean + 1e-3).squareRoot() * Double(weight[index % width])
            #expect(abs(Double(result) - Double(before[index]) - normed) < 1e-5)
        }
        let table = numbers.floats(4 * width), images = numbers.floats(width)
        let rows = try device.makeTensor([2, width], .f32)
        device.operators.embed(
            ids: try device.integers([3, 0], [2]), previous: try device.integers([0], [1]),
            imageRows: try device.integers([-1, 0], [2]), table: try device.tensor(table, [4, width]),
            firstID: 0, scale: 2.5, images: try device.tensor(images, [1, width]), out: rows)
        #expect(device.readFloats(rows) == table[(3 * width)...].map { $0 * 2.5 } + images)
    }

    @Test(arguments: levels)
    func `rows are gathered and embedded from both tables`(level: CPULevel) throws {
        let device = CPUDevice(threadCount: 2, level: level)
        var numbers = Numbers(8)
        let width = 45, table = numbers.floats(20 * width), images = numbers.floats(6 * width)
        let ids: [Int32] = [3, 0, 19, 7, 7], imageRows: [Int32] = [-1, 5, -1, 0, -1]
        let out = try device.makeTensor([5, width], .f32), source = try device.tensor(images, [6, width])
        for type in [ElementType.f32, .bf16] {
            let stored = try device.load(try device.tensor(table, [20, width]), as: type)
            device.operators.embed(
                ids: try device.integers(ids, [5]), previous: try device.integers([0], [1]),
                imageRows: try device.integers(imageRows, [5]),
                table: stored, firstID: 0,
                images: source, out: out)
            let expected = (0..<(5 * width)).map { index -> Float in
                let t = index / width, c = index % width
                if imageRows[t] >= 0 { return images[Int(imageRows[t]) * width + c] }
                let value = table[Int(ids[t]) * width + c]
                return type == .f32 ? value : bf16(value)
            }
            #expect(device.readFloats(out) == expected)
        }
        let rows: [Int32] = [5, 0, 2, 2, 1]
        device.operators.gatherRows(source, rows: try device.integers(rows, [5]), out: out)
        let gathered = rows.flatMap { row in Array(images[(Int(row) * width)...].prefix(width)) }
        #expect(device.readFloats(out) == gathered)
    }

    @Test(arguments: levels)
    func `rows are added with their weights, those below zero not`(level: CPULevel) throws {
        let device = CPUDevice(threadCount: 2, level: level), width = 19, tokens = 7
        var numbers = Numbers(12)
        let table = numbers.floats(6 * width), start = numbers.floats(tokens * width)
        for terms in [1, 4] {
            let rows = (0..<(tokens * terms)).map { Int32($0 * 5 % 7 - 1) }
            let weights = terms == 1 ? nil : numbers.floats(tokens * terms)
            let out = try device.tensor(start, [tokens, width])
            device.operators.addRows(
                of: try device.tensor(table, [6, width]), rows: try device.integers(rows, [tokens, terms]),
                weights: try weights.map { try device.tensor($0, [tokens, terms]) }, to: out)
            let expected = (0..<(tokens * width)).map { index in
                (0..<terms).reduce(Double(start[index])) { sum, j in
                    let place = index / width * terms + j, row = Int(rows[place])
                    guard row >= 0 else { return sum }
                    return sum + Double(weights?[place] ?? 1) * Double(table[row * width + index % width])
                }
            }
            expectClose(device.readFloats(out), expected, tolerance: 1e-6, "\(terms) terms")
        }
    }

    @Test(arguments: levels)
    func `conversions round to nearest and keep what cannot be rounded`(level: CPULevel) throws {
        let device = CPUDevice(threadCount: 2, level: level)
        var numbers = Numbers(9)
        var values = numbers.floats(1000) + numbers.floats(1000, size: 1e-5) + numbers.floats(100, size: 1e5)
        values += [
            0, -0.0, .infinity, -.infinity, 65504, 65519, 65520, 5.9e-8, 2.9e-8, 1, .leastNonzeroMagnitude,
        ]
        let tensor = try device.tensor(values, [values.count])
        func roundTrip(_ type: ElementType) throws -> [Float] {
            device.readFloats(try device.load(try device.load(tensor, as: type), as: .f32))
        }
        #expect(try roundTrip(.f32) == values)
        #expect(try roundTrip(.bf16) == values.map { $0.isInfinite ? $0 : bf16($0) })
        #expect(try roundTrip(.f16) == values.map { Float(Float16($0)) })
        let nan = try device.load(try device.tensor([.nan], [1]), as: .bf16)
        #expect(device.readFloats(try device.load(nan, as: .f32))[0].isNaN)
        let refusal = DeviceError.unsupportedConversion(from: .f32, to: .i32)
        #expect(throws: refusal) { try device.load(tensor, as: .i32) }
    }
}

/// exp in double precision: the series of a small argument, squared back up.
func exponential(_ x: Double) -> Double {
    if x < -745 { return 0 }
    if x > 709 { return .infinity }
    let small = x / 1024
    var term = 1.0, sum = 1.0
    for n in 1..<20 {
        term *= small / Double(n)
        sum += term
    }
    for _ in 0..<10 { sum *= sum }
    return sum
}
