import CKernels
package import Tensors

/// The processor as a device: memory of the host, and threads of its own that share out each operator.
///
/// Products and paged attention compute in the type of their weights and of the cache: bf16 rounds what it multiplies
/// to bf16 and adds up in f32. Attention without a cache has no such type, so `exact` decides for it. A row gets the
/// same bits alone as among others, with any number of threads, at one level of the processor.
package final class CPUDevice: Device {
    /// Threads an operator runs on; several operators at once have as many each, up to the number of teams.
    package let threadCount: Int
    /// The kernels in use.
    package let level: CPULevel
    package let operators: any Operators
    private let pool: WorkerPool

    /// A device of `threadCount` threads that uses nothing above `level`; with `exact`, full attention stays in f32.
    ///
    /// With more than one of `teamCount` teams of so many threads, as many engines may use the device, and what is loaded on
    /// it, without waiting for each other.
    package init(
        threadCount: Int, level: CPULevel = .preferred, exact: Bool = false, teamCount: Int = 1,
    ) {
        self.threadCount = max(1, threadCount)
        self.level = min(level, .best)
        pool = WorkerPool(threadCount: threadCount, level: level, teamCount: teamCount)
        operators = CPUOperators(pool: pool, exact: exact)
    }

    package var name: String { "CPU (\(level), \(threadCount) threads)" }

    package var isAsynchronous: Bool { false }
    package var preferredTokensPerStep: Int { 2048 }
    package var preferredTilesPerStep: Int { 4 }

    package var freeByteCount: Int { Int(clamping: vireo_available_bytes()) }

    package func checkHeads(headDim: Int, turningPairs: Int) {}
    package func checkRows(_ count: Int) {}
    package func checkExperts(count: Int, topCount: Int, hidden: Int) {}

    package func allocate(byteCount: Int) throws(DeviceError) -> Storage {
        let length = max(64, byteCount)
        guard let pointer = unsafe vireo_allocate(length) else { throw .outOfMemory(requested: byteCount) }
        return Storage(address: UInt(bitPattern: pointer), byteCount: length) { address in
            // Safe: the storage calls this once, with the address it was given.
            unsafe vireo_free(UnsafeMutableRawPointer(bitPattern: address), length)
        }
    }

    package func write(_ bytes: UnsafeRawBufferPointer, to target: Tensor) {
        precondition(bytes.count <= target.byteCount, "the bytes fit the tensor")
        guard let source = bytes.baseAddress else { return }
        // Safe: both are at least as long as the copy.
        unsafe target.bytes.copyMemory(from: source, byteCount: bytes.count)
    }

    package func read(_ source: Tensor, into bytes: UnsafeMutableRawBufferPointer) {
        precondition(bytes.count >= source.byteCount, "the buffer has room for the tensor")
        guard let target = bytes.baseAddress else { return }
        // Safe: both are at least as long as the copy.
        unsafe target.copyMemory(from: source.bytes, byteCount: source.byteCount)
    }

    package func wait() {}
    package func check() {}

    package func load(_ source: Tensor, as elementType: ElementType) throws(DeviceError) -> Tensor {
        guard let from = source.elementType.kernelType, let to = elementType.kernelType else {
            throw .unsupportedConversion(from: source.elementType, to: elementType)
        }
        let target = try makeTensor(source.shape, elementType)
        // Safe: both tensors have as many elements; the kernel asks for no alignment.
        unsafe vireo_convert(pool.handle, source.bytes, from, target.bytes, to, source.elementCount)
        return target
    }

    package func prepareLinear(
        weights parts: [Tensor], bias: [Tensor], scale: Tensor?, format: WeightFormat,
    ) throws(DeviceError) -> any LinearWeights {
        try PackedWeights(
            parts: parts, bias: bias, scale: scale, format: format, device: self, pool: pool)
    }

    package func makeExperts(
        count: Int, width: Int, hidden: Int, format: WeightFormat,
    ) throws(DeviceError) -> any ExpertWeights {
        CPUExperts(count: count, width: width, hidden: hidden, format: format, device: self)
    }

    package func makeSampler(capacity: Int, vocabularyCount: Int) throws(DeviceError) -> any TokenSampler {
        CPUSampler(pool: pool, tokens: try makeTensor([capacity], .i32))
    }

    package func paddedCount(_ count: Int) -> Int { count }

    package func replay(_ key: ReplayKey, _ body: () throws(DeviceError) -> Void) throws(DeviceError) {
        try body()
    }

    /// The elements of an f32 tensor.
    package func readFloats(_ source: Tensor) -> [Float] {
        precondition(source.elementType == .f32, "an f32 tensor")
        var values = [Float](repeating: 0, count: source.elementCount)
        unsafe values.withUnsafeMutableBytes { unsafe read(source, into: $0) }
        return values
    }
}
