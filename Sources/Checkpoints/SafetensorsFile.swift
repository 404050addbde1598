import Tensors

/// A safetensors file in memory as it lies on disk: its tensors are views of the mapping, never copies.
struct SafetensorsFile: Sendable {
    /// The file's name, for errors.
    let name: String
    /// Where each tensor is.
    let entries: [String: SafetensorsHeader.Entry]
    private let storage: Storage

    /// Maps the file at `path` and checks its header.
    init(path: String, name: String) throws(CheckpointError) {
        self.name = name
        storage = try Files.map(path)
        entries = try storage.withBytes { (bytes) throws(CheckpointError) in
            unsafe try SafetensorsHeader(bytes, name: name).entries
        }
    }

    /// The tensor `tensor`, which must have `shape` and a floating-point type; nil when the file has none such.
    func tensor(_ tensor: String, shape: Shape) throws(CheckpointError) -> Tensor? {
        guard let entry = entries[tensor] else { return nil }
        guard let elementType = Self.elementType(entry.type) else {
            throw .badTensor(
                file: name, tensor: tensor, problem: "it is of type \(entry.type), not BF16, F16 or F32")
        }
        guard entry.extents == shape.list else {
            throw .wrongShape(file: name, tensor: tensor, expected: shape, found: entry.extents)
        }
        let view = Tensor(storage, byteOffset: entry.range.lowerBound, shape: shape, elementType: elementType)
        guard !Self.looksEmptyOfNumbers(view) else {
            throw .badTensor(file: name, tensor: tensor, problem: "it holds no finite numbers")
        }
        // The format does not promise alignment, but code that reads elements needs it.
        return view.address.isMultiple(of: UInt(elementType.byteCount)) ? view : try Self.aligned(view)
    }

    /// The part `range` of the bytes of a tensor of this file.
    func bytes(of entry: SafetensorsHeader.Entry, _ range: Range<Int>) -> [UInt8] {
        precondition(range.lowerBound >= 0 && range.upperBound <= entry.range.count, "within the tensor")
        let start = entry.range.lowerBound
        return storage.withBytes { unsafe Array($0[(start + range.lowerBound)..<(start + range.upperBound)]) }
    }

    /// Bytes that tell it from other files: of each tensor the name, the place, and the last bytes.
    var mark: [UInt8] {
        let tensors = entries.sorted { $0.key < $1.key }
        return storage.withBytes { bytes in
            tensors.flatMap { tensor, entry in
                let end = unsafe bytes[entry.range.clamped(to: bytes.indices)].suffix(16)
                return unsafe Array("\(tensor) \(entry.range) ".utf8) + Array(end)
            }
        }
    }

    private static func elementType(_ name: String) -> ElementType? {
        switch name {
        case "F32": .f32
        case "F16": .f16
        case "BF16": .bf16
        default: nil
        }
    }

    private static func aligned(_ view: Tensor) throws(CheckpointError) -> Tensor {
        let copy = try Storage.host(byteCount: view.byteCount)
        // Safe: the copy was made as long as the view.
        view.withHostBytes { source in copy.fill { unsafe $0.copyMemory(from: source) } }
        return Tensor(copy, shape: view.shape, elementType: view.elementType)
    }

    /// Whether none of 16 elements spread over the tensor is finite: a sign of a broken conversion.
    private static func looksEmptyOfNumbers(_ view: Tensor) -> Bool {
        let width = view.elementType.byteCount
        let count = view.elementCount
        guard count > 0 else { return false }
        let exponent: UInt16 = view.elementType == .f16 ? 0x7c00 : 0x7f80
        return view.withHostBytes { bytes in
            (0..<16).allSatisfy { sample in
                // Safe: the index is below the element count; the last two bytes of an element hold the exponent.
                let offset = (count - 1) / 15 * sample * width + width - 2
                let high = unsafe UInt16(
                    littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
                return high & exponent == exponent
            }
        }
    }
}
