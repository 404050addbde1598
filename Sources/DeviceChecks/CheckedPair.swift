import Benchmarks
package import Tensors

/// A device and the reference it is compared with, on the same random numbers.
package final class CheckedPair {
    /// What is right.
    package let reference: any Device
    /// What is checked.
    package let device: any Device
    /// What came of the comparisons so far.
    package private(set) var findings: [CheckFinding] = []
    private var random = LoadRandom(seed: 1)
    private let report: (CheckFinding) -> Void

    /// Compares `device` with `reference`, which computes in f32; `report` hears of every finding at once.
    package init(
        reference: any Device, device: any Device, report: @escaping (CheckFinding) -> Void = { _ in },
    ) {
        self.reference = reference
        self.device = device
        self.report = report
    }

    /// The same values on both devices.
    struct Twin {
        let reference: Tensor
        let device: Tensor
    }

    // MARK: Numbers

    /// A whole number below `bound`.
    func below(_ bound: Int) -> Int { random.below(bound) }

    /// Numbers about zero of about the given size, each one that bf16 holds exactly.
    func numbers(_ count: Int, size: Float = 1) -> [Float] {
        (0..<count).map { _ in
            Self.rounded((Float(random.unit()) + Float(random.unit()) - 1) * 1.7 * size)
        }
    }

    /// The nearest bf16, ties to even, as an f32.
    static func rounded(_ value: Float) -> Float {
        let bits = value.bitPattern
        // Safe: finite values stay below the exponent's end.
        return Float(bitPattern: (bits &+ 0x7fff &+ (bits >> 16 & 1)) & 0xffff_0000)
    }

    // MARK: Tensors

    /// f32 on both devices.
    func floats(_ values: [Float], _ shape: Shape) throws(DeviceError) -> Twin {
        Twin(
            reference: try Self.make(values, shape, .f32, on: reference),
            device: try Self.make(values, shape, .f32, on: device))
    }

    /// An operand on both devices.
    func operand(_ values: [Float], _ shape: Shape) throws(DeviceError) -> Twin {
        Twin(
            reference: try Self.make(values, shape, reference.operators.operandType, on: reference),
            device: try Self.make(values, shape, device.operators.operandType, on: device))
    }

    /// A table or a part of the cache: bf16 on both devices.
    func stored(_ values: [Float], _ shape: Shape) throws(DeviceError) -> Twin {
        Twin(
            reference: try Self.make(values, shape, .bf16, on: reference),
            device: try Self.make(values, shape, .bf16, on: device))
    }

    /// i32 on both devices.
    func integers(_ values: [Int32], _ shape: Shape) throws(DeviceError) -> Twin {
        let twin = Twin(
            reference: try reference.makeTensor(shape, .i32), device: try device.makeTensor(shape, .i32))
        reference.write(values, to: twin.reference)
        device.write(values, to: twin.device)
        return twin
    }

    /// Bytes on both devices.
    func bytes(_ values: [UInt8], _ shape: Shape) throws(DeviceError) -> Twin {
        let twin = Twin(
            reference: try reference.makeTensor(shape, .u8), device: try device.makeTensor(shape, .u8))
        reference.write(values, to: twin.reference)
        device.write(values, to: twin.device)
        return twin
    }

    /// An operand full of NaN, so that what is not written shows.
    func poisonedOperand(_ shape: Shape) throws(DeviceError) -> Twin {
        try operand([Float](repeating: .nan, count: shape.elementCount), shape)
    }

    /// f32 full of NaN.
    func poisonedFloats(_ shape: Shape) throws(DeviceError) -> Twin {
        try floats([Float](repeating: .nan, count: shape.elementCount), shape)
    }

    /// The same weights on both devices; values are those bf16 holds.
    func weights(
        _ values: [Float], _ shape: Shape, bias: [Float]? = nil, scale: [Float]? = nil,
    ) throws(DeviceError) -> (reference: any LinearWeights, device: any LinearWeights) {
        // The reference's memory is the host's.
        let matrix = try Self.make(values, shape, .f32, on: reference)
        var biases: [Tensor] = [], scales: Tensor?
        if let bias { biases = [try Self.make(bias, [bias.count], .f32, on: reference)] }
        if let scale { scales = try Self.make(scale, [scale.count], .f32, on: reference) }
        return (
            try reference.prepareLinear(weights: [matrix], bias: biases, scale: scales, elementType: .bf16),
            try device.prepareLinear(weights: [matrix], bias: biases, scale: scales, elementType: .bf16)
        )
    }

    private static func make(
        _ values: [Float], _ shape: Shape, _ type: ElementType, on device: any Device,
    ) throws(DeviceError) -> Tensor {
        let tensor = try device.makeTensor(shape, type)
        if type == .f32 {
            device.write(values, to: tensor)
        } else {
            device.write(
                values.map { $0.isNaN ? 0x7fc0 : UInt16(truncatingIfNeeded: rounded($0).bitPattern >> 16) },
                to: tensor)
        }
        return tensor
    }

    // MARK: Comparison

    /// Compares results, by the norm of the difference over that of the reference, and by the largest difference.
    func compare(_ name: String, _ detail: String, _ results: Twin, tolerance: Double) throws(DeviceError) {
        let expected = try Self.read(results.reference, from: reference)
        let found = try Self.read(results.device, from: device)
        var difference = 0.0, size = 0.0
        for (a, b) in zip(found, expected) {
            difference += (Double(a) - Double(b)) * (Double(a) - Double(b))
            size += Double(b) * Double(b)
        }
        let usual = (size / Double(max(1, expected.count))).squareRoot()
        // One value that is far off hides in the norm of many.
        let hasOutlier = zip(found, expected).contains { a, b in
            !a.isFinite || abs(Double(a) - Double(b)) > 20 * tolerance * (usual + abs(Double(b)))
        }
        let error = hasOutlier ? .infinity : (difference / max(size, 1e-30)).squareRoot()
        note(name, detail, error: error, tolerance: tolerance)
    }

    /// Notes a result that is right or wrong.
    func expect(_ name: String, _ detail: String, _ isRight: Bool) {
        note(name, detail, error: isRight ? 0 : .infinity, tolerance: 0)
    }

    private func note(_ name: String, _ detail: String, error: Double, tolerance: Double) {
        let finding = CheckFinding(name: name, detail: detail, error: error, tolerance: tolerance)
        findings.append(finding)
        report(finding)
    }

    /// The values of an f32, bf16 or i32 tensor.
    static func read(_ tensor: Tensor, from device: any Device) throws(DeviceError) -> [Float] {
        switch tensor.elementType {
        case .f32: return try device.readFloats(tensor)
        case .i32: return try device.readIntegers(tensor).map { Float($0) }
        default:
            precondition(tensor.elementType == .bf16, "floating-point or i32")
            // Memory is given in multiples of 64 bytes: an odd one at the end has a neighbour.
            let pairs = Tensor(
                tensor.storage, byteOffset: tensor.byteOffset, shape: [(tensor.elementCount + 1) / 2],
                elementType: .i32)
            let values = try device.readIntegers(pairs).flatMap { pair in
                let bits = UInt32(bitPattern: pair)
                return [Float(bitPattern: bits << 16), Float(bitPattern: bits & 0xffff_0000)]
            }
            return Array(values.prefix(tensor.elementCount))
        }
    }
}

/// What a comparison came to.
package struct CheckFinding: Sendable, CustomStringConvertible {
    /// The operator.
    package let name: String
    /// The shape or setting.
    package let detail: String
    /// The difference relative to the reference's size.
    package let error: Double
    /// How much of it is all right.
    package let tolerance: Double

    /// Whether it is all right.
    package var isRight: Bool { error <= tolerance }

    package var description: String {
        "\(isRight ? "ok  " : "FAIL") \(name) \(detail): \(error.isFinite ? "\(Float(error))" : "wrong") of \(Float(tolerance))"
    }
}
