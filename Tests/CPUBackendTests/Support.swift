import CPUBackend
import Tensors
import TestRandom
import Testing

/// Every level this processor has, so that each is compared with the reference.
let levels = CPULevel.allCases.filter { $0 <= .best }

/// Reproducible numbers.
struct Numbers: RandomNumberGenerator {
    private var random: SeededRandom

    init(_ seed: UInt64) { random = SeededRandom(seed: seed) }

    mutating func next() -> UInt64 { random.next() }

    /// `count` values in −size ..< size.
    mutating func floats(_ count: Int, size: Float = 1) -> [Float] {
        (0..<count).map { _ in Float.random(in: -size..<size, using: &self) }
    }
}

/// The nearest bf16, ties to even, as an f32.
func bf16(_ x: Float) -> Float {
    let bits = x.bitPattern
    return Float(bitPattern: (bits &+ 0x7fff &+ (bits >> 16 & 1)) & 0xffff_0000)
}

/// The upper half of an f32 that is a bf16.
func bf16Bits(_ x: Float) -> UInt16 { UInt16(bf16(x).bitPattern >> 16) }

extension CPUDevice {
    /// An f32 tensor of `values`.
    func tensor(_ values: [Float], _ shape: Shape) throws -> Tensor {
        let tensor = try makeTensor(shape, .f32)
        write(values, to: tensor)
        return tensor
    }

    /// An i32 tensor of `values`.
    func integers(_ values: [Int32], _ shape: Shape) throws -> Tensor {
        let tensor = try makeTensor(shape, .i32)
        write(values, to: tensor)
        return tensor
    }

    /// The tokens chosen for `logits` [R, V].
    func sample(_ logits: Tensor, _ rows: [SamplingRow]) throws -> [SampledToken] {
        let sampler = try makeSampler(capacity: rows.count, vocabularyCount: logits.shape.columnCount)
        sampler.set(rows)
        try sampler.choose(logits)
        sampler.send()
        return try sampler.result()
    }

    /// A bf16 tensor of `values`, rounded here and not by the device.
    func bf16Tensor(_ values: [Float], _ shape: Shape) throws -> Tensor {
        let tensor = try makeTensor(shape, .bf16)
        write(values.map(bf16Bits), to: tensor)
        return tensor
    }
}

/// Expects every value within `tolerance` of the reference, relative to the reference's largest size or 1.
func expectClose(
    _ actual: [Float], _ expected: [Double], tolerance: Double, _ what: String = "",
    sourceLocation: SourceLocation = #_sourceLocation,
) {
    #expect(actual.count == expected.count, sourceLocation: sourceLocation)
    let size = max(1, expected.map(abs).max() ?? 1)
    var worst = 0.0, place = 0
    for (index, (a, b)) in zip(actual, expected).enumerated() {
        let error = a.isFinite ? abs(Double(a) - b) / size : .infinity
        if error > worst { (worst, place) = (error, index) }
    }
    #expect(worst <= tolerance, "\(what): off by \(worst) at \(place)", sourceLocation: sourceLocation)
}
