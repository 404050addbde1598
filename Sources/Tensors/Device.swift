/// Contract of a backend: memory, copies, and the operators that run on it.
///
/// Work is enqueued in order; `wait` returns when all of it is done. On the CPU every call is done when it returns.
package protocol Device: Sendable {
    /// What to call it in logs.
    var name: String { get }
    /// Whether enqueued work goes on while the host does something else.
    var isAsynchronous: Bool { get }
    /// Tokens of a step that use it well.
    var preferredTokensPerStep: Int { get }
    /// Tiles of a step that use it well.
    var preferredTilesPerStep: Int { get }
    /// The operators of this device.
    var operators: any Operators { get }
    /// Its operators on pictures; nil where these are cut by the host.
    var pictureOperators: (any PictureOperators)? { get }

    /// Throws for attention heads it has no kernels for: of `headDim` values, of which `turningPairs` pairs turn.
    func checkHeads(headDim: Int, turningPairs: Int) throws(DeviceError)

    /// Throws for rows of `count` values if it has no norm for them.
    func checkRows(_ count: Int) throws(DeviceError)

    /// Throws for mixtures that it has no kernels for: of `count` experts, `topCount` for each row of `hidden` values.
    func checkExperts(count: Int, topCount: Int, hidden: Int) throws(DeviceError)

    /// Zero-filled memory, aligned to 64 bytes.
    func allocate(byteCount: Int) throws(DeviceError) -> Storage
    /// Copies `bytes` from the host to the beginning of `target`.
    func write(_ bytes: UnsafeRawBufferPointer, to target: Tensor)
    /// Copies `source` to the host buffer `bytes`, which is at least as long, after all work enqueued so far.
    func read(_ source: Tensor, into bytes: UnsafeMutableRawBufferPointer) throws(DeviceError)
    /// Bytes that can still be allocated.
    var freeByteCount: Int { get }
    /// Blocks until all enqueued work is done.
    func wait() throws(DeviceError)
    /// Throws when enqueued work is known to have failed.
    func check() throws(DeviceError)

    /// A copy of the floating-point host tensor `source` on the device, converted to `elementType`.
    func load(_ source: Tensor, as elementType: ElementType) throws(DeviceError) -> Tensor
    /// Prepares the weights of a product, see `LinearWeights`: `parts`, each a host tensor [rows, K], stacked on their
    /// rows, in `format` (of plain ones bf16 or f32). `bias` parts are stacked likewise, [rows] each; empty for none. `scale` is a
    /// host tensor [all rows] for `LinearEpilogue.addToOutput` (layer scale); nil for ones.
    func prepareLinear(
        weights parts: [Tensor], bias: [Tensor], scale: Tensor?, format: WeightFormat,
    ) throws(DeviceError) -> any LinearWeights
    /// Room for the weights of `count` experts of `width` values within rows of `hidden`, a multiple of eight as the width is,
    /// in `format` (of plain ones bf16 or f32); to be appended one by one.
    func makeExperts(
        count: Int, width: Int, hidden: Int, format: WeightFormat,
    ) throws(DeviceError) -> any ExpertWeights
    /// A sampler of up to `capacity` rows of `vocabularyCount` logits.
    func makeSampler(capacity: Int, vocabularyCount: Int) throws(DeviceError) -> any TokenSampler

    /// Does the work of `body`, of which nobody needs what comes out, and may find out how such work is done fastest.
    ///
    /// What the work reads and writes is of unspecified content afterwards, but for weights.
    func learn(_ body: () throws(DeviceError) -> Void) throws(DeviceError)

    /// How many sequences a step that is to be repeated has for `count`: at least as many.
    func paddedCount(_ count: Int) -> Int
    /// Does the work of `body`, which is the same whenever `key` is: same operators on the same tensors.
    ///
    /// A device may record it and repeat the record instead of calling `body` again.
    func replay(_ key: ReplayKey, _ body: () throws(DeviceError) -> Void) throws(DeviceError)
}

/// Names work that repeats.
package struct ReplayKey: Hashable, Sendable {
    /// How many sequences.
    package let sequenceCount: Int
    /// Columns of the page table.
    package let pageColumns: Int
    /// Which of several sets of inputs and outputs.
    package let bank: Int
    /// The workspace's, whose addresses the work has.
    package let generation: Int

    /// Takes all four.
    package init(sequenceCount: Int, pageColumns: Int, bank: Int, generation: Int) {
        self.sequenceCount = sequenceCount
        self.pageColumns = pageColumns
        self.bank = bank
        self.generation = generation
    }
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

/// The weights of the experts of a mixture in a layout of the device's choosing.
package protocol ExpertWeights: Sendable {
    /// How many experts there are when all are appended.
    var count: Int { get }
    /// I: values within an expert.
    var width: Int { get }
    /// H: values of a row.
    var hidden: Int { get }

    /// Takes the next expert's host tensors: `gateUp`, stacked on their rows [2 · I, H], gates first, and `down` [H, I].
    mutating func append(gateUp: [Tensor], down: Tensor) throws(DeviceError)
}

/// Why a device refuses.
package enum DeviceError: Error, Hashable, Sendable {
    /// The memory asked for is not there.
    case outOfMemory(requested: Int)
    /// No conversion between these types.
    case unsupportedConversion(from: ElementType, to: ElementType)
    /// The device has failed and will not recover; why.
    case failed(String)
}

extension Device {
    package var pictureOperators: (any PictureOperators)? { nil }

    package func learn(_ body: () throws(DeviceError) -> Void) throws(DeviceError) { try body() }

    /// The same with plain weights.
    package func prepareLinear(
        weights parts: [Tensor], bias: [Tensor], scale: Tensor?, elementType: ElementType,
    ) throws(DeviceError) -> any LinearWeights {
        try prepareLinear(weights: parts, bias: bias, scale: scale, format: .plain(elementType))
    }

    /// The same with plain weights.
    package func makeExperts(
        count: Int, width: Int, hidden: Int, elementType: ElementType,
    ) throws(DeviceError) -> any ExpertWeights {
        try makeExperts(count: count, width: width, hidden: hidden, format: .plain(elementType))
    }

    /// An uninitialised-looking (in fact zero-filled) tensor of its own storage.
    package func makeTensor(_ shape: Shape, _ elementType: ElementType) throws(DeviceError) -> Tensor {
        let storage = try allocate(byteCount: max(64, shape.elementCount * elementType.byteCount))
        return Tensor(storage, shape: shape, elementType: elementType)
    }

    /// Copies bytes to the beginning of `target`.
    package func write(_ bytes: ArraySlice<UInt8>, to target: Tensor) {
        unsafe bytes.withUnsafeBytes { unsafe write($0, to: target) }
    }

    /// Copies an array of trivial values to the beginning of `target`.
    package func write<Value: BitwiseCopyable>(_ values: [Value], to target: Tensor) {
        unsafe values.withUnsafeBytes { unsafe write($0, to: target) }
    }

    /// The elements of an f32 tensor.
    package func readFloats(_ source: Tensor) throws(DeviceError) -> [Float] {
        precondition(source.elementType == .f32, "an f32 tensor")
        return try readArray(source, of: Float.self, zero: 0)
    }

    /// The integers of an i32 tensor.
    package func readIntegers(_ source: Tensor) throws(DeviceError) -> [Int32] {
        precondition(source.elementType == .i32, "an i32 tensor")
        return try readArray(source, of: Int32.self, zero: 0)
    }

    /// The bytes of tensors, one after the other.
    package func readBytes(_ sources: [Tensor]) throws(DeviceError) -> [UInt8] {
        var failure: DeviceError?
        let byteCount = sources.reduce(0) { $0 + $1.byteCount }
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
            do throws(DeviceError) {
                for source in sources {
                    // Safe: the buffer is as long as all of them, and `count` counts those that are read.
                    let rest = unsafe UnsafeMutableRawBufferPointer(
                        rebasing: UnsafeMutableRawBufferPointer(buffer)[count...])
                    unsafe try read(source, into: rest)
                    count += source.byteCount
                }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return bytes
    }

    private func readArray<Value: BitwiseCopyable>(
        _ source: Tensor, of type: Value.Type, zero: Value,
    ) throws(DeviceError) -> [Value] {
        var values = [Value](repeating: zero, count: source.elementCount)
        var failure: DeviceError?
        unsafe values.withUnsafeMutableBytes { bytes in
            do throws(DeviceError) { unsafe try read(source, into: bytes) } catch { failure = error }
        }
        if let failure { throw failure }
        return values
    }
}

extension DeviceError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .outOfMemory(let requested):
            "the device has no room for \(requested >> 20) MiB more; lower --mem_fraction, --max_total_token_num or "
                + "--batch_max_tokens"
        case .unsupportedConversion(let from, let to):
            "the device cannot convert \(from.rawValue) to \(to.rawValue)"
        case .failed(let reason): reason
        }
    }
}
