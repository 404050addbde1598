import CPUBackend
import Foundation
import Tensors
import Testing

/// What follows the product in a test.
enum Epilogue: CaseIterable {
    case none
    case gelu
    case tanhGELU
    case logisticGELU
    case add
    case scaleAdd
}

@Suite struct LinearTests {
    /// Shapes M, N, K with and without tails in each dimension, blocks of rows full and not.
    static let shapes = [
        (1, 1, 1), (1, 32, 64), (1, 33, 65), (2, 100, 31), (3, 257, 130), (5, 31, 7), (6, 64, 128),
        (7, 96, 33),
        (12, 32, 2), (13, 70, 63), (25, 129, 66), (101, 40, 257), (200, 300, 5),
    ]

    @Test(arguments: [ElementType.f32, .bf16])
    func `a product agrees with the plain sum for all shapes, epilogues and levels`(type: ElementType) throws
    {
        var numbers = Numbers(1)
        for (m, n, k) in Self.shapes {
            let x = numbers.floats(m * k), w = numbers.floats(n * k), bias = numbers.floats(n)
            let residual = numbers.floats(m * n), scale = numbers.floats(n)
            let a = type == .f32 ? x : x.map(bf16), b = type == .f32 ? w : w.map(bf16)
            let sums = (0..<(m * n)).map { index in
                var sum = Double(bias[index % n])
                for i in 0..<k { sum += Double(a[index / n * k + i]) * Double(b[index % n * k + i]) }
                return sum
            }
            for epilogue in Epilogue.allCases {
                let expected = sums.indices.map {
                    Self.apply(epilogue, sums[$0], residual: residual[$0], scale: scale[$0 % n])
                }
                for level in levels {
                    let device = CPUDevice(threadCount: 2, level: level)
                    let weights = try device.prepareLinear(
                        weights: [try device.tensor(w, [n, k])], bias: [try device.tensor(bias, [n])],
                        scale: epilogue == .scaleAdd ? try device.tensor(scale, [n]) : nil, elementType: type)
                    #expect(weights.outputCount == n && weights.inputCount == k)
                    let out = try device.tensor(residual, [m, n])
                    let applied: LinearEpilogue =
                        switch epilogue {
                        case .none: .none
                        case .gelu: .gelu(.exact)
                        case .tanhGELU: .gelu(.tanh)
                        case .logisticGELU: .gelu(.logistic)
                        case .add, .scaleAdd: .addToOutput
                        }
                    device.operators.linear(
                        .rows(try device.tensor(x, [m, k])), weights, epilogue: applied, out: out)
                    let what = "\(m)×\(n)×\(k), \(epilogue), \(level)"
                    expectClose(device.readFloats(out), expected, tolerance: 2e-6, what)
                }
            }
        }
    }

    static func apply(_ epilogue: Epilogue, _ v: Double, residual: Float, scale: Float) -> Double {
        switch epilogue {
        case .none: v
        case .tanhGELU: v * 0.5 * (1 + tanh((2 / Double.pi).squareRoot() * (v + 0.044715 * v * v * v)))
        case .logisticGELU: v / (1 + exp(-1.702 * v))
        case .gelu: v * 0.5 * (1 + errorFunction(v / 2.0.squareRoot()))
        case .add: Double(residual) + v
        case .scaleAdd: Double(residual) + Double(scale) * v
        }
    }

    /// erf by its power series, which converges for every argument of these tests.
    static func errorFunction(_ x: Double) -> Double {
        if abs(x) > 5 { return x < 0 ? -1 : 1 }
        var term = x, sum = x
        for n in 1..<200 where abs(term) > 1e-18 {
            term *= -x * x / Double(n)
            sum += term / Double(2 * n + 1)
        }
        return sum * 2 / 3.141592653589793.squareRoot()
    }

    @Test(arguments: levels)
    func `gelu is accurate over its whole range`(level: CPULevel) throws {
        let device = CPUDevice(threadCount: 1, level: level)
        let x = (0..<2001).map { Float($0) / 100 - 10 }
        let one = try device.prepareLinear(
            weights: [try device.tensor([1], [1, 1])], bias: [], scale: nil, elementType: .f32)
        let out = try device.makeTensor([x.count, 1], .f32)
        device.operators.linear(
            .rows(try device.tensor(x, [x.count, 1])), one, epilogue: .gelu(.exact), out: out)
        for (value, result) in zip(x, device.readFloats(out)) {
            let expected = Self.apply(.gelu, Double(value), residual: 0, scale: 0)
            #expect(abs(Double(result) - expected) < 1e-6 * max(1, abs(Double(value))), "gelu(\(value))")
        }
    }

    @Test(arguments: levels, [ElementType.f32, .bf16])
    func `parts are stacked, from bytes at any address and in any type`(level: CPULevel, type: ElementType)
        throws
    {
        let device = CPUDevice(threadCount: 2, level: level)
        var numbers = Numbers(2)
        let k = 37, counts = [5, 40, 3]
        let values = counts.map { numbers.floats($0 * k).map(bf16) }
        // A file mapped into memory may begin any element at an odd byte.
        let odd = try device.allocate(byteCount: 1 + counts[1] * k * 2)
        let misaligned = Tensor(odd, byteOffset: 1, shape: [counts[1], k], elementType: .bf16)
        device.write(values[1].map(bf16Bits), to: misaligned)
        let half = try device.makeTensor([counts[2], k], .f16)
        device.write(values[2].map { Float16($0) }, to: half)
        let biases = [numbers.floats(5), numbers.floats(40).map(bf16), numbers.floats(3)]
        let weights = try device.prepareLinear(
            weights: [try device.tensor(values[0], [5, k]), misaligned, half],
            bias: [
                try device.tensor(biases[0], [5]), try device.bf16Tensor(biases[1], [40]),
                try device.tensor(biases[2], [3]),
            ], scale: nil, elementType: type)
        #expect(weights.outputCount == 48 && weights.inputCount == k)
        let x = numbers.floats(2 * k).map(bf16)
        let out = try device.makeTensor([2, 48], .f32)
        device.operators.linear(.rows(try device.tensor(x, [2, k])), weights, epilogue: .none, out: out)
        let rows = values[0] + values[1] + values[2].map { bf16(Float(Float16($0))) },
            bias = biases.flatMap(\.self)
        let expected = (0..<96).map { index in
            (0..<k).reduce(Double(bias[index % 48])) {
                $0 + Double(x[index / 48 * k + $1]) * Double(rows[index % 48 * k + $1])
            }
        }
        expectClose(device.readFloats(out), expected, tolerance: type == .f32 ? 1e-3 : 2e-6)
    }

    @Test(arguments: levels, [ElementType.f32, .bf16])
    func `a row has the same bits alone, among others and on any number of threads`(
        level: CPULevel, type: ElementType,
    ) throws {
        let device = CPUDevice(threadCount: 2, level: level), single = CPUDevice(threadCount: 1, level: level)
        var numbers = Numbers(3)
        let (m, n, k) = (130, 200, 301)
        let x = numbers.floats(m * k)
        let parts = [try device.tensor(numbers.floats(n * k), [n, k])],
            bias = [try device.tensor(numbers.floats(n), [n])]
        let weights = try device.prepareLinear(weights: parts, bias: bias, scale: nil, elementType: type)
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

    @Test(arguments: levels)
    func `a row that is not a number spoils no other`(level: CPULevel) throws {
        let device = CPUDevice(threadCount: 2, level: level)
        var numbers = Numbers(4)
        var x = numbers.floats(5 * 64)
        for i in 128..<192 { x[i] = .nan }
        let ones = try device.tensor([Float](repeating: 1, count: 40 * 64), [40, 64])
        let weights = try device.prepareLinear(weights: [ones], bias: [], scale: nil, elementType: .bf16)
        let out = try device.makeTensor([5, 40], .f32)
        device.operators.linear(.rows(try device.tensor(x, [5, 64])), weights, epilogue: .none, out: out)
        for (index, value) in device.readFloats(out).enumerated() {
            #expect(value.isNaN == (index / 40 == 2))
        }
    }
}
