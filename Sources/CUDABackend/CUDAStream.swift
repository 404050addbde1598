import CCUDA
import Synchronization
import Tensors

/// A GPU with the queue of its work: launches, copies, and the first thing that went wrong.
///
/// Every call may come from any thread; work is done in the order of the calls. Errors of enqueued work turn up at some
/// later call; from then on the device is failed and `check` throws.
final class CUDAStream: @unchecked Sendable {
    // Safe: handles and function pointers, written once; what changes is in a mutex.
    let libraries: CUDALibraries
    let properties: CUDAProperties
    let context: UInt
    private let stream: UInt
    private let failure = Mutex<DeviceError?>(nil)
    /// Times of what is enqueued, when asked for.
    let profile = KernelProfile()

    /// The queue of the device `ordinal`.
    init(libraries: CUDALibraries, ordinal: Int) throws(DeviceError) {
        self.libraries = libraries
        let driver = libraries.driver
        try Self.attempt(libraries, driver.`init`(0), "starting the driver")
        properties = try CUDAProperties(libraries, ordinal: ordinal)
        var context: UnsafeMutableRawPointer?
        try Self.attempt(
            libraries, unsafe driver.retain_context(&context, properties.device), "making a context")
        try Self.attempt(libraries, unsafe driver.set_context(context), "entering the context")
        self.context = UInt(bitPattern: context)
        stream = try Self.makeStream(libraries)
    }

    /// Another queue on the device of `other`.
    init(beside other: CUDAStream) throws(DeviceError) {
        libraries = other.libraries
        properties = other.properties
        context = other.context
        other.enter()
        stream = try Self.makeStream(libraries)
    }

    private static func makeStream(_ libraries: CUDALibraries) throws(DeviceError) -> UInt {
        var stream: UnsafeMutableRawPointer?
        let notBlocking: UInt32 = 1
        try attempt(libraries, unsafe libraries.driver.create_stream(&stream, notBlocking), "making a stream")
        return UInt(bitPattern: stream)
    }

    static func attempt(_ libraries: CUDALibraries, _ status: Int32, _ what: String) throws(DeviceError) {
        if status != 0 { throw .failed("\(what) failed: \(text(libraries, status))") }
    }

    private static func text(_ libraries: CUDALibraries, _ status: Int32) -> String {
        var text: UnsafePointer<CChar>?
        _ = unsafe libraries.driver.error_text(status, &text)
        // Safe: a constant of the driver's.
        return unsafe text.map { unsafe String(cString: $0) } ?? "error \(status)"
    }

    /// Makes the context that of this thread.
    func enter() {
        unsafe note(
            libraries.driver.set_context(UnsafeMutableRawPointer(bitPattern: context)), "entering the context"
        )
    }

    /// The driver's handle of the queue.
    // Safe: the stream lives as long as the process.
    var handle: UnsafeMutableRawPointer? { unsafe UnsafeMutableRawPointer(bitPattern: stream) }

    /// Keeps the first error.
    func note(_ status: Int32, _ what: @autoclosure () -> String) {
        guard status != 0 else { return }
        let error = DeviceError.failed(
            "\(properties.name): \(what()) failed: \(Self.text(libraries, status))")
        failure.withLock { $0 = $0 ?? error }
    }

    /// Keeps an error, if it is the first.
    func fail(_ error: DeviceError) { failure.withLock { $0 = $0 ?? error } }

    /// Throws when anything has gone wrong so far.
    func check() throws(DeviceError) {
        if let error = failure.withLock(\.self) { throw error }
    }

    /// Waits until all work is done.
    func wait() throws(DeviceError) {
        enter()
        unsafe note(libraries.driver.synchronize(handle), "the work")
        try check()
    }

    /// Enqueues a kernel; `slots` are its parameters.
    ///
    /// It may begin while the one before ends, where the GPU can.
    func launch(
        _ kernel: CUDAKernel, grid: (Int, Int, Int), block: Int, shared: Int = 0,
        work: KernelWork = KernelWork(),
        _ slots: [KernelSlot],
    ) {
        guard grid.0 > 0, grid.1 > 0, grid.2 > 0 else { return }
        enter()
        var driver = libraries.driver
        // Safe: grids come from shapes, far below 2³².
        let extents: [UInt32] = [UInt32(grid.0), UInt32(grid.1), UInt32(grid.2)]
        let bits = slots.map(\.bits)
        profile.measure(kernel.name, work, on: self) {
            unsafe note(
                vireo_launch(
                    &driver, kernel.handle, extents, UInt32(block), UInt32(shared), handle, bits,
                    Int32(bits.count), properties.overlapsKernels ? 1 : 0), "the kernel \(kernel.name)")
        }
    }

    /// How many blocks of a kernel run on the GPU at once.
    func residentBlocks(_ kernel: CUDAKernel, threads: Int, shared: Int) -> Int {
        enter()
        var count: Int32 = 0
        unsafe note(
            libraries.driver.occupancy(&count, kernel.handle, Int32(threads), shared),
            "asking for the occupancy")
        return Int(count) * properties.processorCount
    }

    /// Zero-fills memory.
    func fill(_ address: UInt, byteCount: Int) {
        enter()
        unsafe note(libraries.driver.fill(UInt64(address), 0, byteCount, handle), "filling memory")
    }

    /// Enqueues a copy from host memory that stays until it is done.
    func copyIn(_ source: UnsafeRawPointer, to address: UInt, byteCount: Int) {
        unsafe note(
            libraries.driver.copy_in(UInt64(address), source, byteCount, handle), "copying to the device")
    }

    /// Enqueues a copy to host memory that stays until it is done.
    func copyOut(_ address: UInt, to target: UnsafeMutableRawPointer, byteCount: Int) {
        unsafe note(
            libraries.driver.copy_out(target, UInt64(address), byteCount, handle), "copying from the device")
    }
}

/// One parameter of a kernel.
struct KernelSlot: ExpressibleByIntegerLiteral {
    /// Its bits, in the low bytes.
    let bits: UInt64

    init(integerLiteral value: Int32) { bits = UInt64(UInt32(bitPattern: value)) }
    /// An `int`.
    init(_ value: Int) { bits = UInt64(UInt32(truncatingIfNeeded: value)) }
    /// A `float`.
    init(_ value: Float) { bits = UInt64(value.bitPattern) }
    /// Where a tensor begins; zero for none.
    init(_ tensor: Tensor?) { bits = UInt64(tensor?.address ?? 0) }
    /// A 64-bit integer or an address.
    init(wide value: UInt64) { bits = value }
}

/// What a GPU is.
struct CUDAProperties: Sendable {
    let device: Int32
    let name: String
    /// The driver's version: 13000 for CUDA 13.0.
    let driverVersion: Int
    /// Major and minor compute capability: (9, 0) for an H100.
    let capability: (major: Int, minor: Int)
    let processorCount: Int
    /// The most shared memory of a block.
    let sharedByteCount: Int

    init(_ libraries: CUDALibraries, ordinal: Int) throws(DeviceError) {
        let driver = libraries.driver
        var version: Int32 = 0, count: Int32 = 0, device: Int32 = 0
        try CUDAStream.attempt(
            libraries, unsafe driver.driver_version(&version), "asking the driver's version")
        guard version >= 12_040 else {
            throw .failed(
                "the NVIDIA driver is for CUDA \(version / 1000).\(version % 1000 / 10); 12.4 or newer is needed"
            )
        }
        try CUDAStream.attempt(libraries, unsafe driver.device_count(&count), "counting the GPUs")
        guard ordinal < count else {
            throw .failed(
                "there is no GPU \(ordinal): this machine has \(count); choose another with --gpu_ids")
        }
        try CUDAStream.attempt(
            libraries, unsafe driver.device(&device, Int32(ordinal)), "opening GPU \(ordinal)")
        func attribute(_ number: Int32) throws(DeviceError) -> Int {
            var value: Int32 = 0
            try CUDAStream.attempt(
                libraries, unsafe driver.device_attribute(&value, number, device), "asking for an attribute")
            return Int(value)
        }
        var bytes = [CChar](repeating: 0, count: 256)
        try CUDAStream.attempt(
            libraries, unsafe driver.device_name(&bytes, 255, device), "asking for the name")
        name = String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        self.device = device
        driverVersion = Int(version)
        capability = (try attribute(75), try attribute(76))
        processorCount = try attribute(16)
        sharedByteCount = try attribute(97)
        guard capability.major >= 8 else {
            throw .failed(
                "\(name) has compute capability \(capability.major).\(capability.minor); 8.0 (Ampere) or newer is needed"
            )
        }
    }

    /// Whether a kernel may begin while the one before ends.
    var overlapsKernels: Bool { capability.major >= 9 }
    /// The compiler's name of the architecture, with its own instructions where our kernels have use for them.
    var architecture: String {
        "sm_\(capability.major)\(capability.minor)" + (capability.major == 9 ? "a" : "")
    }
}
