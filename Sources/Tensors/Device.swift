/// Contract of a backend: memory, copies, and the operators that run on it.
///
/// Work is enqueued in order; `wait` returns when all of it is done. On the CPU every call is done when it returns.
package protocol Device: Sendable {
    /// What to call it in logs.
    var name: String { get }
    /// The operators of this device.
    var operators: any Operators { get }

    /// Zero-filled memory, aligned to 64 bytes.
    func allocate(byteCount: Int) throws(DeviceError) -> Storage
    /// Copies `bytes` from the host to the beginning of `target`.
    func write(_ bytes: UnsafeRawBufferPointer, to target: Tensor)
    /// Copies `source` to the host buffer `bytes`, which is at least as long, after all work enqueued so far.
    func read(_ source: Tensor, into bytes: UnsafeMutableRawBufferPointer)
    /// Bytes that can still be allocated.
    var freeByteCount: Int { get }
    /// Blocks until all enqueued work is done.
    func wait()

    /// A copy of the floating-point host tensor `source` on the device, converted to `elementType`.
    func load(_ source: Tensor, as elementType: ElementType) throws(DeviceError) -> Tensor
    /// Prepares the weights of a product, see `LinearWeights`: `parts`, each a host tensor [rows, K], stacked on their
    /// rows, in `elementType` (bf16 or f32). `bias` parts are stacked likewise, [rows] each; empty for none.
    func prepareLinear(
        weights parts: [Tensor], bias: [Tensor], elementType: ElementType,
    ) throws(DeviceError) -> any LinearWeights
}

/// The weights of a product in a layout of the device's choosing.
package protocol LinearWeights: Sendable {
    /// N: how many values come out.
    var outputCount: Int { get }
    /// K: how many values go in.
    var inputCount: Int { get }
    /// Bytes they take on the device.
    var byteCount: Int { get }
}

/// Why a device refuses.
package enum DeviceError: Error, Hashable, Sendable {
    /// The memory asked for is not there.
    case outOfMemory(requested: Int)
    /// No conversion between these types.
    case unsupportedConversion(from: ElementType, to: ElementType)
}

extension Device {
    /// An uninitialised-looking (in fact zero-filled) tensor of its own storage.
    package func makeTensor(_ shape: Shape, _ elementType: ElementType) throws(DeviceError) -> Tensor {
        let storage = try allocate(byteCount: max(64, shape.elementCount * elementType.byteCount))
        return Tensor(storage, shape: shape, elementType: elementType)
    }

    /// Copies an array of trivial values to the beginning of `target`.
    package func write<Value: BitwiseCopyable>(_ values: [Value], to target: Tensor) {
        unsafe values.withUnsafeBytes { unsafe write($0, to: target) }
    }

    /// The elements of an f32 tensor.
    package func readFloats(_ source: Tensor) -> [Float] {
        precondition(source.elementType == .f32, "an f32 tensor")
        var values = [Float](repeating: 0, count: source.elementCount)
        unsafe values.withUnsafeMutableBytes { unsafe read(source, into: $0) }
        return values
    }
}
