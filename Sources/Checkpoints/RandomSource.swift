package import Tensors

/// Weights made up as they are asked for: the same for the same name, seed and type, on every machine.
///
/// Scales of norms are one, biases zero, layer scales a tenth; all else is uniform with a standard deviation of
/// `deviation(name)`, the configuration's initializer range, so that activations stay of order one through pre-norm
/// layers.
package struct RandomSource: TensorSource {
    package let name = "random weights"
    package let tensorNames: [String] = []
    package let byteCount = 0
    private let seed: UInt64
    private let elementType: ElementType
    private let deviation: @Sendable (String) -> Float

    /// Makes tensors of `elementType`, bf16 or f32.
    package init(seed: UInt64, elementType: ElementType, deviation: @escaping @Sendable (String) -> Float) {
        precondition(elementType == .bf16 || elementType == .f32, "random weights are bf16 or f32")
        self.seed = seed
        self.elementType = elementType
        self.deviation = deviation
    }

    package func has(_ tensor: String) -> Bool { false }

    package func tensor(_ tensor: String, shape: Shape) throws(CheckpointError) -> Tensor {
        let filler = Filler(
            storage: try .host(byteCount: shape.elementCount * elementType.byteCount),
            count: shape.elementCount,
            elementType: elementType)
        switch Self.constant(tensor, rank: shape.rank) {
        case let value?: filler.fill(value)
        case nil: filler.fill(deviation: deviation(tensor), state: seed ^ Self.hash(tensor))
        }
        return Tensor(filler.storage, shape: shape, elementType: elementType)
    }

    /// The value of all elements of a tensor that is not random.
    private static func constant(_ tensor: String, rank: Int) -> Float? {
        let leaf = tensor.split(separator: ".").last.map(String.init) ?? tensor
        if leaf.hasPrefix("ls") || leaf.hasPrefix("lambda_") { return 0.1 }
        guard rank == 1 else { return nil }
        return leaf == "weight" ? 1 : leaf == "bias" ? 0 : nil
    }

    /// FNV-1a of the name.
    private static func hash(_ text: String) -> UInt64 {
        text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }
}

/// Writes elements into fresh host memory.
private struct Filler {
    let storage: Storage
    let count: Int
    let elementType: ElementType

    func fill(_ value: Float) { fill { _ in value } }

    /// Uniform values of that deviation: 16 bits of a splitmix64 stream each.
    func fill(deviation: Float, state: UInt64) {
        // A uniform number in ±1 has the deviation 1/√3.
        let scale = deviation * 1.732_050_8 / 32_768
        fill { index in
            var bits = state &+ UInt64(truncatingIfNeeded: index / 4 + 1) &* 0x9e37_79b9_7f4a_7c15
            bits = (bits ^ (bits >> 30)) &* 0xbf58_476d_1ce4_e5b9
            bits = (bits ^ (bits >> 27)) &* 0x94d0_49bb_1331_11eb
            bits = (bits ^ (bits >> 31)) >> UInt64(truncatingIfNeeded: index % 4 * 16)
            return (Float(Int16(truncatingIfNeeded: bits)) + 0.5) * scale
        }
    }

    @inline(__always)
    private func fill(_ value: (Int) -> Float) {
        // Safe: the storage was made for `count` elements of the type.
        storage.fill { bytes in
            if elementType == .f32 {
                let elements = unsafe bytes.bindMemory(to: UInt32.self)
                for index in 0..<count { unsafe elements[index] = value(index).bitPattern.littleEndian }
            } else {
                let elements = unsafe bytes.bindMemory(to: UInt16.self)
                for index in 0..<count {
                    unsafe elements[index] =
                        UInt16(truncatingIfNeeded: value(index).bitPattern >> 16).littleEndian
                }
            }
        }
    }
}
